"""What the worker runs: the model, its family and its profile, for whatever is attached and whatever GPUs there are."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.chat.family import load_family
from agent.config import Config, load_config
from agent.errors import ConfigError
from agent.hardware.detect import Gpu, lesser_gpus, read_model
from agent.hardware.shapes import known_model
from submission.protocol import AUTO_PROFILE, WorkerSettings
from submission.rehearse.attached import attach_model
from submission.worker.setup import Setup, choose_setup

H100 = (Gpu("NVIDIA H100 80GB HBM3", 81_559 << 20),)
RTX6000 = (Gpu("NVIDIA RTX PRO 6000 Blackwell Server Edition", 97_887 << 20),)
T4X2 = (Gpu("Tesla T4", 15_360 << 20),) * 2
L4X4 = (Gpu("NVIDIA L4", 23_034 << 20),) * 4


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    return tmp_path / "input"


def attach(mounts: Path, name: str, place: str) -> str:
    attach_model(name, mounts / place)
    return str(mounts / place)


def named(key: str, value: str) -> bytes:
    """One text in the header of a GGUF file."""
    return b"".join(
        (struct.pack("<Q", len(key)), key.encode(), struct.pack("<IQ", 8, len(value)), value.encode()),
    )


def chosen(*models: str, gpus: tuple[Gpu, ...] = H100, profile: str = AUTO_PROFILE, **more: Any) -> Setup:
    return choose_setup(WorkerSettings(profile, "run", 100.0, models=list(models), **more), gpus)


def config_of(setup: Setup) -> Config:
    return load_config(setup.profile, setup.overrides)


@pytest.mark.parametrize(
    ("model", "gpus", "profile", "family"),
    [
        ("RedHatAI/QwQ-32B-FP8-dynamic", H100, "kaggle-h100", "qwq-calls"),
        ("Qwen/QwQ-32B-AWQ", L4X4, "kaggle-l4x4", "qwq-calls"),
        ("Qwen/QwQ-32B-AWQ", T4X2, "kaggle-t4x2", "qwq-calls"),
        ("openai/gpt-oss-120b", H100, "kaggle-h100-gpt-oss-120b", "gpt-oss"),
        ("openai/gpt-oss-20b", RTX6000, "rtx6000-gpt-oss-20b", "gpt-oss"),
        ("Qwen/Qwen3-30B-A3B-Thinking-2507-FP8", RTX6000, "rtx6000-qwen3", "qwen3-thinking"),
        ("nvidia/OpenMath-Nemotron-32B", RTX6000, "rtx6000-openmath-nemotron", "openmath-nemotron"),
        ("Qwen/QwQ-32B-AWQ", H100, "vllm", "qwq-calls"),
        ("openai/gpt-oss-20b", L4X4, "vllm", "gpt-oss"),
        ("Qwen/Qwen3-30B-A3B-Thinking-2507", L4X4, "vllm", "qwen3-thinking"),
    ],
)
def test_a_model_of_any_name_gets_the_profile_made_for_it_and_the_gpus_or_a_computed_one(
    model: str, gpus: tuple[Gpu, ...], profile: str, family: str, mounts: Path
) -> None:
    setup = chosen(attach(mounts, model, "some-dataset/weights"), gpus=gpus)
    config = config_of(setup)
    assert (setup.profile, config.sample.family) == (profile, family)
    assert config.engine.model == str(mounts / "some-dataset/weights")
    assert f"family {family}, profile {profile}: {config.sample.count} lanes of up to" in setup.text
    assert ("computed for it" in setup.text) == (profile == "vllm")


def test_what_is_computed_answers_at_the_end_of_the_thinking_only_where_there_is_a_tag(mounts: Path) -> None:
    thinks = config_of(chosen(attach(mounts, "Qwen/QwQ-32B-AWQ", "a")))
    harmony = config_of(chosen(attach(mounts, "openai/gpt-oss-20b", "b"), gpus=L4X4))
    assert thinks.sample.answer_at_think_close and not harmony.sample.answer_at_think_close
    assert harmony.sample.max_rounds == load_family("gpt-oss").max_rounds != thinks.sample.max_rounds
    assert (harmony.sampling.temperature, harmony.sampling.top_k) == (1.0, 0)


def test_the_user_s_keys_win_over_what_is_computed(mounts: Path) -> None:
    keys = {"sample.count": 3, "sample.family": "qwq-calls", "sampling.temperature": 0.7}
    config = config_of(chosen(attach(mounts, "Qwen/QwQ-32B-AWQ", "a"), overrides=keys))
    assert (config.sample.count, config.sample.family, config.sampling.temperature) == (3, "qwq-calls", 0.7)


@pytest.mark.parametrize("profile", [AUTO_PROFILE, "kaggle-h100"])
def test_a_family_that_is_to_be_recognized_is_that_of_the_attached_model(profile: str, mounts: Path) -> None:
    keys = {"sample.family": "auto"}
    model = attach(mounts, "RedHatAI/QwQ-32B-FP8-dynamic", "a")
    config = config_of(chosen(model, profile=profile, overrides=keys, stand_in={"engine.model": "tiny.gguf"}))
    assert (config.engine.model, config.sample.family) == ("tiny.gguf", "qwq-calls")


def test_the_largest_model_that_fits_is_taken_and_the_others_are_named(mounts: Path) -> None:
    big, small = attach(mounts, "openai/gpt-oss-120b", "big"), attach(mounts, "openai/gpt-oss-20b", "small")
    assert config_of(chosen(small, big)).engine.model == big
    setup = chosen(small, big, gpus=T4X2)
    assert config_of(setup).engine.model == small
    assert f"not used: {big} (65.2 GB): its weights of 65.2 GB and one lane do not fit" in setup.text


def test_the_source_that_is_named_first_is_preferred(mounts: Path) -> None:
    small = attach(mounts, "openai/gpt-oss-20b", "models/openai/gpt-oss/transformers/20b/1")
    big = attach(mounts, "openai/gpt-oss-120b", "models/openai/gpt-oss/transformers/120b/1")
    data = attach(mounts, "Qwen/QwQ-32B-AWQ", "datasets/me/my-qwq")
    for first, expected in (("openai/gpt-oss/transformers/20b/1", small), ("me/my-qwq", data)):
        setup = chosen(small, big, data, sources=[first, "openai/gpt-oss/transformers/120b/1"])
        assert config_of(setup).engine.model == expected


def test_a_named_profile_takes_the_model_that_is_most_like_its_own(mounts: Path) -> None:
    models = [
        attach(mounts, "openai/gpt-oss-120b", "gpt-oss-120b/transformers/default/1"),
        attach(mounts, "Qwen/QwQ-32B-AWQ", "qwq-32b/transformers/awq/1"),
        attach(mounts, "RedHatAI/QwQ-32B-FP8-dynamic", "qwq-32b/transformers/fp8-dynamic/1"),
    ]
    setup = chosen(*models, profile="kaggle-h100")
    assert (setup.profile, config_of(setup).engine.model) == ("kaggle-h100", models[2])
    setup = chosen(*models, profile="kaggle-h100-gpt-oss-120b")
    assert config_of(setup).engine.model == models[0]


def test_a_named_profile_wins_over_what_the_template_says_which_is_said(mounts: Path) -> None:
    setup = chosen(attach(mounts, "openai/gpt-oss-20b", "m"), profile="kaggle-h100")
    assert config_of(setup).sample.family == load_config("kaggle-h100").sample.family
    doubt = "its chat template is that of the family gpt-oss: set sample.family to auto, unless qwq-calls is meant"
    assert doubt in setup.text


def test_a_profile_on_lesser_gpus_than_its_own_is_said(mounts: Path) -> None:
    model = attach(mounts, "openai/gpt-oss-20b", "m")
    lesser = (Gpu("NVIDIA L4", 23_034 << 20),)
    keys = {"vllm.max_num_seqs": 1, "sample.count": 1, "engine.context_tokens": 4_096, "vllm.gpu": "H100"}
    setup = chosen(model, profile="vllm", gpus=lesser, overrides=keys)
    first, told = setup.text.splitlines()[:2]
    assert "on 1 x NVIDIA L4" in first and told == lesser_gpus(config_of(setup), lesser) != ""


def test_a_profile_for_other_gpus_is_refused_with_what_is_there(mounts: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"profile kaggle-l4x4: it needs 4 L4 GPUs and nvidia-smi shows 1 x NVIDIA H100"
    ):
        chosen(attach(mounts, "Qwen/QwQ-32B-AWQ", "m"), profile="kaggle-l4x4")


def test_a_model_of_an_unknown_family_is_refused_unless_the_family_is_set(mounts: Path) -> None:
    model = attach(mounts, "Qwen/QwQ-32B-AWQ", "m")
    (mounts / "m" / "chat_template.jinja").write_text("{{ messages }}")
    (mounts / "m" / "config.json").write_text((mounts / "m" / "config.json").read_text().replace("QwQ", "Abacus"))
    with pytest.raises(ConfigError, match=r"no attached model suits: .*/m \(\d.*set sample\.family to one of"):
        chosen(model)
    assert config_of(chosen(model, overrides={"sample.family": "qwq"})).sample.family == "qwq"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"model_type": "qwen2"}'])
def test_a_description_that_is_broken_is_said_and_another_model_is_taken(content: str, mounts: Path) -> None:
    broken, whole = attach(mounts, "openai/gpt-oss-120b", "a"), attach(mounts, "openai/gpt-oss-20b", "b")
    (mounts / "a" / "config.json").write_text(content)
    setup = chosen(broken, whole)
    assert config_of(setup).engine.model == whole
    assert f"not used: {broken}" in setup.text


def test_a_model_of_an_unknown_architecture_is_sized_by_its_files(mounts: Path) -> None:
    model = attach(mounts, "openai/gpt-oss-20b", "m")
    (mounts / "m" / "config.json").write_text('{"model_type": "abacus"}')
    config = config_of(chosen(model))
    assert (config.sample.family, config.sample.count, config.engine.context_tokens) == ("gpt-oss", 8, 16_384)
    with pytest.raises(ConfigError, match=r"its files of \d+\.\d GB do not fit"):
        chosen(attach(mounts, "openai/gpt-oss-120b", "n"), model, gpus=(Gpu("NVIDIA L4", 10 << 30),))


def test_without_a_gpu_a_gguf_model_runs_on_the_cpu(mounts: Path) -> None:
    folder = attach(mounts, "openai/gpt-oss-120b", "m")
    file = mounts / "tiny.gguf"
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + named("general.name", "Qwen2.5 Coder 0.5B Instruct"))
    setup = chosen(folder, str(file), gpus=())
    config = config_of(setup)
    assert (setup.profile, config.engine.kind, config.engine.model) == ("cpu", "embedded", str(file))
    assert config.sample.family == "qwen-coder"
    assert "there is no GPU to run it on" in setup.text
    assert config_of(chosen(str(file), profile="cpu")).engine.model == str(file)
    with pytest.raises(ConfigError, match="the profile cpu runs a GGUF file"):
        chosen(folder, profile="cpu")


@pytest.mark.parametrize(
    "kind", ["Qwen2ForProcessRewardModel", "Qwen2ForRewardModel", "LlamaForSequenceClassification"]
)
def test_a_model_that_judges_texts_is_passed_over_though_its_template_is_known(kind: str, mounts: Path) -> None:
    judge, writer = attach(mounts, "Qwen/QwQ-32B-AWQ", "a"), attach(mounts, "openai/gpt-oss-20b", "b")
    config = mounts / "a" / "config.json"
    config.write_text(config.read_text().replace("Qwen2ForCausalLM", kind))
    setup = chosen(judge, writer)
    assert config_of(setup).engine.model == writer
    assert f"it writes no text ({kind})" in setup.text
    with pytest.raises(ConfigError, match=r"no attached model suits: .* it writes no text"):
        chosen(judge, profile="kaggle-h100")


def test_an_embedding_model_is_passed_over(mounts: Path) -> None:
    model = attach(mounts, "Qwen/QwQ-32B-AWQ", "a")
    (mounts / "a" / "modules.json").touch()
    with pytest.raises(ConfigError, match=r"it writes no text \(modules\.json\)"):
        chosen(model)


@pytest.mark.parametrize("profile", [AUTO_PROFILE, "vllm"])
def test_a_gpu_that_vllm_does_not_support_is_named(profile: str, mounts: Path) -> None:
    gpus = (Gpu("Tesla P100-PCIE-16GB", 16_384 << 20),)
    with pytest.raises(ConfigError, match="vLLM does not run on a Tesla P100-PCIE-16GB: take another GPU, or a GGUF"):
        chosen(attach(mounts, "openai/gpt-oss-20b", "m"), profile=profile, gpus=gpus)


@pytest.mark.parametrize(
    ("gpu", "dtype"),
    [("Tesla V100-SXM2-32GB", "half"), ("NVIDIA GeForce RTX 2080 Ti", "half"), ("NVIDIA GeForce RTX 4090", "auto")],
)
def test_a_gpu_without_bfloat16_gets_half_precision(gpu: str, dtype: str, mounts: Path) -> None:
    model = attach(mounts, "openai/gpt-oss-20b", "m")
    assert config_of(chosen(model, gpus=(Gpu(gpu, 32_768 << 20),))).vllm.dtype == dtype


def test_a_link_to_weights_that_are_not_there_is_no_reason_to_fail(mounts: Path) -> None:
    model = attach(mounts, "openai/gpt-oss-20b", "m")
    (mounts / "m" / "more.safetensors").symlink_to(mounts / "nowhere")
    assert config_of(chosen(model)).engine.model == model


def test_nothing_attached_is_an_error_that_says_what_to_attach() -> None:
    for profile in (AUTO_PROFILE, "kaggle-h100"):
        with pytest.raises(ConfigError, match="no model is attached: attach one, a directory with safetensors"):
            chosen(profile=profile)


@pytest.mark.parametrize(
    "keys",
    [{"engine.kind": "http", "engine.url": "http://127.0.0.1:8000"}, {"engine.model": "qwen2.5-coder-0.5b"}],
)
def test_a_server_at_a_url_and_a_model_that_the_settings_name_stay_as_they_are(keys: Mapping[str, Any]) -> None:
    setup = chosen(profile="cpu", overrides=dict(keys))
    assert (setup.profile, setup.overrides) == ("cpu", keys)


def test_a_model_of_the_settings_is_the_only_one_for_a_profile_that_is_chosen(mounts: Path) -> None:
    big, small = attach(mounts, "openai/gpt-oss-120b", "a"), attach(mounts, "openai/gpt-oss-20b", "b")
    setup = chosen(big, overrides={"engine.model": small})
    assert (setup.profile, config_of(setup).engine.model) == ("kaggle-h100-gpt-oss-20b", small)


def test_a_stand_in_takes_the_place_of_what_was_chosen_and_is_said(mounts: Path) -> None:
    model = attach(mounts, "openai/gpt-oss-120b", "m")
    keys = {"engine.kind": "embedded", "engine.model": "tiny.gguf", "sample.max_tokens": 64}
    setup = chosen(model, stand_in=keys)
    config = config_of(setup)
    assert (setup.profile, config.engine.kind, config.engine.model) == (
        "kaggle-h100-gpt-oss-120b",
        "embedded",
        "tiny.gguf",
    )
    assert config.sample.family == "gpt-oss"
    assert model in setup.text and "engine.model = tiny.gguf" in setup.text
    with pytest.raises(ConfigError, match="no attached model suits"):
        chosen(model, gpus=T4X2, stand_in=keys)


@pytest.mark.parametrize("name", ["Qwen/QwQ-32B", "Qwen/QwQ-32B-AWQ", "openai/gpt-oss-120b", "openai/gpt-oss-20b"])
def test_a_likeness_has_the_shape_of_its_model(name: str, mounts: Path) -> None:
    shape = read_model(load_config("vllm", {"engine.model": attach(mounts, name, "m")}))
    known = known_model(name)
    assert shape is not None and known is not None
    assert abs(shape.weight_bytes / known.weight_bytes - 1) < 0.01
    assert shape.kv_token_bytes(2) == known.kv_token_bytes(2)
