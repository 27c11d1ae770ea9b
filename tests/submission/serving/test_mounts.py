"""Finding models, wheels and data below /kaggle/input, in the layouts of several years."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import InputError
from submission.serving.mounts import (
    ROOT_VARIABLE,
    find_csv,
    find_evaluation_package,
    find_model,
    find_wheels,
    kaggle_root,
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


def test_models_are_found_by_a_part_of_their_path(tree: Path) -> None:
    config = put(tree / "models" / "qwen" / "QwQ-32B" / "transformers" / "awq" / "1" / "config.json")
    put(config.with_name("model-00001.safetensors"))
    put(tree / "datasets" / "x" / "config.json")  # no weights beside it
    gguf = put(tree / "models" / "m" / "tiny.gguf")
    assert find_model("qwq-32b") == config.parent
    assert find_model(".gguf") == gguf


def test_a_missing_or_ambiguous_model_is_reported_with_what_there_is(tree: Path) -> None:
    with pytest.raises(InputError, match="no model at all"):
        find_model("qwq")
    first, second = put(tree / "a" / "one.gguf"), put(tree / "b" / "two.gguf")
    with pytest.raises(InputError, match="no model matches 'qwq'"):
        find_model("qwq")
    with pytest.raises(InputError) as caught:
        find_model("gguf")
    assert str(first) in str(caught.value) and str(second) in str(caught.value)


def test_links_in_circles_end(tree: Path) -> None:
    (tree / "loop").symlink_to(tree)
    assert find_wheels() is None
