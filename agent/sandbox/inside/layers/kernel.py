"""Linux system calls that the standard library does not offer, made through the C library."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

# PyDLL keeps the interpreter lock, so nothing else runs between a call and the reading of its errno.
_LIBC = ctypes.PyDLL(None, use_errno=True)

CLONE_NEWNS = 0x0002_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2

_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION_3 = 0x2008_0522


def _checked(name: str, result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def unshare(flags: int) -> None:
    """Give this process new namespaces; for CLONE_NEWPID, its next child."""
    _checked("unshare", _LIBC.unshare(ctypes.c_int(flags)))


def setns(descriptor: int, kind: int) -> None:
    """Enter the namespace behind an open /proc/PID/ns file."""
    _checked("setns", _LIBC.setns(ctypes.c_int(descriptor), ctypes.c_int(kind)))


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """mount(2)."""
    arguments = [None if text is None else text.encode() for text in (source, target, kind, data)]
    result = _LIBC.mount(*arguments[:3], ctypes.c_ulong(flags), arguments[3])
    _checked(f"mount {target}", result)


def unmount(target: str) -> None:
    """Detach a mount, busy or not."""
    _checked(f"umount {target}", _LIBC.umount2(target.encode(), ctypes.c_int(MNT_DETACH)))


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2)."""
    syscall(_PIVOT_ROOT[platform.machine()], new.encode(), old.encode())


def prctl(option: int, *arguments: int) -> None:
    """prctl(2) with up to four numbers."""
    padded = [ctypes.c_ulong(number) for number in (*arguments, 0, 0, 0, 0)[:4]]
    _checked(f"prctl {option}", _LIBC.prctl(ctypes.c_int(option), *padded))


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """Make any system call by its number."""
    values = [
        ctypes.c_long(argument) if isinstance(argument, int) else ctypes.c_char_p(argument) for argument in arguments
    ]
    return _checked(f"system call {number}", int(_LIBC.syscall(ctypes.c_long(number), *values)))


def drop_capabilities() -> None:
    """Drop all capabilities of this thread permanently."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    syscall(_CAPSET[platform.machine()], header, bytes(24))


def install_filter(program: bytes) -> None:
    """Filter every later system call of this process with a classic BPF program (8 bytes an instruction)."""
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    holder = ctypes.create_string_buffer(header, len(header))
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(holder))
