"""What the notebook's own process notes of a run, and the page of the run that it keeps up to date beside it.

Nothing of this may cost an answer: whatever fails is printed once, and the run continues.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path

from agent.summary.run_page import NOTES_FILE, write_run_page
from submission.protocol import SandboxTried, SetupChosen, StartupPart, WorkerEvent, WorkerStarted
from submission.serving.predictor import print_safely

_SAMPLE_SECONDS = 5.0  # between two looks at the memory
_WRITE_SECONDS = 30.0  # at most, for a page that is being written to be done
_MEMORY_FILE = Path("/proc/meminfo")


class RunNotes:
    """Notes in the run's `folder` how the worker starts and how much memory is in use, and keeps `page` up to date.

    `seconds` gives the time since the notebook's start.
    """

    def __init__(self, folder: Path, page: Path, seconds: Callable[[], float]) -> None:
        self._folder = folder
        self._page = page
        self._seconds = seconds
        self._wanted = threading.Event()
        self._most = (0, 0)
        self._remembering = threading.Lock()
        self._writing = threading.Lock()
        self._workers = 0
        self._failures: set[str] = set()

    def start(self) -> None:
        """Keep memory and page in a thread of its own, which ends with the process."""
        self._survive(threading.Thread(target=self._keep, daemon=True).start)

    def hear(self, event: WorkerEvent) -> None:
        """Note what the worker says of its start."""
        match event:
            case SetupChosen(text) | SandboxTried(text):
                self.add("setup", text=text)
            case StartupPart(part, seconds):
                self.add("start", part=part, seconds=seconds)
            case WorkerStarted(failure, at):
                self.add("started", failure=failure, monotonic=at)
            case _:
                pass

    def worker_starts(self) -> None:
        """Note that a worker is started: the first one, or another in its place."""
        now = self._seconds()
        if self._workers:
            self.add("start", part=f"another worker, at {now:.0f} s", seconds=0.0)
        else:
            self.add("start", part="notebook", seconds=now)
        self._workers += 1

    def add(self, kind: str, **values: object) -> None:
        """Append a note."""

        def append() -> None:
            row = {"kind": kind, "at": self._seconds(), **values}
            with (self._folder / NOTES_FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")

        self._survive(append)

    def want_page(self) -> None:
        """Have the page written soon; returns at once."""
        self._wanted.set()

    def look_at_memory(self) -> None:
        """Remember how much memory is in use if it is the most so far, until that is noted with the page."""
        self._survive(self._look)

    def write_page(self) -> None:
        """Note the most memory in use, and write the page now."""
        with self._remembering:
            (used, total), self._most = self._most, (0, 0)
        if used:
            self.add("memory", used=used, total=total)
        self._survive(self._write)

    def _keep(self) -> None:
        while True:
            wanted = self._wanted.wait(_SAMPLE_SECONDS)
            self._wanted.clear()
            self.look_at_memory()
            if wanted:
                self.write_page()

    def _look(self) -> None:
        seen = memory_in_use(_MEMORY_FILE.read_text(encoding="ascii"))
        with self._remembering:
            self._most = max(self._most, seen)

    def _write(self) -> None:
        if not self._writing.acquire(timeout=_WRITE_SECONDS):
            raise TimeoutError("it is still being written")
        try:
            write_run_page(self._folder, self._page)
        finally:
            self._writing.release()

    def _survive(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001  # the notebook's edge: notes and page are not worth an answer
            text = f"{type(error).__name__}: {error}"
            if text not in self._failures:
                self._failures.add(text)
                print_safely(f"the page of the run is not up to date: {text}")


def memory_in_use(text: str) -> tuple[int, int]:
    """The bytes in use of the machine's memory and all of them, from the text of /proc/meminfo.

    Raises LookupError if the text has not both.
    """
    kibibytes = dict(re.findall(r"^(MemTotal|MemAvailable): +(\d+) kB", text, re.MULTILINE))
    total, free = (int(kibibytes[name]) << 10 for name in ("MemTotal", "MemAvailable"))
    return total - free, total
