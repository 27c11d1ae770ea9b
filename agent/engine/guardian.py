"""Runs a server as its child, then ends it with all its descendants; run as a process of its own by `ServerProcess`.

The server ends when standard input closes, as it does when the parent dies, however that happens. Descendants that lose
their parent become the guardian's (Linux), so none escapes. It does not survive its own SIGKILL: the server itself then
gets one too (Linux), its children only if they watch it.
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
_PAUSE = 0.1  # seconds between two looks at the server
_LONGEST_END = 10.0  # a process in the kernel's hands (a GPU driver) may take that long to go


def main() -> None:
    """Run the command given as arguments until it ends or standard input closes; exits with its status."""
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
    """Whether standard input has closed; waits for it a little."""
    readable, _, _ = select.select([0], [], [], _PAUSE)
    return bool(readable) and not os.read(0, 1)


def _end_all(group: int) -> None:
    """Kill the server's process group and every descendant, and wait until they are gone."""
    end = time.monotonic() + _LONGEST_END
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
    """Process ids of all descendants; empty where there is no /proc."""
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
