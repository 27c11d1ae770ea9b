"""The shape of a model with experts, windows or linear attention from its config.json."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError
from agent.hardware.capacity import plan_capacity
from agent.hardware.devices import KNOWN_DEVICES
from agent.hardware.model_config import described_model
from agent.hardware.shapes import (
    FP8_BITS,
    GPT_OSS_20B,
    GPT_OSS_120B,
    MXFP4_BITS,
    QWEN3_30B_A3B,
    ModelShape,
)

GPT_OSS: dict[str, Any] = {
    "model_type": "gpt_oss",
    "head_dim": 64,
    "hidden_size": 2_880,
    "initial_context_length": 4_096,
    "intermediate_size": 2_880,
    "layer_types": ["sliding_attention", "full_attention"] * 18,
    "max_position_embeddings": 131_072,
    "num_attention_heads": 64,
    "num_experts_per_tok": 4,
    "num_hidden_layers": 36,
    "num_key_value_heads": 8,
    "num_local_experts": 128,
    "quantization_config": {"modules_to_not_convert": ["model.layers.*.self_attn"], "quant_method": "mxfp4"},
    "rope_scaling": {"factor": 32.0, "original_max_position_embeddings": 4_096, "rope_type": "yarn"},
    "sliding_window": 128,
    "tie_word_embeddings": False,
    "vocab_size": 201_088,
}
QWEN3_MOE: dict[str, Any] = {
    "model_type": "qwen3_moe",
    "decoder_sparse_step": 1,
    "head_dim": 128,
    "hidden_size": 2_048,
    "intermediate_size": 6_144,
    "max_position_embeddings": 262_144,
    "mlp_only_layers": [],
    "moe_intermediate_size": 768,
    "num_attention_heads": 32,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "num_hidden_layers": 48,
    "num_key_value_heads": 4,
    "rope_scaling": None,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "use_sliding_window": False,
    "vocab_size": 151_936,
}
LINEAR: dict[str, Any] = {
    "head_dim": 256,
    "hidden_size": 2_048,
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "linear_value_head_dim": 128,
    "max_position_embeddings": 262_144,
    "moe_intermediate_size": 512,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "shared_expert_intermediate_size": 512,
}
QWEN3_NEXT: dict[str, Any] = LINEAR | {
    "model_type": "qwen3_next",
    "decoder_sparse_step": 1,
    "full_attention_interval": 4,
    "intermediate_size": 5_120,
    "mlp_only_layers": [],
    "num_experts": 512,
    "num_experts_per_tok": 10,
    "num_hidden_layers": 48,
    "tie_word_embeddings": False,
    "vocab_size": 151_936,
}
QWEN3_5_MOE: dict[str, Any] = {  # a model with vision: the decoder's keys are in a table of their own
    "model_type": "qwen3_5_moe",
    "text_config": LINEAR
    | {
        "model_type": "qwen3_5_moe_text",
        "attn_output_gate": True,
        "layer_types": (["linear_attention"] * 3 + ["full_attention"]) * 10,
        "mamba_ssm_dtype": "float32",
        "num_experts": 256,
        "num_experts_per_tok": 8,
        "num_hidden_layers": 40,
        "rope_parameters": {"rope_theta": 10_000_000, "rope_type": "default"},
        "vocab_size": 248_320,
    },
    "tie_word_embeddings": False,
}


def described(description: dict[str, Any]) -> ModelShape:
    shape = described_model(description)
    assert shape is not None
    return shape


def test_the_known_shapes_are_those_of_their_descriptions() -> None:
    assert described_model(GPT_OSS) == GPT_OSS_120B
    few = {"num_hidden_layers": 24, "num_local_experts": 32, "layer_types": GPT_OSS["layer_types"][:24]}
    assert described_model(GPT_OSS | few) == GPT_OSS_20B
    assert described_model(QWEN3_MOE) == QWEN3_30B_A3B
    assert described_model(QWEN3_MOE | {"quantization_config": {"quant_method": "fp8"}}) == QWEN3_30B_A3B.quantized(
        FP8_BITS
    )


def test_newer_spellings_describe_the_same_model() -> None:
    rope = {"rope_parameters": GPT_OSS["rope_scaling"] | {"rope_theta": 150_000.0}}
    assert (
        described_model({key: value for key, value in GPT_OSS.items() if key != "rope_scaling"} | rope) == GPT_OSS_120B
    )
    experts = {"num_experts": None, "num_local_experts": 128}
    assert described_model(QWEN3_MOE | experts) == QWEN3_30B_A3B


def test_a_stretched_context_ends_where_its_factor_says() -> None:
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32_768}
    assert described(QWEN3_MOE | {"max_position_embeddings": 40_960, "rope_scaling": yarn}).positions == 131_072


def test_layers_of_linear_attention_keep_a_state_instead_of_a_context() -> None:
    shape = described(QWEN3_NEXT)
    assert shape.total_parameters == pytest.approx(79.7e9, abs=0.1e9)
    assert shape.active_parameters == pytest.approx(3.6e9, abs=0.3e9)
    assert shape.layers == 12
    assert shape.kv_token_bytes(2) == 12 * 2 * 2 * 256 * 2
    assert shape.state_bytes == 36 * (32 * 128 * 128 * 2 + 3 * 8_192 * 2)  # the recurrent one, the convolution's


def test_a_model_with_vision_is_described_by_its_decoder() -> None:
    shape = described(QWEN3_5_MOE)
    assert shape.total_parameters == pytest.approx(34.7e9, abs=0.2e9)
    assert (shape.layers, shape.experts, shape.active_experts) == (10, 256, 8)
    assert shape.state_bytes == 30 * (32 * 128 * 128 * 4 + 3 * 8_192 * 2)
    assert described(QWEN3_5_MOE | {"tie_word_embeddings": True}).tied
    quantized = described(QWEN3_5_MOE | {"quantization_config": {"quant_method": "fp8"}})
    assert quantized == shape.quantized(FP8_BITS)


@pytest.mark.parametrize(
    ("changes", "full", "window"),
    [
        ({"layer_types": None}, 18, 18),
        ({"layer_types": ["full_attention"] * 36}, 36, 0),
        ({"layer_types": ["sliding_attention"] * 36}, 0, 36),
    ],
)
def test_windows_are_those_of_the_layers_that_have_one(changes: dict[str, Any], full: int, window: int) -> None:
    shape = described(GPT_OSS | changes)
    assert (shape.layers, shape.window_layers) == (full, window)
    assert shape.window == (128 if window else 0)


def test_layers_without_experts_among_those_with_them() -> None:
    shape = described(QWEN3_MOE | {"mlp_only_layers": [0, 1], "decoder_sparse_step": 2})
    assert shape.expert_parameters == QWEN3_30B_A3B.expert_parameters * 23 // 48  # layer 1 is one of the even half
    dense = 25 * (3 * 2_048 * 6_144 - 2_048 * 128)
    assert shape.layer_parameters == QWEN3_30B_A3B.layer_parameters + dense


def test_an_unknown_kind_of_layer_makes_an_unknown_model() -> None:
    assert described_model(GPT_OSS | {"layer_types": ["chunked_attention"] * 36}) is None


@pytest.mark.parametrize(
    ("weights", "bits"),
    [
        ({"num_bits": 4, "type": "float", "group_size": 32}, MXFP4_BITS),
        ({"num_bits": 4, "type": "float", "group_size": 16}, 4.5),
        ({"num_bits": 4, "type": "int", "group_size": 128}, 4.125),
        ({"num_bits": 8, "type": "float", "group_size": None}, FP8_BITS),
    ],
)
def test_scales_of_a_stored_group_are_counted(weights: dict[str, Any], bits: float) -> None:
    stored = {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": weights}}}
    shape = described(QWEN3_MOE | {"quantization_config": stored})
    assert (shape.weight_bits, shape.expert_bits) == (bits, bits)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_experts_per_tok": 129},
        {"num_experts_per_tok": 0},
        {"num_local_experts": -1},
        {"num_hidden_layers": 35},
        {"num_hidden_layers": 1 << 31, "layer_types": None},
        {"sliding_window": None},
        {"rope_scaling": {"factor": "3" * 9, "original_max_position_embeddings": 1 << 31}},
        {"layer_types": 36},
        {"text_config": None},
    ],
)
def test_an_impossible_description_of_experts_or_layers_is_reported(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"config\.json is not valid"):
        described_model(GPT_OSS | changes)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "full_attention", "float32"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["factor", "bits"]), inner, max_size=2),
    max_leaves=5,
)
KEYS = st.sampled_from(sorted({*GPT_OSS, *QWEN3_NEXT, "decoder_sparse_step", "mlp_only_layers"} - {"model_type"}))


@given(st.sampled_from([GPT_OSS, QWEN3_MOE, QWEN3_NEXT]), st.dictionaries(KEYS, JSON, max_size=4))
def test_any_description_of_experts_is_a_shape_or_a_clear_error(
    description: dict[str, Any], changes: dict[str, Any]
) -> None:
    try:
        shape = described_model(description | changes)
    except ConfigError as error:
        assert "config.json is not valid" in str(error)
    else:
        assert shape is None or plan_capacity(shape, KNOWN_DEVICES["H200"], context_tokens=256).kv_tokens >= 0
