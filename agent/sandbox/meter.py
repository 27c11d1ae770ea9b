"""What a process has used, as far as the system tells: CPU time, and time spent waiting for a CPU."""

from __future__ import annotations

import os
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_USER, _SYSTEM = 11, 12  # fields of /proc/PID/stat behind the command's name


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process since its start; 0 where it cannot be told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[_USER]) + int(fields[_SYSTEM])) * _TICK


def waiting_seconds(pid: int) -> float:
    """Time that the first thread of a process was ready to run but had no CPU; 0 where it cannot be told."""
    try:
        descriptor = os.open(f"/proc/{pid}/schedstat", os.O_RDONLY)
    except OSError:
        return 0.0
    try:
        return int(os.read(descriptor, 100).split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0
    finally:
        os.close(descriptor)
