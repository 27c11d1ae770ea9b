"""Show the progress of a download: a bar on a terminal, a line per quarter elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

_MIB = 1 << 20


class DownloadView(Protocol):
    """Shows the progress of a download."""

    def show(self, done: int) -> None:
        """Show that `done` bytes have been downloaded."""


@contextmanager
def open_download_view(name: str, size: int, console: Console) -> Iterator[DownloadView]:
    """Open the view of the download of a file of `size` bytes on this console."""
    if not console.is_terminal:
        yield _Lines(name, size, console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        yield _Bar(progress, name, size)


class _Bar:
    def __init__(self, progress: Progress, name: str, size: int) -> None:
        self._progress = progress
        self._task = progress.add_task(name, total=size)

    def show(self, done: int) -> None:
        self._progress.update(self._task, completed=done)


class _Lines:
    def __init__(self, name: str, size: int, console: Console) -> None:
        self._name = name
        self._size = size
        self._console = console
        self._quarter = 0
        console.print(f"fetching {name} ({size / _MIB:.0f} MiB)", soft_wrap=True, markup=False, highlight=False)

    def show(self, done: int) -> None:
        quarter = done * 4 // self._size
        if quarter > self._quarter:
            self._quarter = quarter
            text = f"{self._name}: {done / _MIB:.0f} of {self._size / _MIB:.0f} MiB"
            self._console.print(text, soft_wrap=True, markup=False, highlight=False)
