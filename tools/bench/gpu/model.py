"""The model of a matrix: real weights by name or path, or an architecture with random ones."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from agent.config import Config, override_config
from agent.engine.configured import settle_family, settle_hub_model
from agent.errors import InputError
from agent.models.known import known_models
from tools.bench.dummy_model import write_dummy
from tools.bench.gpu.matrix import WEIGHTS, ServingVariant

_RANDOM_FOLDER = "random-weights"
_AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"}


@dataclass(frozen=True, slots=True)
class ModelToServe:
    """What is served: `config` names the model, `random` its architecture where the weights are random, else "".

    `awq_folder` is the likeness of random weights in 4 bits, where there is one.
    """

    config: Config
    random: str = ""
    awq_folder: Path | None = None

    @property
    def default_weights(self) -> tuple[str, ...]:
        """The weights worth measuring: all of random ones; of real ones that are quantized only themselves."""
        if self.random:
            return WEIGHTS
        return WEIGHTS[:1] if "quantization_config" in self._description else WEIGHTS[:2]

    @property
    def digest(self) -> str:
        """What tells the model's files apart: a digest of its configuration and of the sizes of its weights.

        "" where the model is no directory here.
        """
        folder = Path(self.config.engine.model)
        if not (folder / "config.json").is_file():
            return ""
        sizes = sorted((path.name, path.stat().st_size) for path in folder.glob("*.safetensors"))
        told = json.dumps([self._description, sizes], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def served(self, variant: ServingVariant) -> Config:
        """Return the configuration that serves the model this way."""
        config = variant.served(self.config)
        if variant.weights != "awq":
            return config
        return override_config(config, {"engine.model": str(self.awq_folder)})

    def check_weights(self, weights: tuple[str, ...]) -> None:
        """Raise InputError for weights that this model cannot have."""
        if "awq" in weights and self.awq_folder is None:
            raise InputError(
                "--weights awq makes random weights of 4 bits, for --dummy: to measure real ones, give a model that is "
                "AWQ, with --weights stored"
            )

    @property
    def _description(self) -> dict[str, object]:
        try:
            found = json.loads((Path(self.config.engine.model) / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def real_model(config: Config) -> ModelToServe:
    """Return the configured model, fetched if it is one of the Hub's, with its family settled.

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
    return ModelToServe(settle_family(settle_hub_model(config), None))


def random_model(config: Config, architecture: str, tokenizer: Path | None, directory: Path) -> ModelToServe:
    """Write an architecture without weights, and its likeness in 4 bits, into the directory, and return it.

    `tokenizer` is a directory with a tokenizer of Qwen2.5's vocabulary. Raises InputError without one.
    """
    for folder in _random_folders(directory):
        write_dummy(architecture, tokenizer or Path(), folder)
    path = _random_folders(directory)[1] / "config.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(description | {"quantization_config": _AWQ}, indent=1), encoding="utf-8")
    return written_random_model(config, architecture, directory)


def written_random_model(config: Config, architecture: str, directory: Path) -> ModelToServe:
    """Return what `random_model` has written into the directory."""
    plain, awq = (folder.absolute() for folder in _random_folders(directory))
    served = override_config(config, {"engine.model": str(plain), "vllm.load_format": "dummy"})
    return ModelToServe(settle_family(served, None), architecture, awq)


def _random_folders(directory: Path) -> tuple[Path, Path]:
    """Where random weights are described: as they are, and in 4 bits."""
    return directory / _RANDOM_FOLDER / "plain", directory / _RANDOM_FOLDER / "awq"
