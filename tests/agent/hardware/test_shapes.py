"""What of a model lies in memory, what a step reads, and what a lane keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.hardware.shapes import (
    BF16_BITS,
    FP8_BITS,
    GPT_OSS_20B,
    GPT_OSS_120B,
    QWEN3_30B_A3B,
    QWEN_CODER_0_5B,
    QWQ_32B,
    QWQ_32B_AWQ,
    QWQ_32B_FP8,
    ModelShape,
    known_model,
)

SPARSE = [GPT_OSS_120B, GPT_OSS_20B, QWEN3_30B_A3B]


def test_the_sizes_of_qwq() -> None:
    assert QWQ_32B.active_parameters == pytest.approx(31.98e9, abs=0.01e9)
    sizes = [model.read_bytes(1) / 1e9 for model in (QWQ_32B, QWQ_32B_FP8, QWQ_32B_AWQ)]
    assert sizes == pytest.approx([64.0, 32.8, 17.8], abs=0.05)
    assert (QWQ_32B.kv_token_bytes(2), QWQ_32B.kv_token_bytes(1)) == (256 << 10, 128 << 10)
    assert QWQ_32B.weight_bytes - QWQ_32B.read_bytes(1) == 2 * 152_064 * 5_120  # the embedding lies there unread
    assert QWQ_32B.read_bytes(32) == QWQ_32B.read_bytes(1)  # a dense model is read whole


@pytest.mark.parametrize(
    ("model", "total", "active"),
    [
        (GPT_OSS_120B, 116.8e9, 5.1e9),
        (GPT_OSS_20B, 20.9e9, 3.6e9),
        (QWQ_32B, 32.8e9, 32.0e9),
        # The published 3.3 billion count the embedding's parameters too, those of gpt-oss only the head's.
        (QWEN3_30B_A3B, 30.5e9, 3.3e9 - 151_936 * 2_048),
        (QWEN_CODER_0_5B, 0.49e9, 0.49e9),
    ],
)
def test_parameters_are_as_many_as_published(model: ModelShape, total: float, active: float) -> None:
    assert model.total_parameters == pytest.approx(total, abs=0.05e9)
    assert model.active_parameters == pytest.approx(active, abs=0.06e9)


@pytest.mark.parametrize(("model", "gibibytes"), [(GPT_OSS_120B, 60.8), (GPT_OSS_20B, 12.8)])
def test_mxfp4_experts_take_as_much_as_the_published_files(model: ModelShape, gibibytes: float) -> None:
    assert model.weight_bytes / 2**30 == pytest.approx(gibibytes, abs=0.15)
    assert model.quantized(BF16_BITS).weight_bytes == pytest.approx(2 * model.total_parameters, rel=1e-9)


@pytest.mark.parametrize("model", SPARSE)
def test_a_lane_alone_reads_its_own_experts_and_many_read_all(model: ModelShape) -> None:
    plain = model.quantized(BF16_BITS)
    assert plain.read_bytes(1) == pytest.approx(2 * plain.active_parameters, rel=1e-9)
    everything = model.weight_bytes - 2 * model.vocabulary_parameters
    assert model.read_bytes(10_000) == pytest.approx(everything, rel=1e-9)


@given(st.sampled_from(SPARSE), st.integers(1, 512))
def test_a_further_lane_reads_fewer_new_experts_than_the_one_before(model: ModelShape, lanes: int) -> None:
    before, here, after = (model.read_bytes(count) for count in (lanes, lanes + 1, lanes + 2))
    assert before <= here <= after
    assert after - here <= here - before + 1  # bytes are rounded


def test_the_experts_of_a_batch_are_as_many_as_chance_lets_them_be() -> None:
    """Two lanes with 1 of 2 experts each: the same in half of the cases, else both, so 1.5 on the average."""
    model = replace(QWQ_32B, layer_parameters=0, vocabulary_parameters=0, expert_parameters=2_000, experts=2)
    assert [model.read_bytes(lanes) for lanes in (1, 2, 3)] == [2_000, 3_000, 3_500]


@pytest.mark.parametrize(
    ("model", "token_bytes", "window_bytes"),
    [(GPT_OSS_120B, 36 << 10, 36 << 10), (GPT_OSS_20B, 24 << 10, 24 << 10), (QWEN3_30B_A3B, 96 << 10, 0)],
)
def test_keys_and_values_are_kept_in_layers_of_full_attention(
    model: ModelShape, token_bytes: int, window_bytes: int
) -> None:
    assert model.kv_token_bytes(2) == token_bytes
    assert model.window_token_bytes(2) == window_bytes


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Qwen/QwQ-32B", QWQ_32B),
        ("Qwen/QwQ-32B-AWQ", QWQ_32B_AWQ),
        ("/models/qwq-32b-fp8-dynamic/1", QWQ_32B_FP8),
        ("KirillR/QwQ-32B-Preview-AWQ", replace(QWQ_32B_AWQ, positions=32_768)),
        ("Qwen/Qwen2.5-Coder-0.5B-Instruct", QWEN_CODER_0_5B),
        ("openai/gpt-oss-120b", GPT_OSS_120B),
        ("/models/GPT-OSS-20B/1", GPT_OSS_20B),
        ("unsloth/gpt-oss-20b-BF16", GPT_OSS_20B.quantized(BF16_BITS)),
        ("Qwen/Qwen3-30B-A3B-Thinking-2507", QWEN3_30B_A3B),
        ("Qwen/Qwen3-30B-A3B-Thinking-2507-FP8", QWEN3_30B_A3B.quantized(FP8_BITS)),
        ("nvidia/OpenMath-Nemotron-32B", QWQ_32B),
        ("unsloth/gpt-oss-20b-GGUF", None),
        ("qwen2.5-coder-0.5b-instruct-q4_k_m.gguf", None),
        ("somebody/else-7b", None),
        ("", None),
    ],
)
def test_models_known_by_their_names(name: str, expected: ModelShape | None) -> None:
    assert known_model(name) == expected
