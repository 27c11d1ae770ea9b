"""Waits for what Kaggle does with a run or a dataset, and tells its end from that of the version before."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from submission.push.kaggle_calls import Calls, KaggleError, RefusedError, UnansweredError

SETTLING_LOOKS = 20  # what is seen so often in a row is no remainder of the version before
_NOT_THERE = (403, 404)  # Kaggle says 403 too of what is not there yet


@dataclass(frozen=True, slots=True)
class KaggleState:
    """What one look found: the `state`, whether it is `over`, and `why` it ended so if Kaggle says that."""

    state: str
    over: bool = False
    why: str = ""


class StateTracker:
    """Whether what was started has been `seen`.

    For a while Kaggle reports the state of the version before. A state is that of what was started behind any sign of
    a start, and once `SETTLING_LOOKS` looks in a row have found it.
    """

    def __init__(self) -> None:
        self.seen = False
        self._state = ""
        self._looks = 0

    def note(self, state: str, *, starts: bool = False) -> bool:
        """Note the state that a look found, which may be a sign of a start; whether it is that of what was started."""
        self._looks = self._looks + 1 if state == self._state else 1
        self._state = state
        self.seen = self.seen or starts or self._looks >= SETTLING_LOOKS
        return self.seen


@dataclass(frozen=True, slots=True)
class KaggleWatch:
    """Looks at things until they are over, with the pauses of `calls` in between, and says so on the console."""

    calls: Calls
    console: Console

    def until_over(self, look: Callable[[], KaggleState], what: str, limit: float) -> KaggleState:
        """The look that found it over. A look that fails because Kaggle does is repeated.

        Raises KaggleError, naming the last state, after `limit` seconds; RefusedError if looking is refused for good.
        """
        began = time.monotonic()
        state, failures, refusals, trouble = "not seen yet", 0, 0, ""
        with self.console.status(what) as status:
            while True:
                try:
                    found = look()
                    if found.over:
                        return found
                    state, failures, refusals, trouble = found.state, 0, 0, ""
                except UnansweredError as error:
                    failures, trouble = failures + 1, f" ({error})"
                except RefusedError as error:
                    refusals, trouble = refusals + 1, f" ({error})"
                    if error.status not in _NOT_THERE or refusals == SETTLING_LOOKS:
                        raise
                gone = time.monotonic() - began
                if gone > limit:
                    told = f"{what} is still {state} after {gone / 60:.0f} min{trouble}"
                    raise KaggleError(f"{told}: look at it on kaggle.com")
                status.update(Text(f"{what} is {state}, {gone / 60:.0f} min{trouble}"))
                time.sleep(self.calls.delay(max(0, failures - 1)))


def plain(word: object) -> str:
    """Kaggle's word for a state in small letters and nothing else, as "cancelacknowledged"."""
    return "".join(letter for letter in str(word or "").lower() if letter.isalpha())


def shown(word: object) -> str:
    """Kaggle's word for a state in a message: as it came, because it may be one that nobody here knows."""
    return f"in the state {word!r}"
