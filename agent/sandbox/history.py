"""The cells that made a session's variables, as long as running them again takes little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_MOST_SECONDS = 1.0
_MOST_BYTES = 1 << 20
_LEAST_LIMIT = 4.0  # seconds in which a busy host has a process ready


@dataclass(frozen=True, slots=True)
class Past:
    """A cell that ended by itself, with this status."""

    source: bytes
    status: int


class History:
    """All cells of a session in order, or none: `cells` is empty once they are too many to be run again."""

    def __init__(self) -> None:
        self._cells: list[Past] = []
        self._seconds = 0.0
        self._bytes = 0
        self._whole = True

    @property
    def cells(self) -> Sequence[Past]:
        """The cells that make the same variables in a new process of the same seed."""
        return tuple(self._cells)

    @property
    def limit(self) -> float:
        """Seconds in which they have to end when they are run again."""
        return 2 * self._seconds + _LEAST_LIMIT

    def add(self, source: bytes, status: int, seconds: float) -> None:
        """A cell has ended by itself and took so many seconds, but for those that it waited for a CPU."""
        self._seconds += seconds
        self._bytes += len(source)
        if self._seconds > _MOST_SECONDS or self._bytes > _MOST_BYTES:
            self.spoil()
        elif self._whole:
            self._cells.append(Past(source, status))

    def spoil(self) -> None:
        """A cell has changed the variables in a way that cannot be had again."""
        self._whole = False
        self._cells.clear()
