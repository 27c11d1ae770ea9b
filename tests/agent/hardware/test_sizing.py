"""The lanes that are computed for a model on whatever GPUs are there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import load_config
from agent.errors import ConfigError
from agent.hardware.detect import Gpu, profile_plan, profile_problem
from agent.hardware.devices import KNOWN_DEVICES
from agent.hardware.shapes import (
    GPT_OSS_20B,
    GPT_OSS_120B,
    QWEN3_30B_A3B,
    QWEN_CODER_0_5B,
    QWQ_32B,
    QWQ_32B_AWQ,
    QWQ_32B_FP8,
    ModelShape,
)
from agent.hardware.sizing import Sizing, size_model, size_unknown

LISTED = {
    "L4": "NVIDIA L4",
    "T4": "Tesla T4",
    "A100-80": "NVIDIA A100-SXM4-80GB",
    "H100": "NVIDIA H100 80GB HBM3",
    "RTX PRO 6000": "NVIDIA RTX PRO 6000 Blackwell Server Edition",
}
MODELS = (QWQ_32B, QWQ_32B_FP8, QWQ_32B_AWQ, QWEN3_30B_A3B, GPT_OSS_120B, GPT_OSS_20B, QWEN_CODER_0_5B)


def gpus(kind: str, count: int = 1) -> tuple[Gpu, ...]:
    return (Gpu(LISTED[kind], KNOWN_DEVICES[kind].memory_bytes),) * count


@given(st.sampled_from(MODELS), st.sampled_from(list(LISTED)), st.integers(1, 8), st.booleans())
def test_what_is_computed_fits_whatever_the_gpus(model: ModelShape, kind: str, count: int, fp8_kv: bool) -> None:
    try:
        sizing = size_model(model, gpus(kind, count), fp8_kv=fp8_kv)
    except ConfigError as error:
        assert "do not fit the memory of" in str(error)
        return
    config = load_config("vllm", {"engine.model": "some/model", "sample.family": "qwq", **sizing.keys})
    assert profile_problem(config, gpus(kind, count)) == ""
    plan = profile_plan(config, model, gpus(kind, count)[0].device)
    assert plan is not None and plan.fits
    assert 1 <= sizing.lanes <= plan.lanes_at(plan.mean_context)
    assert sizing.context_tokens <= (model.positions or sizing.context_tokens)
    assert sizing.kv_cache_dtype == "auto" or (fp8_kv and KNOWN_DEVICES[kind].since_ampere)


@pytest.mark.parametrize(
    ("model", "kind", "count", "profile"),
    [
        (QWQ_32B_FP8, "H100", 1, "kaggle-h100"),
        (QWQ_32B_AWQ, "T4", 2, "kaggle-t4x2"),
        (GPT_OSS_120B, "RTX PRO 6000", 1, "rtx6000-gpt-oss-120b"),
    ],
)
def test_what_is_computed_is_close_to_what_was_made_by_hand(
    model: ModelShape, kind: str, count: int, profile: str
) -> None:
    config = load_config(profile)
    sizing = size_model(model, gpus(kind, count))
    assert (sizing.lanes, sizing.context_tokens) == (config.sample.count, config.engine.context_tokens)
    assert abs(sizing.keys["sample.max_tokens"] - config.sample.max_tokens) < 0.1 * config.sample.max_tokens
    assert (sizing.parallel, sizing.half) == (config.vllm.tensor_parallel_size, config.vllm.dtype == "half")


def test_eight_bits_are_a_way_out_only_where_they_are_allowed() -> None:
    cramped = gpus("L4", 4)
    assert size_model(QWQ_32B, cramped).kv_cache_dtype == "auto"
    assert size_model(QWQ_32B, cramped, fp8_kv=True).kv_cache_dtype == "fp8"
    assert size_model(QWQ_32B_AWQ, cramped, fp8_kv=True).kv_cache_dtype == "auto"
    assert size_model(QWQ_32B_AWQ, gpus("T4", 2), fp8_kv=True).kv_cache_dtype == "auto"


def test_as_many_gpus_share_a_model_as_divide_its_heads() -> None:
    assert size_model(QWQ_32B_FP8, gpus("L4", 3)).parallel == 2
    assert size_unknown(10**10, gpus("L4", 7)).parallel == 4


def test_the_smallest_gpu_decides() -> None:
    mixed = (*gpus("H100"), *gpus("L4"))
    assert size_model(QWQ_32B_AWQ, mixed) == size_model(QWQ_32B_AWQ, gpus("L4", 2))


@pytest.mark.parametrize("sized", [lambda gpus: size_model(QWQ_32B, gpus), lambda gpus: size_unknown(65 * 10**9, gpus)])
def test_what_does_not_fit_is_said_with_its_size(sized: object) -> None:
    assert callable(sized)
    with pytest.raises(ConfigError, match=r"of 65\.\d GB .*do not fit the memory of 2 x Tesla T4: take a smaller"):
        sized(gpus("T4", 2))
    with pytest.raises(ConfigError, match="there is no GPU"):
        sized(())


def test_a_model_of_unknown_shape_gets_lanes_of_a_fixed_length() -> None:
    assert size_unknown(60 * 10**9, gpus("H100")) == Sizing(8, 16_384, 1, "auto", half=False)
