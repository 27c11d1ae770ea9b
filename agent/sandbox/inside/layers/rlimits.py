"""The kernel's limits on one process."""

from __future__ import annotations

import resource
import sys

from agent.sandbox.protocol import ZygoteSettings

_STACK = 64 << 20
_CPU_SECONDS = 3_600  # for a whole session; a cell's own limit is kept by the controller


def grow_stack() -> None:
    """Let the first thread's stack grow for deep recursion; threads keep the size set before."""
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (_within(_STACK, hard), hard))


def apply(settings: ZygoteSettings, base_memory: int, *, own_user: bool) -> None:
    """Limit this process permanently; `base_memory` is the address space, in bytes, that it starts with.

    The number of threads is limited only where nothing else runs under the process's user.
    """
    limits = {
        resource.RLIMIT_AS: base_memory + settings.memory,
        resource.RLIMIT_FSIZE: settings.file,
        resource.RLIMIT_NOFILE: settings.open_files,
        resource.RLIMIT_CORE: 1,  # byte: no file, and, other than 0, nothing for a program that takes dumps either
        resource.RLIMIT_CPU: _CPU_SECONDS,
        resource.RLIMIT_MEMLOCK: 0,
    }
    if sys.platform == "darwin":  # which refuses this one
        del limits[resource.RLIMIT_AS]
    if own_user:
        limits[resource.RLIMIT_NPROC] = settings.threads
    for name in ("RLIMIT_MSGQUEUE", "RLIMIT_RTPRIO", "RLIMIT_NICE", "RLIMIT_SIGPENDING"):
        if hasattr(resource, name):
            limits[getattr(resource, name)] = 64 if name == "RLIMIT_SIGPENDING" else 0
    for kind, value in limits.items():
        _, hard = resource.getrlimit(kind)
        value = _within(value, hard)
        resource.setrlimit(kind, (value, value))
    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (soft, soft))


def _within(value: int, hard: int) -> int:
    return value if hard == resource.RLIM_INFINITY else min(value, hard)
