"""Wait for Kaggle to process a run or a dataset, and distinguish its end from that of the previous version."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from submission.push.kaggle_calls import Calls, KaggleError, RefusedError, UnansweredError

SETTLING_LOOKS = 20  # a state seen this often in a row is not left over from the previous version
_NOT_THERE = (403, 404)  # Kaggle also responds 403 for what does not exist yet


@dataclass(frozen=True, slots=True)
class KaggleState:
    """The result of one poll: the `state`, whether it is `over`, and `why` it ended so if Kaggle says so."""

    state: str
    over: bool = False
    why: str = ""


class StateTracker:
    """Detects whether the new version has been `seen`.

    For a while Kaggle reports the state of the previous version. A state is that of the new version after any sign of
    a start, or once it was found `SETTLING_LOOKS` times in a row.
    """

    def __init__(self) -> None:
        self.seen = False
        self._state = ""
        self._looks = 0

    def note(self, state: str, *, starts: bool = False) -> bool:
        """Record a polled state, which may be a sign of a start; return whether it is that of the new version."""
        self._looks = self._looks + 1 if state == self._state else 1
        self._state = state
        self.seen = self.seen or starts or self._looks >= SETTLING_LOOKS
        return self.seen


@dataclass(frozen=True, slots=True)
class KaggleWatch:
    """Polls until something is over, with the pauses of `calls`, and shows that on the console."""

    calls: Calls
    console: Console

    def until_over(self, look: Callable[[], KaggleState], what: str, limit: float) -> KaggleState:
        """Poll until it is over and return that result. A poll that fails because Kaggle does is repeated.

        Raises KaggleError, naming the last state, after `limit` seconds; RefusedError if looking is refused for good.
        """
        began = time.monotonic()
        state, failures, refusals, problem = "not seen yet", 0, 0, ""
        with self.console.status(what) as status:
            while True:
                try:
                    found = look()
                    if found.over:
                        return found
                    state, failures, refusals, problem = found.state, 0, 0, ""
                except UnansweredError as error:
                    failures, problem = failures + 1, f" ({error})"
                except RefusedError as error:
                    refusals, problem = refusals + 1, f" ({error})"
                    if error.status not in _NOT_THERE or refusals == SETTLING_LOOKS:
                        raise
                gone = time.monotonic() - began
                if gone > limit:
                    message = f"{what} is still {state} after {gone / 60:.0f} min{problem}"
                    raise KaggleError(f"{message}: look at it on kaggle.com")
                status.update(Text(f"{what} is {state}, {gone / 60:.0f} min{problem}"))
                time.sleep(self.calls.delay(max(0, failures - 1)))


def plain(word: object) -> str:
    """Normalize Kaggle's name of a state to lower-case letters, as "cancelacknowledged"."""
    return "".join(letter for letter in str(word or "").lower() if letter.isalpha())


def shown(word: object) -> str:
    """Format Kaggle's name of a state for a message, verbatim, because it may be an unknown one."""
    return f"in the state {word!r}"
