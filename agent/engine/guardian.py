"""Run a server as a child process and kill it with all its descendants when our parent dies.

Started by `ServerProcess` as a process of its own. The server is killed when standard input closes, which happens
however the parent ends. Orphaned descendants are reparented to the guardian (Linux), so none escapes. If the guardian
itself is killed with SIGKILL, so is the server (Linux), but not its children unless they watch it.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_POLL_SECONDS = 0.1
_KILL_SECONDS = 10.0  # a process that is inside the kernel (a GPU driver) may take that long to exit


def main() -> None:
    """Run the command given as arguments until it ends or standard input closes; exit with its status."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_die_with_us)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # the parent decides
    while server.poll() is None and not _closed():
        pass
    status = server.poll()
    _end_all(server.pid)
    sys.exit(1 if status is None else abs(status))


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _die_with_us() -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _closed() -> bool:
    """Whether standard input has closed; waits up to the poll interval."""
    readable, _, _ = select.select([0], [], [], _POLL_SECONDS)
    return bool(readable) and not os.read(0, 1)


def _end_all(group: int) -> None:
    """Kill the server's process group and every descendant, and reap them."""
    end = time.monotonic() + _KILL_SECONDS
    while time.monotonic() < end:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
        for pid in _descendants():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.02)


def _descendants() -> list[int]:
    """Return the process ids of all descendants; empty where there is no /proc."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    family = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sorted(family - {os.getpid()})


if __name__ == "__main__":
    main()
