"""Metadata files: what Kaggle would misread is refused, with a sentence that says what to fix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import InputError
from submission.metadata import (
    KernelMetadata,
    check_dataset,
    check_kernel,
    read_metadata,
    write_metadata,
)
from tests.support.servers import kaggle_stand_in as stand_in

KERNEL: dict[str, Any] = {
    **stand_in.KERNEL,
    "model_sources": ["qwen/qwq-32b/transformers/awq/1"],
    "dataset_sources": ["me/wheels", "me/wheels/3"],
}
DATASET: dict[str, Any] = {
    "id": "me/my-wheels",
    "title": "My wheels",
    "subtitle": "Wheels for a notebook",
    "licenses": [{"name": "other"}],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "n.ipynb").write_text("{}")
    return tmp_path


def test_what_is_right_passes_and_is_written_as_it_was(folder: Path) -> None:
    kernel = check_kernel(KERNEL, folder)
    write_metadata(kernel, folder / "kernel-metadata.json")
    again = read_metadata(folder / "kernel-metadata.json")
    assert check_kernel(again, folder) == kernel
    assert KERNEL.items() <= again.items()
    assert check_dataset(DATASET, folder).title == "My wheels"


@pytest.mark.parametrize("word", ["false", "False", False])
def test_truth_may_be_written_as_a_word(word: object, folder: Path) -> None:
    assert check_kernel({**KERNEL, "enable_internet": word}, folder).enable_internet is False


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"enable_internt": False}, "enable_internt: no such key: write enable_internet"),
        ({"colour": 1}, "colour: no such key: leave it out"),
        ({"enable_internet": ...}, "enable_internet: it is missing"),
        ({"enable_internet": True}, "enable_internet: the scored run has no internet: write false"),
        ({"enable_internet": "yes"}, "enable_internet: input should be a valid boolean"),
        ({"language": ...}, "language: it is missing"),
        ({"kernel_type": "book"}, "kernel_type: input should be 'script' or 'notebook'"),
        ({"title": "My"}, "title: string should have at least 5"),
        ({"title": "Another notebook"}, "title: 'Another notebook' has the slug 'another-notebook'"),
        ({"id": "my-notebook"}, "id: 'my-notebook' has to be owner/slug"),
        ({"id": "INSERT_OWNER/my-notebook"}, "has to be owner/slug"),
        ({"machine_shape": "NvidiaL5"}, "machine_shape: 'NvidiaL5' is not known: write NvidiaL4"),
        ({"machine_shape": "Abacus"}, "write one of NvidiaTeslaP100"),
        ({"enable_gpu": False}, "enable_gpu: it is off and machine_shape is NvidiaL4"),
        ({"model_sources": ["qwen/qwq-32b"]}, "model_sources.0: 'qwen/qwq-32b' has to be owner/model/framework"),
        ({"dataset_sources": ["wheels"]}, "dataset_sources.0: 'wheels' has to be owner/slug"),
        ({"competition_sources": ["me/aimo"]}, "competition_sources.0: 'me/aimo' has to be the competition's slug"),
        ({"code_file": "other.ipynb"}, "code_file: there is no other.ipynb"),
        ({"code_file": "n.py"}, "code_file: 'n.py' is no notebook"),
        ({"docker_image_pinning_type": "newest"}, "docker_image_pinning_type: input should be 'original' or 'latest'"),
    ],
)
def test_what_kaggle_would_misread_is_refused(change: dict[str, Any], told: str, folder: Path) -> None:
    tree = {key: value for key, value in {**KERNEL, **change}.items() if value is not ...}
    with pytest.raises(InputError) as caught:
        check_kernel(tree, folder)
    assert told in str(caught.value)
    assert str(caught.value).startswith(str(folder / "kernel-metadata.json"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"title": "Short", "id": "me/short"}, "title: string should have at least 6"),
        ({"title": "x" * 51, "id": "me/" + "x" * 51}, "title: string should have at most 50"),
        ({"id": "me/tiny"}, "id: the slug 'tiny' has 4 characters"),
        ({"subtitle": "too short"}, "subtitle: string should have at least 20"),
        ({"licenses": []}, "licenses: list should have at least 1"),
        ({"licenses": [{"name": "other"}] * 2}, "licenses: list should have at most 1"),
        ({"licenses": ["other"]}, "licenses.0"),
        ({"licences": []}, "licences: no such key: write licenses"),
    ],
)
def test_what_kaggle_would_misread_of_a_dataset_is_refused(change: dict[str, Any], told: str, folder: Path) -> None:
    with pytest.raises(InputError) as caught:
        check_dataset({**DATASET, **change}, folder)
    assert told in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_a_file_that_holds_no_metadata_is_an_input_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "kernel-metadata.json").write_text(text)
    with pytest.raises(InputError, match="build it again"):
        read_metadata(tmp_path / "kernel-metadata.json")
    with pytest.raises(InputError, match="build it first"):
        read_metadata(tmp_path / "nothing.json")


VALUES = st.none() | st.text(alphabet="ab/-1", max_size=12) | st.integers()


@given(st.dictionaries(st.sampled_from([*KernelMetadata.model_fields, "other"]), VALUES, max_size=6))
def test_no_tree_makes_anything_but_an_input_error(tree: dict[str, Any]) -> None:
    folder = Path("/nowhere")
    with pytest.raises(InputError):
        check_kernel(tree, folder)
    json.dumps(tree)
