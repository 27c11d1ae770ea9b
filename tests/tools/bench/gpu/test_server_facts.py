"""What is read of a vLLM server: lines that vLLM 0.32 writes, its metrics, its reasons."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.nvidia_smi import fake_driver_in
from tools.bench.gpu.server_facts import (
    DraftCounts,
    MemoryFacts,
    draft_counts,
    memory_facts,
    server_reason,
    used_gpu_gib,
)

LOG = """\
(EngineCore pid=1) INFO 11-28 22:59:30 [gpu_model_runner.py:515] Model loading took 31.24 GiB memory and 12.514290 s
(EngineCore pid=1) INFO 11-28 22:59:34 [kv_cache_utils.py:2327] GPU KV cache size: 233,739 tokens, Maximum concurrency
(APIServer pid=7) INFO 11-28 22:59:47 [launcher.py:195] Route: /tokenize, Methods: POST
""".splitlines()
METRICS = """\
# TYPE vllm:spec_decode_num_drafts_total counter
vllm:spec_decode_num_drafts_total{engine="0",model_name="model"} 10.0
vllm:spec_decode_num_drafts_total{engine="1",model_name="model"} 10.0
vllm:spec_decode_num_drafts_created{engine="0",model_name="model"} 1.7e+09
vllm:spec_decode_num_draft_tokens_total{engine="0",model_name="model"} 100.0
vllm:spec_decode_num_accepted_tokens_total{engine="0",model_name="model"} 3.0e+01
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",model_name="model",position="0"} 9.0
"""


def test_the_memory_of_a_server_is_told_by_its_log() -> None:
    assert memory_facts(LOG) == MemoryFacts(31.24, 233_739)
    assert memory_facts(["CPU KV cache size: 2,097,152 tokens, Maximum"]) == MemoryFacts(None, 2_097_152)


@given(st.lists(st.text() | st.sampled_from(LOG)))
def test_any_log_is_read(lines: list[str]) -> None:
    facts = memory_facts(lines)
    assert facts.weight_gib in (None, 31.24) or any("loading took" in line for line in lines)


def test_the_drafts_of_all_engines_are_counted_and_nothing_else() -> None:
    counts = draft_counts(METRICS)
    assert counts == DraftCounts(20.0, 100.0, 30.0)
    assert counts.acceptance == 0.3 and counts.accepted_length == 2.5
    assert counts.since(counts).acceptance is None and counts.since(counts).accepted_length is None


@given(st.text() | st.lists(st.sampled_from(METRICS.splitlines())).map("\n".join))
def test_any_metrics_are_read(text: str) -> None:
    assert draft_counts(text).drafts >= 0


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "the engine's server ended with status 1 at its start: ImportError: Arctic is required. (log: /a/b.log)",
            "ImportError: Arctic is required.",
        ),
        ("profile vllm: its weights of 65.5 GB do not fit the memory of 1 x L4", None),
        (
            "the vLLM server was not up after 300 s: (APIServer pid=6) INFO Route: /abort / INFO (log: /a/b)",
            "the vLLM server was not up after 300 s (engine.start_seconds)",
        ),
        ("the vLLM server is down: torch.OutOfMemoryError: CUDA (log: /a b/c)", "torch.OutOfMemoryError: CUDA"),
    ],
)
def test_a_reason_is_the_servers_own(message: str, reason: str | None) -> None:
    assert server_reason(message) == (reason or message)


@pytest.mark.process
def test_the_memory_in_use_is_that_of_all_gpus(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = fake_driver_in(tmp_path_factory.mktemp("driver"), monkeypatch)
    driver("echo 1024; echo 2048")
    assert used_gpu_gib() == 3.0
    driver("exit 9")
    assert used_gpu_gib() is None
