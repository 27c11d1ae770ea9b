"""What is read of a vLLM server: its metrics, its reasons."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.bench.gpu.server_facts import (
    DraftCounts,
    draft_counts,
    server_reason,
)

METRICS = """\
# TYPE vllm:spec_decode_num_drafts_total counter
vllm:spec_decode_num_drafts_total{engine="0",model_name="model"} 10.0
vllm:spec_decode_num_drafts_total{engine="1",model_name="model"} 10.0
vllm:spec_decode_num_drafts_created{engine="0",model_name="model"} 1.7e+09
vllm:spec_decode_num_draft_tokens_total{engine="0",model_name="model"} 100.0
vllm:spec_decode_num_accepted_tokens_total{engine="0",model_name="model"} 3.0e+01
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",model_name="model",position="0"} 9.0
"""


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
