"""An incremental detector of endless repetition in a stream of text."""

from __future__ import annotations

WINDOW = 1_400
"""Characters that must be one exact cycle: about 400 tokens.

Longer than what mathematics repeats by intent: a rule of dashes, a zero matrix of 18 rows and columns in LaTeX, a
sentence of 300 characters said four times. Lines that differ in one digit are no cycle.
"""

MAX_PERIOD = 600
"""The longest cycle found, in characters: a paragraph.

The window holds two and a third of it. Two copies may be meant (a program shown, then shown again as final); who
starts on the third does not stop.
"""

STRIDE = 100
"""Characters between two looks at the window, so a loop is reported within `WINDOW + STRIDE` of its start."""


class RepetitionGuard:
    """Tells when the text fed to it has run into an endless loop.

    It looks at the last `WINDOW` characters wherever the stream's length is a multiple of `STRIDE`, so its verdict
    does not depend on how the stream is cut into pieces. The cost of a character is constant, and so is the memory.
    """

    def __init__(self) -> None:
        self._window = ""
        self._pending = ""  # fed, but not yet a whole stride
        self._repeating = False

    def feed(self, text: str) -> bool:
        """Take the next piece of the stream; True from the moment its tail is a loop, and ever after."""
        pending = self._pending + text
        whole = len(pending) - len(pending) % STRIDE
        for start in range(0, whole, STRIDE):
            if self._repeating:
                break
            self._window = (self._window + pending[start : start + STRIDE])[-WINDOW:]
            self._repeating = len(self._window) == WINDOW and _is_cycle(self._window)
        self._pending = pending[whole:]
        return self._repeating


def _is_cycle(window: str) -> bool:
    """Whether the window repeats with one period of at most `MAX_PERIOD` characters.

    Only the smallest shift that maps the window's head onto itself can be that period. The head is longer than
    `MAX_PERIOD`, so by the theorem of Fine and Wilf (1965) a smaller shift divides every period there is.
    """
    head = window[:-MAX_PERIOD]
    period = window.find(head, 1)
    return period > 0 and window[period:] == window[:-period]
