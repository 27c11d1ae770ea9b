"""The shape of a model from its config.json."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError
from agent.hardware.capacity import plan_capacity
from agent.hardware.devices import KNOWN_DEVICES
from agent.hardware.model_config import described_model
from agent.hardware.shapes import QWQ_32B, QWQ_32B_AWQ, QWQ_32B_FP8, ModelShape

QWQ_DESCRIPTION: dict[str, Any] = {
    "model_type": "qwen2",
    "hidden_size": 5_120,
    "intermediate_size": 27_648,
    "num_hidden_layers": 64,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "vocab_size": 152_064,
    "max_position_embeddings": 131_072,
    "tie_word_embeddings": False,
}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128}


@pytest.mark.parametrize(
    ("changes", "window_layers"),
    [
        ({"sliding_window": 131_072, "use_sliding_window": False, "max_window_layers": 64}, 0),  # as QwQ's own
        ({"sliding_window": 4_096, "use_sliding_window": True, "max_window_layers": 48}, 16),
        ({"sliding_window": 4_096, "use_sliding_window": True, "max_window_layers": 70}, 0),
        ({"model_type": "mistral", "sliding_window": 4_096}, 64),
        ({"model_type": "mistral", "sliding_window": None}, 0),
    ],
)
def test_a_sliding_window_that_is_not_used_is_ignored(changes: dict[str, Any], window_layers: int) -> None:
    shape = described_model(QWQ_DESCRIPTION | changes)
    assert shape is not None
    assert (shape.layers, shape.window_layers) == (64 - window_layers, window_layers)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, QWQ_32B),
        ({"quantization_config": AWQ}, QWQ_32B_AWQ),
        ({"quantization_config": {"quant_method": "fp8"}}, QWQ_32B_FP8),
        ({"quantization_config": AWQ | {"quant_method": "gptq", "bits": 8, "group_size": -1}}, QWQ_32B_FP8),
        (
            {
                "quantization_config": {
                    "quant_method": "compressed-tensors",
                    "config_groups": {"group_0": {"weights": {"num_bits": 8, "group_size": None}}},
                }
            },
            QWQ_32B_FP8,
        ),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, replace(QWQ_32B, positions=None)),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, None),
        ({"model_type": "deepseek_v3"}, None),
    ],
)
def test_a_models_own_description_gives_its_shape(changes: dict[str, Any], expected: ModelShape | None) -> None:
    assert described_model(QWQ_DESCRIPTION | changes) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": 1e152},
        {"num_attention_heads": 0},
        {"num_key_value_heads": -8},
        {"vocab_size": "152064"},
        {"max_position_embeddings": 1 << 40},
        {"quantization_config": AWQ | {"group_size": 1e-300}},
        {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": {}}},
        {"quantization_config": []},
    ],
)
def test_a_description_with_an_impossible_size_is_reported(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"config\.json is not valid"):
        described_model(QWQ_DESCRIPTION | changes)


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "intermediate_size", "vocab_size"])
def test_a_description_that_lacks_a_size_is_reported(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"config\.json is not valid \(KeyError\('{key}'\)\)"):
        described_model({name: value for name, value in QWQ_DESCRIPTION.items() if name != key})


WORDS = st.sampled_from(["", "64", "weights", "num_bits", "group_size"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
QUANTIZATION = st.fixed_dictionaries(
    {"quant_method": st.sampled_from(["awq", "gptq", "fp8", "compressed-tensors"])},
    optional={"bits": JSON, "group_size": JSON, "config_groups": JSON},
)


@given(st.fixed_dictionaries({}, optional={key: JSON for key in QWQ_DESCRIPTION if key != "model_type"}), QUANTIZATION)
def test_any_description_is_a_shape_or_a_clear_error(changes: dict[str, Any], quantization: dict[str, Any]) -> None:
    for description in (QWQ_DESCRIPTION | changes, QWQ_DESCRIPTION | changes | {"quantization_config": quantization}):
        try:
            shape = described_model(description)
        except ConfigError as error:
            assert "config.json is not valid" in str(error)
        else:
            assert shape is None or plan_capacity(shape, KNOWN_DEVICES["H200"], context_tokens=256).kv_tokens >= 0
