"""What a stopping rule may look at, and what it says."""

from __future__ import annotations

import math
from dataclasses import dataclass

from agent.types import StopReason, Tally


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of one problem.

    `answers` are those of the ended samples in the order in which they ended, None for a sample without one;
    `running` lanes may still vote, with at most `largest_weight` each. Times are in seconds since the problem's start,
    `share` is its even share of the time bank (infinite where no bank is kept; for rules of one's own, none of ours
    looks at it), `price` what a second is worth to other problems, in right answers (0 where no bank is kept).
    """

    tally: Tally
    answers: tuple[int | None, ...]
    running: int
    largest_weight: float
    elapsed: float
    first_vote: float | None
    share: float
    price: float = 0.0

    @property
    def voted(self) -> tuple[int, ...]:
        """The answers that are votes, in their order."""
        return tuple(answer for answer in self.answers if answer is not None)

    @property
    def counts(self) -> tuple[int, ...]:
        """Samples behind each answer, in the order of the tally."""
        return tuple(vote.samples for vote in self.tally.votes)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why the problem can be closed now, or None; then it has to be looked at again when `until` seconds have passed.

    `until` counts from the problem's start; where it has passed, nothing is looked at before a sample ends. That always
    makes for a new look.
    """

    stop: StopReason | None
    until: float = math.inf


GO_ON = Verdict(None)
