"""KV-cache capacity and roofline throughput of a model on given GPUs.

The throughput is the roofline (Williams, Waterman and Patterson, 2009) of one decoding step: it takes as long as
reading the weights and the KV caches of all lanes, or as long as its arithmetic, whichever is longer. Bytes and
operations are plain counts, times are in seconds; 1 GB is 1e9 bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from agent.errors import ConfigError

MEMORY_SHARE = 0.9
OVERHEAD_BYTES = 1.45e9  # for each GPU: activations, graphs, buffers of the collectives
MEAN_CONTEXT_SHARE = 0.5  # share of the limit: lanes grow towards it from a short prompt, and many end before
PLANNED_SHARE = (0.45, 0.60)  # share of the roofline; from L4s joined by PCIe, taken for all hardware

BF16_BITS = 16.0
FP8_BITS = 8.0
INT4_BITS = 4 + (16 + 4) / 128  # including the scale and the zero point of each group of 128

_DENSE = {"llama", "mistral", "qwen2", "qwen3"}
_NAMED_BITS = {"awq": INT4_BITS, "int4": INT4_BITS, "int8": 8.0, "fp8": FP8_BITS}
_SIZES = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size", "vocab_size")
_MAX_PARALLEL = 16


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The sizes of a dense decoder. Norms and biases, under 0.02 % of the parameters, are neglected.

    Quantization shrinks the layers to `weight_bits` per parameter; the embedding and the head keep 16. `positions` is
    the maximum context length, None if unlimited.
    """

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    layer_parameters: int  # all layers together
    vocabulary_parameters: int  # the embedding's, and again the head's
    tied: bool = False  # the head is the embedding
    positions: int | None = None
    weight_bits: float = BF16_BITS

    @property
    def parameters_read(self) -> int:
        """Parameters read by one step: of the embedding it needs only a few rows."""
        return self.layer_parameters + self.vocabulary_parameters

    @property
    def read_bytes(self) -> int:
        """Bytes of weights read by one step."""
        return round(self.layer_parameters * self.weight_bits / 8) + 2 * self.vocabulary_parameters

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights in memory."""
        return self.read_bytes + (0 if self.tied else 2 * self.vocabulary_parameters)

    def kv_token_bytes(self, element_bytes: int) -> int:
        """Return the bytes of one token's keys and values in all layers."""
        return 2 * self.layers * self.kv_heads * self.head_dim * element_bytes

    def divides(self, parallel: int) -> bool:
        """Whether tensor parallelism can split the heads evenly; KV heads may also be copied evenly."""
        small, large = sorted((parallel, self.kv_heads))
        return self.heads % parallel == 0 and large % small == 0


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU or a CPU: memory in bytes, bandwidth in bytes/s, 16-bit operations/s; None where not known.

    Those since NVIDIA's Ampere have bfloat16, and vLLM's FP8 KV cache.
    """

    name: str
    memory_bytes: int
    bandwidth: float | None = None
    flops: float | None = None
    since_ampere: bool = True


# NVIDIA's data sheets: dense 16-bit tensor operations; the A100 on PCIe, the H100 and the H200 on SXM.
KNOWN_DEVICES = {
    device.name: device
    for device in (
        Device("L4", 24_000_000_000, 300e9, 121e12),
        Device("T4", 16_000_000_000, 320e9, 65e12, since_ampere=False),
        Device("A100-80", 80_000_000_000, 1.935e12, 312e12),
        Device("H100", 80_000_000_000, 3.35e12, 989e12),
        Device("H200", 141_000_000_000, 4.8e12, 989e12),
    )
}


@dataclass(frozen=True, slots=True)
class CapacityPlan:
    """A model on `replicas` groups of `parallel` devices each, with lanes of up to `context_tokens`.

    `kv_token_bytes` and the model's weights are per replica, `kv_tokens` is the total. `reason` says why the model does
    not fit and what to set; "" if it fits.
    """

    model: ModelShape
    device: Device
    parallel: int
    replicas: int
    kv_token_bytes: int
    kv_tokens: int
    context_tokens: int
    reason: str

    @property
    def fits(self) -> bool:
        """Whether a server of this plan starts."""
        return not self.reason

    @property
    def mean_context(self) -> int:
        """The mean context length of the running lanes to plan with, in tokens."""
        return round(MEAN_CONTEXT_SHARE * self.context_tokens)

    def lanes_at(self, mean_context: int) -> int:
        """Return the number of lanes that fit at a mean context length in tokens."""
        return self.kv_tokens // self.replicas // mean_context * self.replicas

    def tokens_per_second(self, lanes: int, mean_context: float) -> float | None:
        """Return the roofline throughput of all lanes; None where the device's bandwidth or operations are unknown.

        With W the bytes of weights read, c those of a KV token, P the parameters read and d the width of all heads, a
        step of k lanes at mean context L takes max((W + k L c) / bandwidth, k (2 P + 4 L d layers) / operations).
        """
        if self.device.bandwidth is None or self.device.flops is None:
            return None
        model = self.model
        busy = max(1.0, lanes / self.replicas)  # lanes of one replica
        read = model.read_bytes + busy * mean_context * self.kv_token_bytes
        width = model.layers * model.heads * model.head_dim
        operations = busy * (2 * model.parameters_read + 4 * mean_context * width)
        step = max(read / self.device.bandwidth, operations / self.device.flops) / self.parallel
        return lanes / step

    def planned_tokens_per_second(self, lanes: int, mean_context: float) -> tuple[float, float] | None:
        """Return the throughput to plan with: low and high end of the share of the roofline that is usually reached."""
        bound = self.tokens_per_second(lanes, mean_context)
        return None if bound is None else (PLANNED_SHARE[0] * bound, PLANNED_SHARE[1] * bound)


def plan_capacity(
    model: ModelShape,
    device: Device,
    *,
    context_tokens: int,
    parallel: int = 1,
    replicas: int = 1,
    kv_element_bytes: int = 2,
    memory_share: float = MEMORY_SHARE,
    kv_space_bytes: float | None = None,
) -> CapacityPlan:
    """Compute the plan of a model on `parallel` x `replicas` devices.

    The KV cache gets what the weights and a fixed overhead leave of the memory that the server may use, or
    `kv_space_bytes` where that is given (a CPU).
    """
    copies = max(1.0, parallel / model.kv_heads)  # each KV head is copied where there are more devices than heads
    kv_token_bytes = round(model.kv_token_bytes(kv_element_bytes) * copies)
    room = kv_space_bytes
    if room is None:
        room = parallel * (memory_share * device.memory_bytes - OVERHEAD_BYTES) - model.weight_bytes
    kv_tokens = max(0, math.floor(room / kv_token_bytes))
    hardware = f"{parallel} x {device.name}"
    reason = _reason(model, hardware, parallel, room, kv_tokens, context_tokens)
    return CapacityPlan(model, device, parallel, replicas, kv_token_bytes, kv_tokens * replicas, context_tokens, reason)


def dense_model(description: Mapping[str, Any]) -> ModelShape | None:
    """Return the shape of a dense model of the Llama and Qwen2 kind, from its Hugging Face config.json.

    None for another architecture or an unknown quantization. Raises ConfigError if a key is missing or invalid.
    """
    if description.get("model_type") not in _DENSE:
        return None
    try:
        bits = _stored_bits(description.get("quantization_config"))
        return None if bits is None else _dense_shape(description, bits)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"the model's config.json is not valid ({error!r}): fetch the model again") from error


def known_model(name: str) -> ModelShape | None:
    """Return the shape of a model known by its name or path, like Qwen/QwQ-32B-AWQ; None for an unknown one."""
    lowered = name.lower()
    if "gguf" in lowered:
        return None
    shape = next((shape for part, shape in _KNOWN.items() if part in lowered), None)
    bits = next((bits for part, bits in _NAMED_BITS.items() if part in lowered), BF16_BITS)
    return None if shape is None else replace(shape, weight_bits=bits)


def _reason(model: ModelShape, hardware: str, parallel: int, room: float, kv_tokens: int, context_tokens: int) -> str:
    if not model.divides(parallel):
        sizes = ", ".join(str(size) for size in range(1, _MAX_PARALLEL + 1) if model.divides(size))
        return (
            f"{parallel} GPUs cannot share {model.heads} heads and {model.kv_heads} KV heads evenly: "
            f"set vllm.tensor_parallel_size to one of {sizes}"
        )
    if model.positions is not None and context_tokens > model.positions:
        return (
            f"the model's context ends at {model.positions} tokens, not {context_tokens}: "
            "set engine.context_tokens to no more than that"
        )
    if room <= 0:
        return (
            f"its weights of {model.weight_bytes / 1e9:.1f} GB do not fit the memory of {hardware}: "
            "raise vllm.tensor_parallel_size or take weights of fewer bits"
        )
    if kv_tokens < context_tokens:
        return (
            f"after the weights, {hardware} can hold the KV cache of {kv_tokens} tokens, less than one lane's "
            f"{context_tokens}: lower engine.context_tokens or raise vllm.tensor_parallel_size"
        )
    return ""


def _dense_shape(description: Mapping[str, Any], weight_bits: float) -> ModelShape:
    layers, hidden, heads, inner, vocabulary = (_size(description[key]) for key in _SIZES)
    kv_heads = _size(description.get("num_key_value_heads") or heads)
    head_dim = _size(description.get("head_dim") or hidden // heads)
    attention = 2 * hidden * head_dim * (heads + kv_heads)
    positions = None if description.get("rope_scaling") else description.get("max_position_embeddings")
    return ModelShape(
        layers,
        heads,
        kv_heads,
        head_dim,
        layer_parameters=layers * (attention + 3 * hidden * inner),
        vocabulary_parameters=hidden * vocabulary,
        tied=bool(description.get("tie_word_embeddings", False)),
        positions=None if positions is None else _size(positions),
        weight_bits=weight_bits,
    )


def _stored_bits(quantization: Mapping[str, Any] | None) -> float | None:
    """Return the bits of a stored parameter, scales and zero points included; None if unknown."""
    if quantization is None:
        return BF16_BITS
    method = quantization.get("quant_method")
    if method == "fp8":
        return FP8_BITS
    if method in ("awq", "gptq"):
        bits, group = _size(quantization["bits"]), quantization["group_size"]
        return float(bits) if group == -1 else bits + (16 + bits) / _size(group)
    if method == "compressed-tensors":
        groups = [*quantization["config_groups"].values()]
        bits, group = _size(groups[0]["weights"]["num_bits"]), groups[0]["weights"].get("group_size")
        return bits + 16 / _size(group) if group else float(bits)
    return None


def _size(value: Any) -> int:
    if not isinstance(value, int) or not 0 < value < 1 << 32:
        raise ValueError(f"{value!r} is not a size")
    return value


QWQ_32B = ModelShape(
    layers=64,
    heads=40,
    kv_heads=8,
    head_dim=128,
    layer_parameters=64 * (2 * 5_120 * 128 * (40 + 8) + 3 * 5_120 * 27_648),
    vocabulary_parameters=152_064 * 5_120,
    positions=131_072,
)
QWQ_32B_FP8 = replace(QWQ_32B, weight_bits=FP8_BITS)
QWQ_32B_AWQ = replace(QWQ_32B, weight_bits=INT4_BITS)
QWEN_CODER_0_5B = ModelShape(
    layers=24,
    heads=14,
    kv_heads=2,
    head_dim=64,
    layer_parameters=24 * (2 * 896 * 64 * (14 + 2) + 3 * 896 * 4_864),
    vocabulary_parameters=151_936 * 896,
    tied=True,
    positions=32_768,
)
_KNOWN = {
    "qwq-32b-preview": replace(QWQ_32B, positions=32_768),
    "qwq-32b": QWQ_32B,
    "qwen2.5-coder-0.5b": QWEN_CODER_0_5B,
}
