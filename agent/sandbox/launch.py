"""Starts the zygote's process: its command line, its environment, and the limits that it is to set."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import agent
from agent.sandbox.base import Limits
from agent.sandbox.protocol import ZygoteSettings

_BOOT = Path(__file__).parent / "inside" / "boot.py"
_ROOT = Path(agent.__file__).parent.parent
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "MPLBACKEND": "Agg",
    "PYTHONHASHSEED": "0",  # sets of strings are in the same order in each run
    "MALLOC_ARENA_MAX": "2",  # an arena for each thread would eat up the address space
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"),
}


def make_base() -> str:
    """A fresh directory for a zygote and its sessions."""
    base = tempfile.mkdtemp(prefix="sandbox-")
    Path(base).chmod(0o711)  # sessions under other users have to find their own directory in it
    return base


def launch_zygote(limits: Limits, base: str, control: int, without: frozenset[str]) -> subprocess.Popen[bytes]:
    """Start a zygote that reads from the descriptor `control` and leaves these layers out. Raises OSError."""
    settings = ZygoteSettings(
        base=base,
        control=control,
        memory=limits.memory_bytes,
        total_memory=limits.total_memory_bytes or _host_memory() // 2,
        scratch=limits.scratch_bytes,
        file=limits.file_bytes,
        entries=limits.scratch_entries,
        open_files=limits.open_files,
        threads=limits.threads,
        without=tuple(sorted(without)),
    )
    return subprocess.Popen(
        [sys.executable, "-s", "-P", "-B", str(_BOOT), str(_ROOT), settings.to_json()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=_ENVIRONMENT,
        pass_fds=[control],
        cwd="/",
    )


def _host_memory() -> int:
    """Bytes of memory of the host, or of the container where that has less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            total = min(total, int(Path(path).read_text()))
    return total
