"""Files that a session holds although they no longer have a name: open, or mapped and closed."""

from __future__ import annotations

import contextlib
import os
import stat

from agent.sandbox.inside.layers.layers import Layers

_CHUNK = 1 << 16
_DELETED = b" (deleted)"


def mapped(layers: Layers, pid: int) -> set[int]:
    """The inode numbers of the nameless files that a process has mapped. Raises OSError."""
    descriptor = layers.open_proc(f"{pid}/maps")
    found, rest = set(), b""
    try:
        while part := os.read(descriptor, _CHUNK):
            *lines, rest = (rest + part).split(b"\n")
            found |= {int(line.split(None, 5)[4]) for line in lines if line.endswith(_DELETED)}
    finally:
        os.close(descriptor)
    return found


def opened(layers: Layers, pid: int) -> dict[int, int]:
    """The inode numbers of the nameless files that a process has open, with their bytes on disk. Raises OSError."""
    found = {}
    directory = layers.open_proc(f"{pid}/fd")
    try:
        for name in os.listdir(directory):  # noqa: PTH208 - it has no path here
            with contextlib.suppress(OSError):  # closed meanwhile
                status = os.stat(name, dir_fd=directory)
                if stat.S_ISREG(status.st_mode) and not status.st_nlink:
                    found[status.st_ino] = status.st_blocks * 512
    finally:
        os.close(directory)
    return found


def held(layers: Layers, pid: int, file: int, known: set[int]) -> int:
    """Bytes of all of them, but for those `known`; one that is only mapped counts as `file` bytes, its most.

    0 where the process has ended meanwhile.
    """
    try:
        sizes = opened(layers, pid)
        only_mapped = mapped(layers, pid) - sizes.keys() - known
    except OSError:
        return 0
    return sum(sizes.values()) + file * len(only_mapped)
