"""The model folder that a rehearsal attaches: all that describes the model, and files of the size of its weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from agent.chat.family import load_family
from agent.chat.recognize import recognized_family
from agent.hardware.shapes import BF16_BITS, FP8_BITS, ModelShape
from submission.built_notebook import BuiltNotebook
from submission.likeness import known_likeness, likeness_of
from submission.metadata import below_input, is_mounted_at, mount_of

_GGUF_HEAD_BYTES = 64 << 20  # with the chat template, behind a tokenizer's words


def likeness_for(built: BuiltNotebook, default: str) -> str:
    """The model of which a notebook is given a likeness: the one that its settings name, or else the default.

    They name it by the model's path, by what is attached, or by the profile; it has to be a known one, or a directory
    of this machine.
    """
    named = [built.setting("MODEL", str), *built.setting("SOURCES", list)]
    parts = [part for name in named for part in sorted(str(name).lower().split("/"), key=len, reverse=True)]
    model = _model_of_profile(built)
    if known := next(filter(known_likeness, (*parts, model)), None):
        return known
    return model if model and Path(model).is_dir() else default


def place_of(built: BuiltNotebook, attached: str) -> PurePosixPath:
    """Where below Kaggle's input folder the attached model lies, by the notebook's settings and the model's name.

    Where several things are attached it is the first of those that MODEL may mean.
    """
    name = Path(attached).name.lower()
    model = built.setting("MODEL", str)
    sources = [str(source) for source in built.setting("SOURCES", list)]
    mounts = [mount_of(source) for source in sources]
    places = [mount if mount.parts[0] == "models" else mount / name for mount in mounts]
    if (path := below_input(model)) is None:
        model = model.strip().strip("/")
        fallback = PurePosixPath("models", "owner", model or name, "transformers", "default", "1")
        return next((place for place in places if model.lower() in str(place).lower()), [*places, fallback][0])
    return path if not places or any(is_mounted_at(source, path) for source in sources) else places[0]


def _model_of_profile(built: BuiltNotebook) -> str:
    """The model that the notebook's profile names, "" if it names none."""
    engine = built.profile().get("engine")
    return str(engine.get("model", "")) if isinstance(engine, Mapping) else ""


def attach_model(given: str, folder: Path) -> None:
    """Make the model folder of a name, like Qwen/QwQ-32B-AWQ, or a likeness of the user's own, given its directory.

    Raises InputError for a name that is not known.
    """
    folder.mkdir(parents=True)
    if Path(given).is_dir():
        _copy(Path(given), folder)
        return
    shape, description = likeness_of(given)
    quantization = {} if "quantization_config" in description else _quantization(shape)
    config = {**description, **quantization, "_name_or_path": given}
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    marks = load_family(recognized_family("", given)).template.has
    (folder / "chat_template.jinja").write_text("\n".join(marks), encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    _reserve(folder / "model.safetensors", shape.weight_bytes)


def _quantization(shape: ModelShape) -> dict[str, Any]:
    if shape.weight_bits == BF16_BITS:
        return {}
    method = {"quant_method": "fp8"} if shape.weight_bits == FP8_BITS else {"quant_method": "awq", "bits": 4}
    return {"quantization_config": {**method, "group_size": 128}}


def _copy(source: Path, folder: Path) -> None:
    for path in sorted(source.iterdir()):
        if path.suffix in (".safetensors", ".bin", ".gguf"):
            with path.open("rb") as file:
                head = file.read(_GGUF_HEAD_BYTES if path.suffix == ".gguf" else 0)
            _reserve(folder / path.name, path.stat().st_size, head)
        elif path.is_file():
            shutil.copyfile(path, folder / path.name)


def _reserve(path: Path, size: int, head: bytes = b"") -> None:
    """Make a file of that size that begins so; the rest takes no room on the disk."""
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)
