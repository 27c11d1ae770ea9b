"""Measuring and wiping a session's scratch directory, whatever a cell has made of it.

Nothing here follows a link, and no step depends on how deep directories are nested.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEPTH = 24


@dataclass(slots=True)
class Usage:
    """Bytes on disk and number of entries; `closed` if there is a directory whose entries cannot be seen."""

    size: int = 0
    entries: int = 0
    closed: bool = False
    linked: set[int] = field(default_factory=set)  # inode numbers of files that have several names


def usage(path: str, most_entries: int) -> Usage:
    """What lies below `path`; counting stops beyond `most_entries`.

    Directories nested too deep for an open descriptor each count as if they were full.
    """
    found = Usage()
    try:
        descriptor = os.open(path, _DIRECTORY)
    except FileNotFoundError:
        return found
    except OSError:
        descriptor = _opened(path, None)
    _count(found, descriptor, most_entries, _DEPTH)
    return found


def _count(found: Usage, descriptor: int, most: int, depth: int) -> None:
    """Add what is in an open directory, and close it; -1 is one that cannot be opened."""
    if descriptor < 0:
        found.closed = True
        return
    try:
        with contextlib.suppress(OSError), os.scandir(descriptor) as entries:
            for entry in entries:
                found.entries += 1
                if found.entries > most:
                    break
                _count_entry(found, entry, descriptor, most, depth)
    finally:
        os.close(descriptor)


def _count_entry(found: Usage, entry: os.DirEntry[str], parent: int, most: int, depth: int) -> None:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    except OSError:  # the directory may be listed but not entered
        found.closed = True
        return
    is_directory = stat.S_ISDIR(status.st_mode)
    if status.st_nlink > 1 and not is_directory:
        if status.st_ino in found.linked:
            return
        found.linked.add(status.st_ino)
    found.size += status.st_blocks * 512
    if is_directory and not depth:
        found.entries += most
    elif is_directory:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # gone or replaced meanwhile
            _count(found, _opened(entry.name, parent), most, depth - 1)


def _opened(name: str, parent: int | None) -> int:
    """A descriptor of a directory, also of one that its owner has closed to itself; -1 where that cannot be had.

    Raises FileNotFoundError and NotADirectoryError.
    """
    for attempt in range(2):
        try:
            _check_entered(descriptor := os.open(name, _DIRECTORY, dir_fd=parent))
        except PermissionError:
            if attempt or not _open_up(name, parent):
                return -1
        except (FileNotFoundError, NotADirectoryError):
            raise
        except OSError:
            return -1
        else:
            return descriptor
    return -1


def _check_entered(descriptor: int) -> None:
    """Raise PermissionError, the descriptor being closed, for a directory whose entries cannot be looked at."""
    try:
        os.stat(".", dir_fd=descriptor)
    except PermissionError:
        os.close(descriptor)
        raise


def _open_up(name: str, parent: int | None) -> bool:
    """Give its owner all rights on a directory; a link that has taken its place is not followed."""
    with contextlib.suppress(OSError):
        descriptor = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            Path(f"/proc/self/fd/{descriptor}").chmod(mode | 0o700)
        finally:
            os.close(descriptor)
        return True
    return False


def wipe(path: str) -> None:
    """Remove a directory whose processes are gone, at once. Raises OSError."""
    for _ in wiping(path):
        pass


def wiping(path: str) -> Iterator[None]:
    """The same in small steps. What directories hold is first moved to the top, so depth is no matter."""
    count = itertools.count()
    with contextlib.suppress(FileNotFoundError):
        Path(path).chmod(0o700)
        while not _remove(path):
            with os.scandir(path) as entries:
                for entry in entries:
                    if not _remove(entry.path):
                        yield from _emptying(entry.path, path, count)
                    yield


def _emptying(own: str, top: str, count: Iterator[int]) -> Iterator[None]:
    """Remove a directory of the top, its own directories having been moved to the top under fresh names."""
    Path(own).chmod(0o700)
    while not _remove(own):
        with os.scandir(own) as entries:
            for entry in entries:
                if not _remove(entry.path):
                    Path(entry.path).chmod(0o700)  # moving a directory writes its `..`
                    free = (f"{top}/{n}" for n in count if not os.path.lexists(f"{top}/{n}"))
                    Path(entry.path).rename(next(free))
                yield


def _remove(path: str) -> bool:
    """Remove a file or an empty directory; whether it is gone. Raises OSError where it cannot be removed."""
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            Path(path).rmdir()
        else:
            Path(path).unlink()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True
