"""Read a model's weights into the page cache, so that the server loads them faster.

Files on a network mount are read several times faster by parallel readers than by one loader.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

_READERS = 8
_BLOCK = 16 << 20
_REPORT_SECONDS = 5.0


class Preread:
    """Reads the weights in `directory` with several threads; calls `report(read, total)`, in bytes, periodically."""

    def __init__(self, directory: Path, report: Callable[[int, int], None]) -> None:
        self._files = sorted((*directory.glob("*.safetensors"), *directory.glob("*.bin")))
        self._report = report
        self._stop = threading.Event()
        self._read = 0
        self._lock = threading.Lock()
        self.total = sum(path.stat().st_size for path in self._files)

    async def run(self) -> None:
        """Read all files, unless they exceed the available memory. Cancelling stops the readers."""
        if not self._files or self.total > psutil.virtual_memory().available:
            return
        with ThreadPoolExecutor(_READERS, thread_name_prefix="weights") as readers:
            try:
                await self._watch([asyncio.wrap_future(readers.submit(self._pass, path)) for path in self._files])
            finally:
                self._stop.set()

    async def _watch(self, passes: Sequence[asyncio.Future[None]]) -> None:
        waiting = set(passes)
        while waiting:
            _, waiting = await asyncio.wait(waiting, timeout=_REPORT_SECONDS)
            self._report(self._read, self.total)

    def _pass(self, path: Path) -> None:
        block = bytearray(_BLOCK)
        try:
            with path.open("rb", buffering=0) as file:
                while not self._stop.is_set() and (size := file.readinto(block)):
                    with self._lock:
                        self._read += size
        except OSError:  # the server meets and reports the same error
            return
