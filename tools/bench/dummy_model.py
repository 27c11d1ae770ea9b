"""Create model directories without weights, for `--load-format dummy`: an architecture and a given tokenizer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from agent.errors import InputError

_QWEN2: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "rope_theta": 1e6,
    "max_position_embeddings": 131_072,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "use_sliding_window": False,
    "bos_token_id": 151_643,
    "eos_token_id": 151_645,
    "vocab_size": 152_064,
}
# QwQ-32B's sizes are those of its published config.json; `tiny` has its shape in small, to try things on a CPU.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "qwq-32b": {
        "hidden_size": 5_120,
        "intermediate_size": 27_648,
        "num_hidden_layers": 64,
        "num_attention_heads": 40,
        "num_key_value_heads": 8,
    },
    "tiny": {
        "hidden_size": 256,  # heads of 64, the least that vLLM's CPU attention takes
        "intermediate_size": 512,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
}
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt")


def write_dummy(architecture: str, tokenizer: Path, folder: Path) -> Path:
    """Write the directory and return it. `tokenizer` is a directory with a tokenizer of Qwen2's vocabulary.

    Raises InputError if there is none in it.
    """
    if not (tokenizer / "tokenizer.json").is_file():
        raise InputError(f"{tokenizer} holds no tokenizer.json: give --tokenizer the directory of a Qwen2.5 model")
    folder.mkdir(parents=True, exist_ok=True)
    for name in _TOKENIZER_FILES:
        if (tokenizer / name).is_file():
            shutil.copy(tokenizer / name, folder / name)
    config = _QWEN2 | ARCHITECTURES[architecture]
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    return folder
