"""The sizes of a decoder: what of it lies in memory, what one step reads, and what a lane's context takes."""

from __future__ import annotations

from dataclasses import dataclass, replace

BF16_BITS = 16.0
FP8_BITS = 8.0
INT4_BITS = 4 + (16 + 4) / 128  # including the scale and the zero point of each group of 128
MXFP4_BITS = 4 + 8 / 32  # including the scale of each block of 32

_NAMED_BITS = {"awq": INT4_BITS, "int4": INT4_BITS, "int8": 8.0, "fp8": FP8_BITS, "bf16": BF16_BITS}


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The sizes of a decoder, dense or with experts. Norms and biases, under 0.04 % of the parameters, are neglected.

    `layers` have full attention and keep the keys and values of the whole context; `window_layers` keep those of the
    last `window` tokens; layers of linear attention keep `state_bytes` a lane, all together. Of the `experts` in each
    layer a token passes `active_experts`; one that every token passes (a shared one) is among `layer_parameters`.

    Quantization shrinks the layers to `weight_bits` per parameter and the experts to `expert_bits`; the embedding and
    the head keep 16. `positions` is the maximum context length, None if unlimited. `key_bias` says that the keys have
    a bias, as on Qwen2's architecture, where it is so large that a KV cache in FP8 rounds them coarsely.
    """

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    layer_parameters: int  # all layers of every kind together, without their experts
    vocabulary_parameters: int  # the embedding's, and again the head's
    tied: bool = False  # the head is the embedding
    positions: int | None = None
    weight_bits: float = BF16_BITS
    window_layers: int = 0
    window: int = 0
    state_bytes: int = 0
    expert_parameters: int = 0  # all experts of all layers together
    experts: int = 1
    active_experts: int = 1
    expert_bits: float = BF16_BITS
    key_bias: bool = False

    @property
    def total_parameters(self) -> int:
        """All parameters, those of a tied head once."""
        vocabulary = self.vocabulary_parameters * (1 if self.tied else 2)
        return self.layer_parameters + self.expert_parameters + vocabulary

    @property
    def active_parameters(self) -> int:
        """Parameters that a token is multiplied with: its own experts; of the embedding it needs only one row."""
        experts = self.expert_parameters * self.active_experts // self.experts
        return self.layer_parameters + experts + self.vocabulary_parameters

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights in memory."""
        return self._read_bytes(1.0) + (0 if self.tied else 2 * self.vocabulary_parameters)

    def read_bytes(self, lanes: float) -> int:
        """Return the expected bytes of weights that one step of so many lanes reads.

        Each lane passes a of the n experts of a layer. If the router chooses evenly and for each lane by itself, a
        share 1 - (1 - a / n)^lanes of the experts is read; a router with favourites reads less.
        """
        return self._read_bytes(1 - (1 - self.active_experts / self.experts) ** lanes)

    def kv_token_bytes(self, element_bytes: int) -> int:
        """Return the bytes that each token of the context adds to the KV cache: those of full attention."""
        return self.layers * self._kv_layer_bytes(element_bytes)

    def window_token_bytes(self, element_bytes: int) -> int:
        """Return the bytes of one token's keys and values in all layers with a sliding window."""
        return self.window_layers * self._kv_layer_bytes(element_bytes)

    def quantized(self, bits: float) -> ModelShape:
        """Return the shape with layers and experts of so many bits per parameter."""
        return replace(self, weight_bits=bits, expert_bits=bits)

    def divides(self, parallel: int) -> bool:
        """Whether tensor parallelism can split the heads evenly; KV heads may also be copied evenly."""
        small, large = sorted((parallel, self.kv_heads))
        return self.heads % parallel == 0 and large % small == 0

    def _read_bytes(self, expert_share: float) -> int:
        layers = self.layer_parameters * self.weight_bits + expert_share * self.expert_parameters * self.expert_bits
        return round(layers / 8) + 2 * self.vocabulary_parameters

    def _kv_layer_bytes(self, element_bytes: int) -> int:
        return 2 * self.kv_heads * self.head_dim * element_bytes


def known_model(name: str) -> ModelShape | None:
    """Return the shape of a model known by its name or path, like Qwen/QwQ-32B-AWQ; None for an unknown one."""
    lowered = name.lower()
    if "gguf" in lowered:
        return None
    shape = next((shape for part, shape in _KNOWN.items() if part in lowered), None)
    bits = next((bits for part, bits in _NAMED_BITS.items() if part in lowered), None)
    return shape if shape is None or bits is None else shape.quantized(bits)


QWQ_32B = ModelShape(
    layers=64,
    heads=40,
    kv_heads=8,
    head_dim=128,
    layer_parameters=64 * (2 * 5_120 * 128 * (40 + 8) + 3 * 5_120 * 27_648),
    vocabulary_parameters=152_064 * 5_120,
    positions=131_072,
    key_bias=True,
)
QWQ_32B_FP8 = QWQ_32B.quantized(FP8_BITS)
QWQ_32B_AWQ = QWQ_32B.quantized(INT4_BITS)
QWEN_CODER_0_5B = ModelShape(
    layers=24,
    heads=14,
    kv_heads=2,
    head_dim=64,
    layer_parameters=24 * (2 * 896 * 64 * (14 + 2) + 3 * 896 * 4_864),
    vocabulary_parameters=151_936 * 896,
    tied=True,
    positions=32_768,
    key_bias=True,
)
QWEN3_30B_A3B = ModelShape(
    layers=48,
    heads=32,
    kv_heads=4,
    head_dim=128,
    layer_parameters=48 * (2 * 2_048 * 128 * (32 + 4) + 2_048 * 128),
    vocabulary_parameters=151_936 * 2_048,
    positions=262_144,
    expert_parameters=48 * 128 * 3 * 2_048 * 768,
    experts=128,
    active_experts=8,
)


def _gpt_oss(layers: int, experts: int) -> ModelShape:
    """Return the shape of a model of the gpt-oss family: every second layer has a window, the experts are in MXFP4."""
    return ModelShape(
        layers=layers // 2,
        heads=64,
        kv_heads=8,
        head_dim=64,
        layer_parameters=layers * (2 * 2_880 * 64 * (64 + 8) + 2_880 * experts),
        vocabulary_parameters=201_088 * 2_880,
        positions=131_072,
        window_layers=layers // 2,
        window=128,
        expert_parameters=layers * experts * 3 * 2_880 * 2_880,
        experts=experts,
        active_experts=4,
        expert_bits=MXFP4_BITS,
    )


GPT_OSS_120B = _gpt_oss(layers=36, experts=128)
GPT_OSS_20B = _gpt_oss(layers=24, experts=32)

_KNOWN = {
    "qwq-32b-preview": replace(QWQ_32B, positions=32_768),
    "qwq-32b": QWQ_32B,
    "openmath-nemotron-32b": QWQ_32B,  # both were made from Qwen2.5-32B
    "qwen2.5-coder-0.5b": QWEN_CODER_0_5B,
    "qwen3-30b-a3b-thinking": QWEN3_30B_A3B,
    "gpt-oss-120b": GPT_OSS_120B,
    "gpt-oss-20b": GPT_OSS_20B,
}
