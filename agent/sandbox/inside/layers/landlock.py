"""Landlock: a process permanently gives up all files, sockets and signals that no rule allows it.

The numbers are those of <linux/landlock.h>; what a kernel knows grows with its ABI version.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable

from agent.sandbox.inside.layers import kernel

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_QUERY_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_SOCK, _MAKE_BLOCK = 1 << 6, 1 << 9, 1 << 11
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_ALL_TCP = 0b11  # bind, connect
_ALL_SCOPES = 0b11  # abstract unix sockets, signals


def version() -> int:
    """The ABI version of this kernel's Landlock; raises OSError where there is none."""
    return kernel.syscall(_CREATE_RULESET, None, 0, _QUERY_VERSION)


def restrict(readable: Iterable[str], writable: str, devices: Iterable[str]) -> None:
    """Leave this process reading `readable`, reading and writing `writable` and `devices`, and nothing else.

    Needs no_new_privs. Paths that do not exist are passed over. Raises OSError.
    """
    abi = version()
    handled = _file_rights(abi)
    fields = [handled, *([_ALL_TCP] if abi >= 4 else []), *([_ALL_SCOPES] if abi >= 6 else [])]
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    ruleset = kernel.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for path in readable:
            _allow(ruleset, path, _READ_FILE | _READ_DIR)
        for path in devices:
            _allow(ruleset, path, _READ_FILE | _WRITE_FILE)
        _allow(ruleset, writable, handled & ~(_EXECUTE | _MAKE_CHAR | _MAKE_SOCK | _MAKE_BLOCK | _IOCTL_DEV))
        kernel.syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _file_rights(abi: int) -> int:
    known = {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)  # how many rights on files the version knows
    return (1 << known) - 1


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _FILE_RIGHTS
        kernel.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)
