"""Checks that the next cell can get address space, and keeps a reserve for when a cell has used up all of it."""

from __future__ import annotations

import mmap

from agent.sandbox.inside.session.private import BUILTINS

__builtins__ = BUILTINS  # type: ignore[assignment] # the interpreter takes a dictionary, too

_HEADROOM = 16 << 20  # bytes that a cell must be able to have
_RESERVE = 2 * _HEADROOM  # bytes kept, untouched, so that a session whose variables fill its memory can be used
_PLENTY = 64 << 20  # bytes

_FLAGS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
_map = mmap.mmap


class Room:
    """The reserve; checks do not touch memory."""

    def __init__(self) -> None:
        self._reserve = _mapped(_RESERVE)

    @property
    def is_kept(self) -> bool:
        """Whether the reserve is there."""
        return self._reserve is not None

    def is_there(self) -> bool:
        """Whether a cell can get enough; a released reserve is taken back as soon as there is enough for both."""
        if self._reserve is None:
            self._reserve = _mapped(_RESERVE + _HEADROOM) and _mapped(_RESERVE)
        headroom = _mapped(_HEADROOM)
        if headroom is None:
            return False
        headroom.close()
        return True

    def is_low(self) -> bool:
        """Whether less is left than a pool of threads takes."""
        plenty = _mapped(_PLENTY)
        if plenty is None:
            return True
        plenty.close()
        return False

    def give(self) -> bool:
        """Release the reserve; return whether there is enough now."""
        if self._reserve is None:
            return False
        self._reserve.close()
        self._reserve = None
        headroom = _mapped(_HEADROOM)
        return headroom is not None


def _mapped(size: int) -> mmap.mmap | None:
    try:
        return _map(-1, size, _FLAGS)
    except OSError:
        return None
