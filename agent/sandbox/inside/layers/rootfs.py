"""A file system of a process's own: Python and its libraries, read-only, and nothing else of the machine."""

from __future__ import annotations

import functools
import os
import stat
import sys
from pathlib import Path

from agent.sandbox.inside.layers import kernel

# not /dev/zero: what is mapped of it, and shared, stays in memory, counted for nobody, when all but a page is unmapped
DEVICE_FILES = ("/dev/null", "/dev/full", "/dev/random", "/dev/urandom")
SCRATCH = "/scratch"
_SYSTEM = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
)
_PACKAGES = ("site-packages", "dist-packages")
# statvfs flags have the values of the mount flags, up to here: read-only, nosuid, nodev, noexec
_KEPT_FLAGS = 0xF


@functools.cache
def readable_paths() -> tuple[str, ...]:
    """What Python needs to find its modules and shared libraries later on, shortest first."""
    packages = [entry for entry in sys.path if Path(entry).name in _PACKAGES]
    prefixes = [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix]
    paths = {path for path in (*prefixes, *packages, *_SYSTEM) if path != "/" and Path(path).exists()}
    every = paths | {os.path.realpath(path) for path in paths}
    return tuple(sorted(every, key=lambda path: (len(path), path)))


def enter(mountpoint: str) -> None:
    """Move this process, in a mount namespace of its own, into a new root that it builds on `mountpoint`.

    Raises OSError where the system does not allow it; the process is then not fit for use.
    """
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", mountpoint, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,nr_inodes=1k,mode=0755")
    done: list[str] = []
    for path in (*readable_paths(), *DEVICE_FILES):
        inside_another = any(path.startswith(f"{other}/") for other in done)
        if not inside_another or Path(path).is_mount():
            _bind(path, mountpoint + path)
            done.append(path)
    Path(mountpoint + SCRATCH).mkdir(mode=0o755)
    flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("none", mountpoint, None, flags)
    os.chdir(mountpoint)
    kernel.pivot_root(".", ".")
    kernel.unmount(".")
    os.chdir("/")


def mount_scratch(size: int, entries: int, user: int) -> None:
    """Give this process, in a mount namespace of its own, an empty scratch directory in memory."""
    kernel.unshare(kernel.CLONE_NEWNS)
    options = f"size={size},nr_inodes={entries},mode=0700,uid={user},gid={user}"
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("tmpfs", SCRATCH, "tmpfs", flags, options)


def _bind(source: str, target: str) -> None:
    mode = Path(source).stat().st_mode
    if stat.S_ISDIR(mode):
        Path(target).mkdir(mode=0o755, parents=True, exist_ok=True)
    else:
        Path(target).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        Path(target).touch()
    kernel.mount(source, target, None, kernel.MS_BIND)
    flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_NOSUID | os.statvfs(source).f_flag & _KEPT_FLAGS
    if not stat.S_ISCHR(mode):
        flags |= kernel.MS_NODEV | kernel.MS_RDONLY
    kernel.mount("none", target, None, flags)
