"""The shape of a model from its Hugging Face config.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agent.errors import ConfigError
from agent.hardware.shapes import FP8_BITS, MXFP4_BITS, ModelShape

_DENSE = {"llama", "mistral", "qwen2", "qwen3"}
_SPARSE = {"mixtral", "qwen2_moe", "qwen3_moe", "gpt_oss"}
_KEY_BIAS = {"qwen2", "qwen2_moe"}
_LINEAR = {"qwen3_next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text"}
_FULL, _WINDOW, _STATE = "full_attention", "sliding_attention", "linear_attention"
_MAX_LAYERS = 4_096
_LINEAR_SIZES = ("num_key_heads", "num_value_heads", "key_head_dim", "value_head_dim", "conv_kernel_dim")


def described_model(description: Mapping[str, Any]) -> ModelShape | None:
    """Return the shape of a decoder of the Llama, Qwen or gpt-oss kind, from its config.json.

    Of a model with vision it is the shape of the language model alone. None for another architecture or an unknown
    quantization. Raises ConfigError if a key is missing or invalid.
    """
    try:
        text = description.get("text_config", description)
        if text.get("model_type") not in _DENSE | _SPARSE | _LINEAR:
            return None
        shape = _shape({"tie_word_embeddings": description.get("tie_word_embeddings")} | text)
        quantization = description.get("quantization_config") or text.get("quantization_config")
        return None if shape is None else _stored(shape, quantization)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"the model's config.json is not valid ({error!r}): fetch the model again") from error


def _shape(text: Mapping[str, Any]) -> ModelShape | None:
    """Return the shape in 16 bits; None if a layer is of an unknown kind."""
    layers, hidden, heads, vocabulary = (
        _size(text[key]) for key in ("num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size")
    )
    if layers > _MAX_LAYERS:
        raise ValueError(f"{layers} layers")
    kinds = Counter(_layer_kinds(text, layers))
    if not kinds.keys() <= {_FULL, _WINDOW, _STATE}:
        return None
    kv_heads = _size(text.get("num_key_value_heads") or heads)
    head_dim = _size(text.get("head_dim") or hidden // heads)
    gates = heads if text.get("attn_output_gate", text["model_type"] in _LINEAR) else 0
    attention = hidden * head_dim * (2 * heads + 2 * kv_heads + gates)
    linear, state_bytes = _linear_layer(text, hidden) if kinds[_STATE] else (0, 0)
    shape = ModelShape(
        kinds[_FULL],
        heads,
        kv_heads,
        head_dim,
        layer_parameters=(kinds[_FULL] + kinds[_WINDOW]) * attention + kinds[_STATE] * linear,
        vocabulary_parameters=hidden * vocabulary,
        tied=bool(text.get("tie_word_embeddings")),
        positions=_positions(text),
        window_layers=kinds[_WINDOW],
        window=_size(text["sliding_window"]) if kinds[_WINDOW] else 0,
        state_bytes=kinds[_STATE] * state_bytes,
        key_bias=text["model_type"] in _KEY_BIAS,
    )
    return _with_feed_forward(shape, text, layers, hidden)


def _layer_kinds(text: Mapping[str, Any], layers: int) -> list[str]:
    """Return the kind of attention of each layer, listed or as the architecture has it by default."""
    listed = text.get("layer_types")
    if listed is not None:
        if len(listed) != layers:
            raise ValueError(f"{len(listed)} layer_types for {layers} layers")
        return [str(kind) for kind in listed]
    if text["model_type"] in _LINEAR:
        interval = _size(text.get("full_attention_interval", 4))
        return [_STATE if (index + 1) % interval else _FULL for index in range(layers)]
    if text["model_type"] == "gpt_oss":
        return [_FULL if index % 2 else _WINDOW for index in range(layers)]
    uses_window = text.get("use_sliding_window", text["model_type"] in ("mistral", "mixtral"))
    if not (uses_window and text.get("sliding_window")):
        return [_FULL] * layers
    full = min(layers, _count(text.get("max_window_layers", 0)))  # Qwen's name for the number of layers without one
    return [_FULL] * full + [_WINDOW] * (layers - full)


def _linear_layer(text: Mapping[str, Any], hidden: int) -> tuple[int, int]:
    """Return the parameters of a layer of gated delta attention, and the bytes of a lane's state in it."""
    key_heads, value_heads, key_dim, value_dim, kernel = (_size(text[f"linear_{key}"]) for key in _LINEAR_SIZES)
    keys, values = key_heads * key_dim, value_heads * value_dim
    convolved = 2 * keys + values
    projections = hidden * (convolved + values + 2 * value_heads) + values * hidden
    state_element = 4 if text.get("mamba_ssm_dtype") == "float32" else 2
    state = value_heads * key_dim * value_dim * state_element + 2 * convolved * (kernel - 1)
    return projections + convolved * kernel, state


