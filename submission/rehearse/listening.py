"""Notices when the notebook's server begins to listen, without calling it: it would take the call for the gateway's."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

from agent.files.whole_file import write_whole

SOCKETS = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
"""Where Linux lists its sockets; other systems have no such files."""

LISTENING_FILE = "listening-after.txt"
"""Two numbers: after how many seconds the server listened, and when that was on the machine's monotonic clock."""

_PAUSE_SECONDS = 0.1
_LISTENS = "0A"  # the state of a socket


def watch_for_server(port: int, noted: Path) -> None:
    """Write into a file after how many seconds from now something listens at the port, and when, once it does."""
    threading.Thread(target=_watch, args=(port, noted, time.monotonic()), daemon=True).start()


def is_listening(sockets: str, port: int) -> bool:
    """Whether the text of one of Linux's lists has a socket that listens at the port."""
    rows = (line.split() for line in sockets.splitlines()[1:])
    return any(len(row) > 3 and row[3] == _LISTENS and row[1].endswith(f":{port:04X}") for row in rows)


def _watch(port: int, noted: Path, began: float) -> None:
    while not any(is_listening(_text(path), port) for path in SOCKETS):
        time.sleep(_PAUSE_SECONDS)
    now = time.monotonic()
    write_whole(noted, f"{now - began:.1f} {now:.1f}\n")


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="ascii")
    return ""
