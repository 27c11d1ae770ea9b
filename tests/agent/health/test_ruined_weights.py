"""The health gate before llama.cpp with weights that are ruined: stopped within two minutes, each kind in its words."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from agent import Agent
from agent.errors import UnhealthyModelError

MOST_SECONDS = 120.0
HEAD_BYTES = 3 << 20  # the metadata and the tokenizer, and the beginning of the first tensor


def ruined(model: Path, kind: str, folder: Path) -> Path:
    """A copy of the model whose tensors hold nothing but random bytes, or zeros."""
    data = model.read_bytes()
    size = len(data) - HEAD_BYTES
    path = folder / "ruined.gguf"
    path.write_bytes(data[:HEAD_BYTES] + (random.Random(0).randbytes(size) if kind == "random bytes" else bytes(size)))
    return path


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("random bytes", r"lanes wrote no language but one character over and over, .*give no numbers \(NaN\)"),
        ("zeros", r"it answered none of the 2 problems right; one lane wrote '"),
    ],
)
async def test_ruined_weights_are_stopped_with_what_is_wrong(
    kind: str, words: str, tiny_model: Path, tmp_path: Path
) -> None:
    keys = {"engine.model": str(ruined(tiny_model, kind, tmp_path)), "sample.max_tokens": 120}
    agent = Agent.open("cpu", keys, log=tmp_path / "log")
    began = time.monotonic()
    try:
        with pytest.raises(UnhealthyModelError, match=words) as caught:
            await agent.start()
        assert time.monotonic() - began < MOST_SECONDS
        assert agent.checked is not None and agent.checked.right == 0
        assert "--no-check" in str(caught.value) and "\n" not in str(caught.value)
    finally:
        await agent.close()
