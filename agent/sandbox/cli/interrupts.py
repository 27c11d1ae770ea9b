"""The signals that end a command: SIGINT, SIGTERM and SIGHUP."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal came. Not a KeyboardInterrupt: Python may take itself for killed by SIGINT though one was caught."""


class Interrupts:
    """A handler for these signals, of which the first counts.

    It raises Interrupted, or, where something is to be called instead, calls `cancel`. `number` is the signal
    that came, 0 before.
    """

    def __init__(self) -> None:
        self.number = 0
        self.cancel: Callable[[], object] | None = None

    @property
    def status(self) -> int:
        """The exit status of a command that such a signal ended."""
        return 128 + (self.number or signal.SIGINT)

    def install(self) -> None:
        """Handle the signals, other than those that the caller has ignored, as `nohup` does."""
        for number in _ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self)

    def ignore(self) -> None:
        """Let no signal disturb what is left to do."""
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if self.number:
            return
        self.number = number
        if self.cancel is None:
            raise Interrupted
        self.cancel()
