"""Convert a GGUF file to a Hugging Face directory in bf16, which vLLM can serve on a CPU.

Run it by the interpreter that has vLLM: python tools/gguf_to_hf.py MODEL.gguf DIRECTORY
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path


def convert_gguf(source: Path, target: Path) -> None:
    """Write the directory atomically."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    file = {"gguf_file": source.name}
    AutoTokenizer.from_pretrained(source.parent, **file).save_pretrained(partial)
    model = AutoModelForCausalLM.from_pretrained(
        source.parent, **file, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(partial)
    path = partial / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config.pop("quantization_config", None)  # belongs to the file that was read; what is written is not quantized
    path.write_text(json.dumps(config, indent=1), encoding="utf-8")
    partial.rename(target)


def main() -> int:
    """Carry out the command; returns its exit status: 2 for paths that cannot be used or packages that are missing."""
    parser = argparse.ArgumentParser(description="Convert a GGUF file to a Hugging Face directory in bf16.")
    parser.add_argument("model", type=Path, metavar="MODEL.gguf", help="the file that is read")
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="where to write; must not exist yet")
    arguments = parser.parse_args()
    if not arguments.model.is_file():
        parser.error(f"{arguments.model} is no file: give the path of a GGUF file")
    if arguments.directory.exists():
        parser.error(f"{arguments.directory} exists already: name another directory, or remove it")
    try:
        convert_gguf(arguments.model, arguments.directory)
    except ImportError as error:
        parser.error(f"{error}: run it by an interpreter that has vLLM, or install the extra `convert`")
    return 0


if __name__ == "__main__":
    sys.exit(main())
