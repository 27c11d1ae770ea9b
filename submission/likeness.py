"""The models of which a rehearsal attaches a likeness by their names: their shapes, and what their config.json says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.errors import InputError
from agent.hardware.shapes import ModelShape, known_model

_QWEN2_32B = {
    **{"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "hidden_size": 5_120, "intermediate_size": 27_648},
    **{"num_hidden_layers": 64, "num_attention_heads": 40, "num_key_value_heads": 8, "vocab_size": 152_064},
    **{"max_position_embeddings": 131_072, "tie_word_embeddings": False},
}
_GPT_OSS = {
    **{"model_type": "gpt_oss", "architectures": ["GptOssForCausalLM"], "hidden_size": 2_880, "vocab_size": 201_088},
    **{"intermediate_size": 2_880, "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64},
    **{"num_experts_per_tok": 4, "sliding_window": 128, "max_position_embeddings": 131_072},
    **{"tie_word_embeddings": False, "quantization_config": {"quant_method": "mxfp4"}},
}
_QWEN3_30B = {
    **{"model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 2_048, "head_dim": 128},
    **{"num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4, "intermediate_size": 6_144},
    **{"num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768, "vocab_size": 151_936},
    **{"max_position_embeddings": 262_144, "tie_word_embeddings": False},
}
# What the config.json of a model says, by a part of its name.
_DESCRIPTIONS: Mapping[str, Mapping[str, Any]] = {
    "qwq-32b": _QWEN2_32B,
    "openmath-nemotron-32b": _QWEN2_32B,
    "gpt-oss-120b": {**_GPT_OSS, "num_hidden_layers": 36, "num_local_experts": 128},
    "gpt-oss-20b": {**_GPT_OSS, "num_hidden_layers": 24, "num_local_experts": 32},
    "qwen3-30b-a3b-thinking": _QWEN3_30B,
}


def check_likeness(given: str) -> None:
    """Raise InputError for what is neither a model's directory nor the name of a model of which there is a likeness."""
    folder = Path(given)
    if not folder.is_dir():
        likeness_of(given)
    elif not (folder / "config.json").is_file() and not any(folder.glob("*.gguf")):
        raise InputError(f"{given} holds no model: give a directory with a config.json or a GGUF file")


def likeness_of(name: str) -> tuple[ModelShape, Mapping[str, Any]]:
    """The shape of a known model, and what its config.json says. Raises InputError for another name."""
    if found := known_likeness(name):
        return found
    raise InputError(f"no model {name!r}: give one of {', '.join(_DESCRIPTIONS)} or the directory of your own")


def known_likeness(name: str) -> tuple[ModelShape, Mapping[str, Any]] | None:
    """As `likeness_of`; None for a name that is not known."""
    shape = known_model(name)
    description = next((value for part, value in _DESCRIPTIONS.items() if part in name.lower()), None)
    return (shape, description) if shape and description else None
