"""The cells that made a session's variables, as long as running them again takes little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_MAX_SECONDS = 1.0
_MAX_BYTES = 1 << 20
_MIN_LIMIT_SECONDS = 4.0  # in which even a busy host has a process ready


class PastCell(NamedTuple):
    """A cell that ended by itself, and its status."""

    source: bytes
    status: int


class History:
    """All cells of a session in order, or none: `cells` is empty once running them again would take too long."""

    def __init__(self) -> None:
        self._cells: list[PastCell] = []
        self._seconds = 0.0
        self._bytes = 0
        self.is_whole = True  # whether no cell has changed the variables in a way that cannot be reproduced

    @property
    def cells(self) -> Sequence[PastCell]:
        """The cells that make the same variables in a new process of the same seed."""
        return tuple(self._cells)

    @property
    def limit(self) -> float:
        """Seconds within which they must end when they are run again."""
        return 2 * self._seconds + _MIN_LIMIT_SECONDS

    def add(self, source: bytes, status: int, seconds: float) -> None:
        """Record a cell that ended by itself after so many seconds, not counting those that it waited for a CPU."""
        self._seconds += seconds
        self._bytes += len(source)
        if self._seconds > _MAX_SECONDS or self._bytes > _MAX_BYTES:
            self.spoil()
        elif self.is_whole:
            self._cells.append(PastCell(source, status))

    def spoil(self) -> None:
        """Record that a cell has changed the variables in a way that cannot be reproduced."""
        self.is_whole = False
        self._cells.clear()
