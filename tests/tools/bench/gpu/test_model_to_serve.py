"""The model of a matrix: where vLLM finds it, which weights it can have, what tells it apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.config import Config, load_config
from agent.engine.vllm.command import server_command
from agent.errors import AgentError, ConfigError
from agent.hardware.detect import read_model
from agent.hardware.shapes import FP8_BITS, INT4_BITS
from tools.bench.dummy_model import write_dummy
from tools.bench.gpu import model as models
from tools.bench.gpu.matrix import WEIGHT_FORMATS, ServingVariant, check_extra_args
from tools.bench.gpu.model import random_model, real_model, resumed_model


def config_of(model: str) -> Config:
    return load_config("vllm-cpu", {"engine.model": model})


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    (tmp_path / "tokenizer.json").write_text("{}")
    return tmp_path


def test_random_weights_are_served_as_they_are_in_8_bits_and_in_4(tokenizer: Path, tmp_path: Path) -> None:
    found = random_model(config_of("qwq-32b"), "qwq-32b", tokenizer, tmp_path)
    assert found.default_weights == WEIGHT_FORMATS
    shapes = {}
    for weights in WEIGHT_FORMATS:
        config = found.served(ServingVariant(weights, "auto", "none"))
        shapes[weights] = read_model(config)
        command = server_command(config.engine, config.vllm, 1)
        assert command[command.index("--load-format") + 1] == "dummy"
        assert ("--quantization" in command) == (weights == "fp8")
    bits = {weights: shape.weight_bits for weights, shape in shapes.items() if shape}
    assert bits == {"stored": 16, "fp8": FP8_BITS, "awq": INT4_BITS}
    assert resumed_model(found.config, "qwq-32b", tmp_path) == found


def test_the_speculation_and_the_kv_cache_are_flags_of_the_server(tokenizer: Path, tmp_path: Path) -> None:
    found = random_model(config_of("tiny"), "tiny", tokenizer, tmp_path)
    config = found.served(ServingVariant("stored", "fp8", "ngram"))
    command = server_command(config.engine, config.vllm, 1)
    assert command[command.index("--kv-cache-dtype") + 1] == "fp8"
    assert json.loads(command[command.index("--speculative-config") + 1])["method"] == "ngram"
    assert config.vllm.extra_args[:2] == found.config.vllm.extra_args


def test_of_a_quantized_model_only_its_own_weights_are_measured(tokenizer: Path, tmp_path: Path) -> None:
    folder = write_dummy("tiny", tokenizer, tmp_path / "model")
    plain = real_model(config_of(str(folder)))
    assert plain.default_weights == ("stored", "fp8")
    before = plain.digest
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"quantization_config": {"quant_method": "awq"}}))
    quantized = real_model(config_of(str(folder)))
    assert quantized.default_weights == ("stored",)
    assert before and quantized.digest not in ("", before)


def test_other_weights_make_another_digest(tokenizer: Path, tmp_path: Path) -> None:
    found = real_model(config_of(str(write_dummy("tiny", tokenizer, tmp_path / "model"))))
    before = found.digest
    (tmp_path / "model" / "model.safetensors").write_bytes(b"12345")
    assert found.digest != before


def test_a_model_of_the_hub_is_served_from_its_directory_and_keeps_its_name(
    tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_dummy("tiny", tokenizer, tmp_path / "fetched")
    monkeypatch.setattr(models, "settle_hub_model", lambda config: config)
    monkeypatch.setattr("agent.models.store.fetch_model", lambda name: folder)
    found = real_model(config_of("hf:owner/model@1234"))
    assert found.config.engine.model == "hf:owner/model@1234"
    assert found.served(ServingVariant("stored", "auto", "none")).engine.model == str(folder)
    assert found.digest


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("qwen2.5-coder-0.5b", "is a GGUF file, and vLLM takes a directory: convert it"),
        ("/a/b.GGUF", "is a GGUF file"),
        ("./nowhere", "there is no model at ./nowhere"),
        ("", "no model is given: name one, or give --dummy"),
    ],
)
def test_what_vllm_does_not_serve_is_refused(name: str, words: str) -> None:
    with pytest.raises(AgentError, match=words):
        real_model(config_of(name))


@pytest.mark.parametrize(
    ("word", "is_refused"),
    [
        *(
            (word, True)
            for word in ("--speculative-config={}", "--speculative_config", "--spec-method", "--spec_method")
        ),
        *(
            (word, True)
            for word in ("-sc", "--speculative-config.method", "--kv_cache_dtype=fp8", "--kv-cache-dt", "-q")
        ),
        *((word, True) for word in ("--quantization", "--quant=fp8")),
        *((word, False) for word in ("--max-model-len", "--swap-space=4", "--swap_space", "fp8", "-O3", "--", "-")),
    ],
)
def test_no_spelling_of_what_the_matrix_varies_is_taken(*, word: str, is_refused: bool) -> None:
    """vLLM takes an underscore for a dash, a key behind a dot, and the beginning of a name."""
    if not is_refused:
        check_extra_args(["--other", word])
        return
    with pytest.raises(ConfigError, match="which the matrix varies"):
        check_extra_args(["--other", word])
