"""Open files of a session that are known again by their flags, which takes a fraction of the time to ask for a file."""

from __future__ import annotations

import fcntl
import os

from agent.sandbox.inside.session.private import BUILTINS

__builtins__ = BUILTINS  # type: ignore[assignment] # the interpreter takes a dictionary, too

_NULL_FLAGS = os.O_RDWR | os.O_APPEND | os.O_DSYNC  # which nobody else opens a file with
_GET, _SET = fcntl.F_GETFL, fcntl.F_SETFL
_fstat, _open, _null = os.fstat, os.open, os.devnull
CLOSED = (0, 0)
"""Stands for the file behind a descriptor that is closed."""


class MarkedFiles:
    """The files behind some descriptors: pipes, sockets, and what `open_null` opened.

    A pipe or socket is marked as one to append to, which means nothing to it. Neither is a file that is opened by name
    ever without another flag, so what a cell puts in the place of one of them by accident has other flags. One that
    sets these flags on purpose is not noticed: `identity` tells. Where files with a name have no flag of their own, as
    on macOS, `are_there` is never true.
    """

    def __init__(self, *numbers: int) -> None:
        self._fcntl = fcntl.fcntl
        self._numbers, self._get = numbers, (_GET,) * len(numbers)
        self._flags = [(self._fcntl(number, _GET) | os.O_APPEND) & ~os.O_NONBLOCK for number in numbers]
        self.mark()

    def mark(self) -> None:
        """Mark these files, which must be the first ones, and make them wait."""
        for number, flags in zip(self._numbers, self._flags, strict=True):
            self._fcntl(number, _SET, flags)

    def are_there(self) -> bool:
        """Whether they are there, and wait, unless flags were set to deceive; if not, `identity` decides."""
        try:
            return _ARE_TELLING and [*map(self._fcntl, self._numbers, self._get)] == self._flags
        except OSError:  # closed
            return False


def identity(descriptor: int) -> tuple[int, int]:
    """Which file is behind a descriptor; zeros if it is closed."""
    try:
        status = _fstat(descriptor)
    except OSError:
        return CLOSED
    return status.st_dev, status.st_ino


def open_null() -> int:
    """Open what holds nothing to read, as the lowest descriptor that is free."""
    return _open(_null, _NULL_FLAGS)


def _are_telling() -> bool:
    """Whether a pipe's flags are not those of a file that is opened by its name to append to it."""
    read, write = os.pipe()
    named = os.open(os.devnull, os.O_WRONLY | os.O_APPEND)
    try:
        return fcntl.fcntl(write, _GET) | os.O_APPEND != fcntl.fcntl(named, _GET)
    finally:
        for descriptor in (read, write, named):
            os.close(descriptor)


_ARE_TELLING = _are_telling()
