"""Finding models, wheels and data below /kaggle/input, in the layouts of several years."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.errors import InputError
from submission.serving.mounts import (
    ROOT_VARIABLE,
    find_csv,
    find_evaluation_package,
    find_models,
    find_wheels,
    incomplete_models,
    kaggle_root,
    named_models,
)

SLUG = "ai-mathematical-olympiad-progress-prize-3"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path))
    (tmp_path / "input").mkdir()
    return tmp_path / "input"


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_the_root_is_kaggle_s_own_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ROOT_VARIABLE, raising=False)
    assert kaggle_root() == Path("/kaggle")


@pytest.mark.parametrize("mount", [SLUG, f"competitions/{SLUG}"])
def test_competition_data_is_found_at_earlier_and_present_mounts(mount: str, tree: Path) -> None:
    put(tree / "datasets" / "someone" / "reference.csv")
    test = put(tree / mount / "test.csv")
    package = put(tree / mount / "kaggle_evaluation" / "__init__.py").parent.parent
    assert find_csv(SLUG, "reference.csv", "test.csv") == test
    assert find_evaluation_package("kaggle_evaluation") == package
    reference = put(tree / mount / "reference.csv")
    assert find_csv(SLUG, "reference.csv", "test.csv") == reference
    assert find_csv("another-competition", "test.csv") is None


def test_the_wheelhouse_is_the_folder_with_wheels_and_requirements(tree: Path) -> None:
    assert find_wheels() is None
    put(tree / "papers" / "requirements.txt")
    put(tree / "others" / "a.whl")
    assert find_wheels() is None
    requirements = put(tree / "datasets" / "me" / "wheels" / "requirements.txt")
    put(requirements.with_name("a.whl"))
    assert find_wheels() == requirements.parent


def put_model(folder: Path, *names: str) -> Path:
    for name in ("config.json", "tokenizer.json", *(names or ("model.safetensors",))):
        put(folder / name)
    return folder


def test_models_are_found_whatever_their_names(tree: Path) -> None:
    folder = put_model(tree / "models" / "me" / "thing" / "transformers" / "default" / "1", *numbered(3))
    gguf = put(tree / "datasets" / "me" / "tiny.gguf")
    put(tree / "datasets" / "x" / "config.json")  # no weights beside it
    put_model(tree / "datasets" / "lora", "adapter_model.safetensors")
    put(tree / "datasets" / "me" / "mmproj-tiny.gguf")
    put(tree / "datasets" / "me" / "tiny.MMPROJ-f16.gguf")
    assert find_models() == [gguf, folder]


def numbered(count: int, suffix: str = "safetensors", stem: str = "model") -> list[str]:
    return [f"{stem}-{number + 1:05}-of-{count:05}.{suffix}" for number in range(count)]


def test_another_form_of_a_model_inside_its_folder_is_no_model_of_its_own(tree: Path) -> None:
    folder = put_model(tree / "gpt-oss")
    put_model(folder / "original", "model--00001-of-00001.safetensors")
    put(folder / "gguf" / "q4.gguf")
    beside = put_model(tree / "gpt-oss-2")
    assert find_models() == [folder, beside]


def test_a_gguf_model_in_several_files_is_its_first_one(tree: Path) -> None:
    for name in numbered(3, "gguf", "big-q8"):
        put(tree / "m" / name)
    put(tree / "m" / "big-q4-00002-of-00002.gguf")
    assert find_models() == [tree / "m" / "big-q8-00001-of-00003.gguf"]


def test_a_model_that_lacks_files_is_left_out_and_said(tree: Path) -> None:
    whole = put_model(tree / "whole", *numbered(2), *numbered(2, stem="consolidated"))
    torn = put_model(tree / "torn", *numbered(4)[1:3])
    gguf = put(tree / "g" / numbered(3, "gguf", "[x]")[0])
    put(tree / "g" / "whole.gguf")
    assert find_models() == [whole, tree / "g" / "whole.gguf"]
    assert sorted(incomplete_models()) == [
        f"{gguf} lacks 2 of the files that its weights are in",
        f"{torn} lacks 2 of the files that its weights are in",
    ]


def test_a_model_whose_index_names_a_file_that_is_not_there_is_left_out_and_said(tree: Path) -> None:
    whole, torn = put_model(tree / "whole", "a.safetensors"), put_model(tree / "torn", "a.safetensors")
    for model, files in ((whole, ["a"]), (torn, ["a", "b", "b"])):
        weights = {f"layer {place}": f"{file}.safetensors" for place, file in enumerate(files)}
        (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))
    assert find_models() == [whole]
    assert incomplete_models() == [f"{torn} lacks 1 of the files that its weights are in"]


@pytest.mark.parametrize("index", ["", "[]", "{}", '{"weight_map": 3}', '{"weight_map": []}', "[" * 100_000])
def test_an_index_that_cannot_be_read_says_nothing(index: str, tree: Path) -> None:
    model = put_model(tree / "m")
    (model / "model.safetensors.index.json").write_text(index)
    assert find_models() == [model]


@pytest.mark.parametrize("name", ["model.safetensors", "model-00001-of-00001.safetensors", "q4.gguf"])
def test_weights_that_are_a_link_to_nowhere_are_missing(name: str, tree: Path) -> None:
    blobs = put(tree / "blobs" / "0")
    for place, target in (("whole", blobs), ("torn", tree / "nowhere")):
        put_model(tree / place, "config.json")
        (tree / place / name).symlink_to(target)
    whole, torn = (tree / place / (name if name.endswith(".gguf") else "") for place in ("whole", "torn"))
    assert find_models() == [whole]
    assert incomplete_models() == [f"{torn} lacks 1 of the files that its weights are in"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("AWQ", ["models/qwq-32b-awq"]),
        ("/kaggle/input/QwQ-32B", ["QwQ-32B"]),
        ("/kaggle/input/models/qwq-32b", ["models/qwq-32b/1"]),
        ("/kaggle/input/QwQ-32B/", ["QwQ-32B"]),
        ("kaggle/input/models", ["models/qwq-32b-awq", "models/qwq-32b/1"]),
        ("32b", ["QwQ-32B", "models/qwq-32b-awq", "models/qwq-32b/1"]),
        ("/kaggle/input/models/qwq-32b-awq", ["models/qwq-32b-awq"]),
    ],
)
def test_a_model_is_named_by_its_path_or_a_part_of_it(name: str, found: list[str], tree: Path) -> None:
    for folder in ("QwQ-32B", "models/qwq-32b-awq", "models/qwq-32b/1"):
        put_model(tree / folder)
    assert named_models(name, find_models()) == [tree / folder for folder in found]


def test_a_model_that_is_not_there_is_reported_with_what_there_is(tree: Path) -> None:
    with pytest.raises(InputError, match=r"no model matches 'qwq' below .*; there is no whole model at all: attach it"):
        named_models("qwq", find_models())
    first, second = put(tree / "a" / "one.gguf"), put(tree / "b" / "two.gguf")
    with pytest.raises(InputError) as caught:
        named_models("qwq", find_models())
    assert f"there is {first}, {second}: attach it or set MODEL" in str(caught.value)


def test_links_in_circles_end(tree: Path) -> None:
    (tree / "loop").symlink_to(tree)
    assert find_wheels() is None
