"""Ways to serve measured on the real vLLM: random weights of the tiny shape, and a small real model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.config import load_config
from tests.support.servers.vllm_installed import PYTHON, QUIET, hf_model, needs_vllm
from tools.bench.command import main

pytestmark = needs_vllm


def measured(directory: Path, *flags: str) -> Any:
    fixed = [
        *("gpu", "--profile=vllm-cpu", f"--python={PYTHON}", f"--run-dir={directory}", "--time-limit=15m"),
        *("--weights=stored", "--kv=auto", "--lanes=2", "--tokens=8", "--set=engine.context_tokens=1024"),
    ]
    assert main([*fixed, *flags]) == 0
    return json.loads((directory / "results.json").read_text())


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)


def test_random_weights_have_a_speed_and_what_vllm_cannot_do_has_its_reason(tmp_path: Path) -> None:
    found = measured(
        tmp_path / "run",
        *("--dummy=tiny", f"--tokenizer={hf_model('qwen2.5-coder-0.5b')}", "--speculation=none,suffix"),
    )
    (speed,) = found["speeds"]
    assert speed["agent"]["tokens"] == speed["vllm"]["tokens"] == 16
    assert speed["agent"]["first_token"] > 0 and speed["vllm"]["first_token"] > 0 and speed["roofline"] > 0
    (server,) = found["servers"]
    assert server["kv_tokens"] > 1_024 and server["parts"]
    (refused,) = found["refused"]
    assert (refused["speculation"], refused["step"]) == ("suffix", "server")
    assert "Arctic Inference is required" in refused["reason"]


def test_a_real_model_has_an_accuracy_too_and_its_profile_loads(tmp_path: Path) -> None:
    small = ["--set=sample.count=2", "--set=sample.max_tokens=40", "--set=sample.answer_tokens=4"]
    found = measured(tmp_path / "run", str(hf_model("qwen2.5-coder-0.5b")), "--speculation=none", "--limit=1", *small)
    (speed,) = found["speeds"]
    assert speed["vllm"]["tokens"] == speed["agent"]["tokens"] > 0
    (accuracy,) = found["accuracies"]
    assert len(accuracy["problems"]) == 1 and accuracy["tokens"] > 0
    best = load_config(tmp_path / "run" / "best.toml")
    assert best.engine.model == str(hf_model("qwen2.5-coder-0.5b")) and best.sample.count == 2
