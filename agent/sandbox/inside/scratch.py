"""Measuring and wiping a session's scratch directory, whatever a cell has made of it.

Nothing here follows a link, and no step depends on how deep directories are nested.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEPTH = 24


def usage(path: str, most_entries: int) -> tuple[int, int]:
    """Bytes on disk and number of entries below `path`; counting stops beyond `most_entries`.

    Directories nested too deep for an open descriptor each count as if they were full.
    """
    try:
        descriptor = os.open(path, _DIRECTORY)
    except OSError:
        return 0, 0
    try:
        return _usage(descriptor, most_entries, _DEPTH)
    finally:
        os.close(descriptor)


def _usage(descriptor: int, most: int, depth: int) -> tuple[int, int]:
    size = entries = 0
    with os.scandir(descriptor) as found:
        for entry in found:
            entries += 1
            if entries > most:
                break
            try:
                status = entry.stat(follow_symlinks=False)
                size += status.st_blocks * 512
                if not stat.S_ISDIR(status.st_mode):
                    continue
                below = os.open(entry.name, _DIRECTORY, dir_fd=descriptor)
            except OSError:  # gone meanwhile, or closed to us
                continue
            try:
                more = _usage(below, most - entries, depth - 1) if depth else (0, most)
            finally:
                os.close(below)
            size, entries = size + more[0], entries + more[1]
    return size, entries


def wipe(path: str) -> None:
    """Remove a directory whose processes are gone; nested ones are first moved up, so depth is no matter."""
    count = 0
    while True:
        directories = []
        try:
            Path(path).chmod(0o700)
            names = [entry.name for entry in Path(path).iterdir()]
        except FileNotFoundError:
            return
        for name in names:
            if _is_directory(f"{path}/{name}"):
                directories.append(name)
            else:
                Path(path, name).unlink()
        if not directories:
            Path(path).rmdir()
            return
        for name in directories:
            count = _empty(path, name, count)


def _empty(path: str, name: str, count: int) -> int:
    """Remove one directory of the top, its own directories having been moved to the top under fresh names."""
    own = f"{path}/{name}"
    Path(own).chmod(0o700)
    for inner in [entry.name for entry in Path(own).iterdir()]:
        inside = f"{own}/{inner}"
        if _is_directory(inside):
            Path(inside).chmod(0o700)  # moving a directory writes its `..`
            while os.path.lexists(target := f"{path}/{count}"):
                count += 1
            Path(inside).rename(target)
        else:
            Path(inside).unlink()
    Path(own).rmdir()
    return count


def _is_directory(path: str) -> bool:
    return stat.S_ISDIR(os.lstat(path).st_mode)
