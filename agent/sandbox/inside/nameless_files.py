"""Files of a session that no longer have a name but still take space: open, or mapped and closed."""

from __future__ import annotations

import contextlib
import os
import stat

from agent.sandbox.inside.layers.layers import Layers

_CHUNK = 1 << 16
_DELETED = b" (deleted)"


def mapped_inodes(layers: Layers, pid: int) -> set[int]:
    """Return the inode numbers of the nameless files that a process has mapped. Raises OSError."""
    descriptor = layers.open_proc(f"{pid}/maps")
    found, rest = set(), b""
    try:
        while part := os.read(descriptor, _CHUNK):
            *lines, rest = (rest + part).split(b"\n")
            found |= {int(line.split(None, 5)[4]) for line in lines if line.endswith(_DELETED)}
    finally:
        os.close(descriptor)
    return found


def open_inodes(layers: Layers, pid: int) -> dict[int, int]:
    """Return the nameless files that a process has open: inode number -> bytes on disk. Raises OSError."""
    found = {}
    directory = layers.open_proc(f"{pid}/fd")
    try:
        for name in os.listdir(directory):  # noqa: PTH208 - a descriptor has no path
            with contextlib.suppress(OSError):  # closed meanwhile
                status = os.stat(name, dir_fd=directory)
                if stat.S_ISREG(status.st_mode) and not status.st_nlink:
                    found[status.st_ino] = status.st_blocks * 512
    finally:
        os.close(directory)
    return found


def nameless_bytes(layers: Layers, pid: int, file: int, known: set[int]) -> int:
    """Return the bytes of a process's nameless files, without those whose inode numbers are `known`.

    One that is only mapped has no visible size and counts as `file` bytes, the limit. 0 if the process has ended.
    """
    try:
        sizes = open_inodes(layers, pid)
        only_mapped = mapped_inodes(layers, pid) - sizes.keys() - known
    except OSError:
        return 0
    return sum(sizes.values()) + file * len(only_mapped)