def _with_feed_forward(shape: ModelShape, text: Mapping[str, Any], layers: int, hidden: int) -> ModelShape:
    """Add the feed-forward networks, each dense or a router with experts."""
    experts = _count(text.get("num_local_experts") or text.get("num_experts") or 0)
    sparse = sum(_is_sparse(text, index) for index in range(layers)) if experts else 0
    dense_parameters = 0
    if sparse < layers:
        dense_parameters = (layers - sparse) * 3 * hidden * _size(text["intermediate_size"])
    if not sparse:
        return replace(shape, layer_parameters=shape.layer_parameters + dense_parameters)
    active = _size(text["num_experts_per_tok"])
    if active > experts:
        raise ValueError(f"{active} of {experts} experts")
    inner = _size(text.get("moe_intermediate_size") or text["intermediate_size"])
    shared = 3 * hidden * _count(text.get("shared_expert_intermediate_size") or 0)
    return replace(
        shape,
        layer_parameters=shape.layer_parameters + dense_parameters + sparse * (hidden * experts + shared),
        expert_parameters=sparse * experts * 3 * hidden * inner,
        experts=experts,
        active_experts=active,
    )


def _is_sparse(text: Mapping[str, Any], index: int) -> bool:
    step = _size(text.get("decoder_sparse_step") or 1)
    return index not in (text.get("mlp_only_layers") or ()) and (index + 1) % step == 0


def _positions(text: Mapping[str, Any]) -> int | None:
    """Return the maximum context length; None if it is stretched by a factor without its base."""
    limit = text.get("max_position_embeddings")
    rope = text.get("rope_scaling") or text.get("rope_parameters") or {}
    if factor := rope.get("factor"):
        base = rope.get("original_max_position_embeddings")
        if not isinstance(factor, int | float) or not 0 < factor < 1 << 16:
            raise ValueError(f"{factor!r} is not a factor")
        return None if base is None or limit is None else max(_size(limit), round(_size(base) * factor))
    return None if limit is None else _size(limit)


def _stored(shape: ModelShape, quantization: Mapping[str, Any] | None) -> ModelShape | None:
    """Return the shape with the bits of its stored parameters; None if the quantization is unknown."""
    if quantization is None:
        return shape
    method = quantization.get("quant_method")
    if method == "mxfp4":  # only the experts are quantized
        return replace(shape, expert_bits=MXFP4_BITS)
    bits = _stored_bits(method, quantization)
    return None if bits is None else shape.quantized(bits)


def _stored_bits(method: object, quantization: Mapping[str, Any]) -> float | None:
    """Return the bits of a stored parameter, scales and zero points included; None if unknown."""
    if method == "fp8":
        return FP8_BITS
    if method in ("awq", "gptq"):
        bits, group = _size(quantization["bits"]), quantization["group_size"]
        return float(bits) if group == -1 else bits + (16 + bits) / _size(group)
    if method == "compressed-tensors":
        groups = [*quantization["config_groups"].values()]
        weights = groups[0]["weights"]
        bits, group = _size(weights["num_bits"]), weights.get("group_size")
        scale_bits = 8 if weights.get("type") == "float" and bits == 4 else 16  # NVFP4 and MXFP4 have 8-bit scales
        return bits + scale_bits / _size(group) if group else float(bits)
    return None


def _size(value: Any) -> int:
    if not isinstance(value, int) or not 0 < value < 1 << 32:
        raise ValueError(f"{value!r} is not a size")
    return value


def _count(value: Any) -> int:
    return 0 if value == 0 else _size(value)
