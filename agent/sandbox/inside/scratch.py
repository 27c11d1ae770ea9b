"""Measuring and wiping a session's scratch directory, whatever a cell has done to it.

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
_FULL = (errno.ENOTEMPTY, errno.EEXIST)


@dataclass(slots=True)
class ScratchUsage:
    """Bytes on disk and number of entries; `closed` if there is a directory whose entries cannot be seen."""

    size: int = 0
    entries: int = 0
    closed: bool = False
    linked: set[int] = field(default_factory=set)  # inode numbers of files that have several names


def usage(path: str, most_entries: int) -> ScratchUsage:
    """Measure what is below `path`; counting stops beyond `most_entries`.

    Directories nested too deep for an open descriptor each count as if they were full.
    """
    found = ScratchUsage()
    try:
        descriptor = os.open(path, _DIRECTORY)
    except FileNotFoundError:
        return found
    except OSError:
        descriptor = _opened(path, None)
    _count(found, descriptor, most_entries, _DEPTH)
    return found


def _count(found: ScratchUsage, descriptor: int, most: int, depth: int) -> None:
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


def _count_entry(found: ScratchUsage, entry: os.DirEntry[str], parent: int, most: int, depth: int) -> None:
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
    """Open a directory, even one whose mode locks out its owner, and return the descriptor; -1 if that is not possible.

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
    """Remove a directory whose processes have ended, in one go. Raises OSError."""
    for _ in wiping(path):
        pass


def wiping(path: str) -> Iterator[None]:
    """Do the same in small steps. What directories hold is first moved to the top, so depth does not matter.

    Names that a cell chose are given to the system alone: `pathlib` may keep each one for ever.
    """
    count = itertools.count()
    with contextlib.suppress(FileNotFoundError):
        Path(path).chmod(0o700)
        top = os.open(path, _DIRECTORY)
        try:
            while not _remove_directory(path, None):
                with os.scandir(top) as entries:
                    for entry in entries:
                        if not _remove(entry, top):
                            yield from _emptying(entry.name, top, count)
                        yield
        finally:
            os.close(top)


def _emptying(own: str, top: int, count: Iterator[int]) -> Iterator[None]:
    """Remove a directory of the top, its own directories having been moved to the top under fresh names."""
    os.chmod(own, 0o700, dir_fd=top)
    directory = os.open(own, _DIRECTORY, dir_fd=top)
    try:
        while not _remove_directory(own, top):
            with os.scandir(directory) as entries:
                for entry in entries:
                    if not _remove(entry, directory):
                        os.chmod(entry.name, 0o700, dir_fd=directory)  # moving a directory writes its `..`
                        _move(entry.name, directory, top, count)
                    yield
    finally:
        os.close(directory)


def _move(name: str, parent: int, top: int, count: Iterator[int]) -> None:
    """Move a directory to the top under the first number that is free there, or that an empty directory has."""
    for number in count:
        try:
            os.rename(name, str(number), src_dir_fd=parent, dst_dir_fd=top)
        except OSError as error:
            if error.errno not in (*_FULL, errno.ENOTDIR):
                raise
        else:
            return


def _remove(entry: os.DirEntry[str], parent: int) -> bool:
    """Remove a file or an empty directory; return whether it is gone. Raises OSError where it cannot be removed."""
    if entry.is_dir(follow_symlinks=False):
        return _remove_directory(entry.name, parent)
    os.unlink(entry.name, dir_fd=parent)
    return True


def _remove_directory(name: str, parent: int | None) -> bool:
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        return False
    return True
