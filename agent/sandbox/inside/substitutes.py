"""Replaces parts of the standard library that need refused system calls by ones that do the same without them."""

from __future__ import annotations

import asyncio.selector_events
import mmap as library
from typing import Any

_SHARED, _PRIVATE = library.MAP_SHARED, library.MAP_PRIVATE
_PROTECTION = {library.ACCESS_READ: library.PROT_READ, library.ACCESS_WRITE: library.PROT_READ | library.PROT_WRITE}


class mmap(library.mmap):  # noqa: N801 - the library's name
    """`mmap.mmap` in a session: memory without a file is private, as no other process could share it anyway."""

    def __new__(cls, fileno: int, length: int, *args: Any, **kwargs: Any) -> mmap:
        """Create the mapping; arguments and errors are those of the library."""
        if fileno == -1 and not args:
            access = kwargs.pop("access", library.ACCESS_DEFAULT)
            if access in _PROTECTION and not kwargs.keys() & {"flags", "prot"}:
                kwargs.update(flags=_SHARED, prot=_PROTECTION[access])
            elif access != library.ACCESS_DEFAULT:
                kwargs["access"] = access
            if "access" not in kwargs:
                kwargs["flags"] = _private(kwargs.get("flags", _SHARED))
        elif fileno == -1:
            args = (_private(args[0]), *args[1:])
        return super().__new__(cls, fileno, length, *args, **kwargs)


def replace() -> None:
    """Install the replacements in the standard library."""
    mmap.__module__ = "mmap"
    vars(library)["mmap"] = mmap
    if hasattr(asyncio.selector_events, "_HAS_SENDMSG"):
        vars(asyncio.selector_events)["_HAS_SENDMSG"] = False


def _private(flags: int) -> int:
    return flags & ~_SHARED | _PRIVATE if flags & _SHARED else flags
