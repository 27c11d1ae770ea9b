"""The filter before a cell's system calls, compiled to classic BPF (see seccomp(2)).

It is a list of what is allowed. What a cell might plausibly try fails with "operation not permitted", and
anything unknown with "function not implemented", upon which the C library takes an older way.
"""

from __future__ import annotations

import errno
import functools
import platform
import struct
from dataclasses import dataclass

from agent.sandbox.inside.layers.syscalls import Table

_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data

_ALLOW = 0x7FFF_0000
_KILL = 0x8000_0000
_AUDIT_ARCH = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
_X32_BIT = 0x4000_0000

_CLONE_FILES, _CLONE_THREAD = 0x0000_0400, 0x0001_0000  # a thread may not have descriptors of its own
# new namespaces (cgroup, uts, ipc, user, pid, net, mount, time) and a parent that is not the caller
_CLONE_NEVER = 0x7E02_0000 | 0x80 | 0x8000
_IOCTLS = (0x541B, 0x5421, 0x5450, 0x5451, 0x5401, 0x5413)  # FIONREAD FIONBIO FIONCLEX FIOCLEX TCGETS TIOCGWINSZ
_LOCKS = (6, 7, 37, 38)  # F_SETLK F_SETLKW F_OFD_SETLK F_OFD_SETLKW
_FCNTLS = (0, 1, 2, 3, 4, 5, 36, 1025, 1030, 1032, 1033, 1034)  # no signals to others, no leases, no larger pipes
_PRCTLS = (15, 16, 0x53564D41)  # PR_SET_NAME, PR_GET_NAME, PR_SET_VMA
_CLOSE_ON_EXEC = 4  # the only flag of close_range that leaves the descriptors shared by all threads
_UNIX, _STREAM, _TYPE_MASK = 1, 1, 0xF
_SHARED, _ANONYMOUS = 0x01, 0x20  # mmap: such memory stays when all but a page is unmapped
_STOPS = (19, 20, 21, 22)  # SIGSTOP SIGTSTP SIGTTIN SIGTTOU: a thread left behind could stop the next cell
_ALL = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class _Check:
    """Half an argument (`word` 2i: low, 2i+1: high half of argument i), masked, must be one of `values`, or none."""

    word: int
    mask: int
    values: tuple[int, ...]
    otherwise: int = errno.EPERM
    none: bool = False


def compile_filter(pid: int, *, private_files: bool, guard_truncate: bool) -> bytes:
    """The program for the process `pid` (its number in its own namespace).

    `private_files`: nothing outside the scratch directory belongs to its user, so it may change modes, owners
    and times; otherwise these calls do nothing and report success. `guard_truncate`: Landlock is blind to it.
    Raises KeyError on a machine whose system calls are not known.
    """
    machine = platform.machine()
    numbers = _table(machine).checked
    program = _prologue(machine)
    for name, checks in _checks(pid).items():
        program += _checked(numbers[name], checks)
    return program + unchecked(private_files=private_files, guard_truncate=guard_truncate)


@functools.cache
def unchecked(*, private_files: bool, guard_truncate: bool) -> bytes:
    """The part of the program that is the same for every process; made once, it costs no session any time."""
    table = _table(platform.machine())
    answers = (
        (table.free, _ALLOW),
        (table.ownership, _ALLOW if private_files else _error(0)),
        (table.pretended, _error(0)),
        (table.truncate, _error(errno.EPERM) if guard_truncate else _ALLOW),
        (table.forbidden, _error(errno.EPERM)),
        (table.unsupported, _error(errno.ENOTSUP)),  # fallocate, too: it could fill a disk between two looks
    )
    program = b"".join(_answer(number, action) for names, action in answers for number in names.values())
    return program + _instruction(_RETURN, _error(errno.ENOSYS))


_table = functools.cache(Table)


def _checks(pid: int) -> dict[str, list[_Check]]:
    return {
        "clone": [_Check(0, _CLONE_THREAD | _CLONE_FILES | _CLONE_NEVER, (_CLONE_THREAD | _CLONE_FILES,))],
        "kill": [_Check(0, _ALL, (pid,)), _Check(2, _ALL, _STOPS, none=True)],
        "tgkill": [_Check(0, _ALL, (pid,)), _Check(4, _ALL, _STOPS, none=True)],
        "prlimit64": [_Check(0, _ALL, (0, pid)), *_null(2)],  # reading limits, not setting them
        "sched_setaffinity": [_Check(0, _ALL, (0, pid))],
        "ioctl": [_Check(2, _ALL, _IOCTLS, errno.ENOTTY)],
        "fcntl": [_Check(2, _ALL, _FCNTLS + _LOCKS, errno.EINVAL), _Check(2, _ALL, _FCNTLS, 0)],
        "prctl": [_Check(0, _ALL, _PRCTLS)],
        "socketpair": [_Check(0, _ALL, (_UNIX,)), _Check(2, _TYPE_MASK, (_STREAM,))],
        "sendto": _null(4),  # no address
        "mmap": [_Check(6, _SHARED | _ANONYMOUS, (0, _SHARED, _ANONYMOUS))],
        "close_range": [_Check(4, ~_CLOSE_ON_EXEC & _ALL, (0,))],
    }


def _null(argument: int) -> list[_Check]:
    return [_Check(2 * argument, _ALL, (0,)), _Check(2 * argument + 1, _ALL, (0,))]


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _error(code: int) -> int:
    return 0x0005_0000 | code


def _prologue(machine: str) -> bytes:
    program = _instruction(_LOAD, _ARCHITECTURE)
    program += _instruction(_EQUAL, _AUDIT_ARCH[machine], 1, 0) + _instruction(_RETURN, _KILL)
    program += _instruction(_LOAD, _NUMBER)
    if machine == "x86_64":
        program += _instruction(_AT_LEAST, _X32_BIT, 0, 1) + _instruction(_RETURN, _error(errno.ENOSYS))
    return program


def _answer(number: int, action: int) -> bytes:
    return _instruction(_EQUAL, number, 0, 1) + _instruction(_RETURN, action)


def _checked(number: int, checks: list[_Check]) -> bytes:
    body = b"".join(_refuse_by(check) for check in checks) + _instruction(_RETURN, _ALLOW)
    return _instruction(_EQUAL, number, 0, len(body) // 8) + body


def _refuse_by(check: _Check) -> bytes:
    """Continue after the last instruction if the value is as the check wants it, else return the error."""
    last = len(check.values) - 1
    tests = [
        _instruction(_EQUAL, value, last - index, int(index == last))
        if check.none
        else _instruction(_EQUAL, value, last - index + 1)
        for index, value in enumerate(check.values)
    ]
    load = _instruction(_LOAD, _ARGUMENTS + 4 * check.word) + _instruction(_AND, check.mask)
    return load + b"".join(tests) + _instruction(_RETURN, _error(check.otherwise))
