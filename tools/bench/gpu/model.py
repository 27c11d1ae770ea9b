"""The model of a matrix: real weights by name or path, or an architecture with random ones."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from agent.config import Config, override_config
from agent.engine.configured import model_path, settle_family, settle_hub_model
from agent.errors import InputError
from agent.models.known import known_models
from tools.bench.dummy_model import write_dummy
from tools.bench.gpu.matrix import WEIGHT_FORMATS, ServingVariant

_RANDOM_FOLDER = "random-weights"
_AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"}


@dataclass(frozen=True, slots=True)
class ModelToServe:
    """What is served: `config` names the model, which vLLM finds at `place`, a directory or a name of the Hub.

    `random` is the architecture of random weights, "" for real ones; `awq_place` is their likeness in 4 bits.
    """

    config: Config
    place: str
    random: str = ""
    awq_place: str = ""

    @property
    def default_weights(self) -> tuple[str, ...]:
        """The weights worth measuring: all of random ones; of real ones that are quantized only themselves."""
        if self.random:
            return WEIGHT_FORMATS
        return WEIGHT_FORMATS[:1] if "quantization_config" in self._description else WEIGHT_FORMATS[:2]

    @property
    def digest(self) -> str:
        """What tells the model's files apart: a digest of its configuration and of the sizes of its weights.

        "" where the model is no directory here.
        """
        folder = Path(self.place)
        if not (folder / "config.json").is_file():
            return ""
        sizes = sorted((path.name, path.stat().st_size) for path in folder.glob("*.safetensors"))
        told = json.dumps([self._description, sizes], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def served(self, variant: ServingVariant) -> Config:
        """Return the configuration that serves the model this way."""
        place = self.awq_place if variant.weights == "awq" else self.place
        return override_config(variant.served(self.config), {"engine.model": place})

    def check_weights(self, weights: tuple[str, ...]) -> None:
        """Raise InputError for weights that this model cannot have."""
        if "awq" in weights and not self.awq_place:
            raise InputError(
                "--weights awq makes random weights of 4 bits, for --dummy: to measure real ones, give a model that is "
                "AWQ, with --weights stored"
            )

    @property
    def _description(self) -> dict[str, object]:
        try:
            found = json.loads((Path(self.place) / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def given_model(text: str) -> str:
    """The name of a model as it is recorded: that of a directory is its whole path."""
    return str(Path(text).absolute()) if Path(text).is_dir() else text


def real_model(config: Config) -> ModelToServe:
    """Return the configured model, fetched if it is one of the Hub's, with its exact name and its family settled.

    Raises ModelError if it cannot be had, InputError for one that vLLM does not serve.
    """
    name = config.engine.model
    if name.lower().endswith(".gguf") or name in known_models():
        raise InputError(
            f"{name} is a GGUF file, and vLLM takes a directory: convert it with tools/gguf_to_hf.py, or give "
            "hf:owner/repository"
        )
    if not name:
        raise InputError("no model is given: name one, or give --dummy for random weights")
    settled = settle_family(settle_hub_model(config), None)
    return ModelToServe(settled, str(model_path(settled.engine, None)))


def resumed_model(config: Config, random: str, directory: Path) -> ModelToServe:
    """Return the model of a matrix that is resumed, whose configuration is settled. Raises ModelError as before."""
    if random:
        return _written_model(config, random, directory)
    return ModelToServe(config, str(model_path(config.engine, None)))


def random_model(config: Config, architecture: str, tokenizer: Path | None, directory: Path) -> ModelToServe:
    """Write an architecture without weights, and its likeness in 4 bits, into the directory, and return it.

    `tokenizer` is a directory with a tokenizer of Qwen2.5's vocabulary. Raises InputError without one.
    """
    for folder in _random_folders(directory):
        write_dummy(architecture, tokenizer or Path(), folder)
    path = _random_folders(directory)[1] / "config.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(description | {"quantization_config": _AWQ}, indent=1), encoding="utf-8")
    return _written_model(config, architecture, directory)


def _written_model(config: Config, architecture: str, directory: Path) -> ModelToServe:
    plain, awq = (str(folder.absolute()) for folder in _random_folders(directory))
    served = override_config(config, {"engine.model": plain, "vllm.load_format": "dummy"})
    return ModelToServe(settle_family(served, None), plain, architecture, awq)


def _random_folders(directory: Path) -> tuple[Path, Path]:
    """Where random weights are described: as they are, and in 4 bits."""
    return directory / _RANDOM_FOLDER / "plain", directory / _RANDOM_FOLDER / "awq"
