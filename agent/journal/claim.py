"""Lock the directory of a run for the process that writes it, and make it first where it is missing."""

from __future__ import annotations

import fcntl
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from agent.errors import InputError
from agent.journal.journal import unwritable

LOCK_FILE = "run.lock"
_ATTEMPTS = 100  # to open a lock file whose directory others keep removing


@contextmanager
def claim(directory: Path) -> Iterator[None]:
    """Hold the directory for this process as long as the context lasts; the kernel frees that of a process that died.

    Folders that are made for it are removed again if nothing has been put into them. Raises InputError if another
    process has the directory or it is a file, JournalError if it cannot be written.
    """
    made: list[Path] = []
    try:
        with _locked(directory, partial(_make, directory, made)):
            yield
    finally:
        _remove_empty(made)


@contextmanager
def claim_fresh(parent: Path, name: str) -> Iterator[Path]:
    """Make and hold a directory that was not there before: `name` in the parent, or `name-2` and so on. See `claim`."""
    made: list[Path] = []
    try:
        directory = _make_fresh(parent, name, made)
        with _locked(directory, lambda: None):
            yield directory
    finally:
        _remove_empty(made)


def _make(directory: Path, made: list[Path]) -> None:
    """Make the directory and those above it; `made` takes each one that was missing."""
    try:
        if directory.is_file():
            raise InputError(f"{directory} is a file: name a directory for the run")
        for folder in [*reversed(directory.parents), directory]:
            with suppress(FileExistsError):
                folder.mkdir()
                made.append(folder)
    except OSError as error:
        raise unwritable(directory, error) from error


def _make_fresh(parent: Path, name: str, made: list[Path]) -> Path:
    for count in itertools.count(1):
        directory = parent / (name if count == 1 else f"{name}-{count}")
        _make(parent, made)
        try:
            directory.mkdir()
        except (FileExistsError, FileNotFoundError):  # another process made it, or removed its empty parent
            continue
        except OSError as error:
            raise unwritable(directory, error) from error
        made.append(directory)
        return directory
    raise AssertionError("the numbers do not end")


def _remove_empty(folders: list[Path]) -> None:
    with suppress(OSError):  # the first one with something in it keeps those above it too
        for folder in reversed(folders):
            folder.rmdir()


@contextmanager
def _locked(directory: Path, make: Callable[[], None]) -> Iterator[None]:
    path = directory / LOCK_FILE
    try:
        descriptor = _lock(path, make)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    except BlockingIOError as error:
        raise InputError(
            f"{directory} is in use by another run ({_holder(path)}): wait until that has ended, or name another "
            "directory"
        ) from error
    except OSError as error:
        raise unwritable(directory, error) from error
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # while it is held: see _lock
        os.close(descriptor)


def _lock(path: Path, make: Callable[[], None]) -> int:
    """The descriptor of the file, locked, in the directory that `make` creates where it is missing.

    Others may remove the file when they release it, or the directory when they recorded nothing: it is tried again.
    """
    for attempt in itertools.count(1):
        make()
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:
            if attempt < _ATTEMPTS:
                continue
            raise
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise AssertionError("the numbers do not end")


def _holder(path: Path) -> str:
    with suppress(OSError, ValueError):
        return f"process {int(path.read_text())}"
    return "of another process"
