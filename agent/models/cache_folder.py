"""Where models are kept, and how one process at a time writes there."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TextIO

import platformdirs
from rich.console import Console

from agent.errors import ModelError
from agent.models.own_file import at_home

CACHE_VARIABLE = "AIMO_AGENT_CACHE"
_CLOCK_STEP = 2_000_000_000  # nanoseconds in which a file may change twice with the same time of change
_FULL = (errno.ENOSPC, errno.EDQUOT)
_UNWRITABLE = (errno.EIO, errno.EFBIG, errno.EROFS)


def models_folder() -> Path:
    """Return the directory of downloaded models: in AIMO_AGENT_CACHE if set, else in the user's cache directory.

    Raises ModelError if neither is known.
    """
    own = os.environ.get(CACHE_VARIABLE)
    if own:
        return at_home(own) / "models"
    try:
        folder = platformdirs.user_cache_path("aimo-agent")
    except RuntimeError:
        folder = Path("~")
    if not folder.is_absolute():  # older versions of platformdirs leave the tilde as it is
        raise ModelError(f"there is no home directory to store models in: set {CACHE_VARIABLE} to a directory")
    return folder / "models"


@contextmanager
def locked(target: Path, console: Console | None) -> Iterator[None]:
    """Let one process at a time fetch or remove a file; the kernel frees the lock of a process that died.

    Another one is waited for, which the console says. Without a console BlockingIOError is raised instead.
    """
    while True:
        target.parent.mkdir(parents=True, exist_ok=True)
        with lock_of(target).open("w") as file:
            _lock(file, target, console)
            if _is_at(file, lock_of(target)):
                yield
                return
            # Whoever removed the model meanwhile took the lock file along, and another process may hold a new one.


def _lock(file: TextIO, target: Path, console: Console | None) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if console is None:
            raise
        console.print(f"another process is fetching {target.name}: waiting for it", soft_wrap=True)
        fcntl.flock(file, fcntl.LOCK_EX)


def _is_at(file: TextIO, path: Path) -> bool:
    """Whether the open file is still the one at the path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def lock_of(target: Path) -> Path:
    """The lock file of a file."""
    return target.with_name(f"{target.name}.lock")


def check_room(folder: Path, size: int, what: str) -> None:
    """Raise ModelError if the disk of a directory, which exists, has no room for `size` more bytes."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise ModelError(
            f"{what} needs {spoken_size(size)} in {folder}, whose disk has {spoken_size(free)}: {_MAKE_ROOM}"
        )


_MAKE_ROOM = f"make room (python -m agent.models lists what can go), or set {CACHE_VARIABLE} to a directory elsewhere"


def disk_problem(error: OSError, folder: Path) -> str:
    """Return what to do about an error of writing into a directory, "" for an error of another kind."""
    if error.errno in _FULL:
        return f"the disk of {folder} is full: {_MAKE_ROOM}; what has been downloaded stays, and is resumed"
    if error.errno in _UNWRITABLE:
        return f"{folder} cannot be written ({error.strerror}): set {CACHE_VARIABLE} to a directory elsewhere"
    return ""


def spoken_size(size: int) -> str:
    """Write a size in bytes for people.

    >>> spoken_size(1_117_320_768), spoken_size(98_362_432), spoken_size(12)
    ('1.12 GB', '98.4 MB', '0.012 kB')
    """
    for unit, length in (("GB", 1e9), ("MB", 1e6)):
        if size >= length:
            return f"{size / length:.3g} {unit}"
    return f"{size / 1e3:.3g} kB"


def file_digest(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal digits, "" where there is none.

    A file that this process has read before and that has not changed since is not read again: 1.1 GB take 0.75 s on a
    processor with SHA instructions.
    """
    try:
        found = path.stat()
    except OSError:
        return ""
    if time.time_ns() - found.st_mtime_ns < _CLOCK_STEP:
        return _read_digest(path)
    return _known_digest(path, found.st_size, found.st_mtime_ns, found.st_ino)


@lru_cache(maxsize=16)
def _known_digest(path: Path, size: int, changed: int, node: int) -> str:
    return _read_digest(path)


def _read_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
