"""A stand-in for nvidia-smi on the search path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

FakeDriver = Callable[[str], None]


def fake_driver_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    """Return a function that puts an nvidia-smi with the given shell body on the search path, alone."""

    def install(body: str) -> None:
        script = folder / "nvidia-smi"
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))

    return install
