"""A repository of the Hub by its name: the directory that vLLM serves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants

from agent.models.store import exact_name
from tests.support.servers.hub_stand_in import COMMIT, HubStandIn, fetched, refusal, serving_hub

REPOSITORY = "someone/Tiny-1B"
NAME = f"hf:{REPOSITORY}"
INDEX = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
FILES = {
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "chat_template.jinja": b"{{ messages }}",
    "model.safetensors.index.json": json.dumps(INDEX).encode(),
    "model-00001-of-00002.safetensors": b"one" * 100,
    "model-00002-of-00002.safetensors": b"two" * 100,
}
LEFT_OUT = {
    "README.md": b"hello",
    "pytorch_model.bin": b"twice",
    "consolidated.safetensors": b"twice",
    "original/consolidated.00.pth": b"thrice",
    "tiny-q4.gguf": b"GGUF",
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    with serving_hub(monkeypatch, tmp_path) as serving:
        serving.repositories[REPOSITORY] = FILES | LEFT_OUT
        yield serving


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_what_a_server_needs_is_fetched_and_nothing_twice(hub: HubStandIn) -> None:
    folder, told = fetched(NAME)
    assert names(folder) == sorted(FILES)
    assert folder.name == COMMIT
    assert f"{NAME} does not say which commit: this is {NAME}@{COMMIT}" in told
    assert f"fetching {NAME} (" in told
    assert f"in {len(FILES)} files)" in told


def test_off_a_terminal_no_bar_is_drawn(hub: HubStandIn, capfd: pytest.CaptureFixture[str]) -> None:
    fetched(NAME)
    assert capfd.readouterr() == ("", "")


def test_what_is_here_is_not_fetched_again(hub: HubStandIn) -> None:
    folder, _ = fetched(NAME)
    hub.asked.clear()
    again, told = fetched(NAME)
    assert again == folder
    assert "fetching" not in told
    assert not [asked for asked in hub.asked if "/resolve/" in asked]
    hub.asked.clear()
    assert fetched(f"{NAME}@{COMMIT}") == (folder, "")
    assert hub.asked == []


def test_the_exact_name_of_a_repository_has_its_commit(hub: HubStandIn) -> None:
    assert exact_name(NAME, directory=True) == f"{NAME}@{COMMIT}"
    assert exact_name(f"{NAME}@main", directory=True) == f"{NAME}@{COMMIT}"
    assert exact_name(f"{NAME}@{COMMIT}", directory=True) == f"{NAME}@{COMMIT}"


def test_a_download_that_was_interrupted_goes_on_with_the_files_that_are_missing(hub: HubStandIn) -> None:
    folder, _ = fetched(NAME)
    (folder / "model-00002-of-00002.safetensors").resolve().unlink()
    (folder / "model-00002-of-00002.safetensors").unlink()
    hub.ranges.clear()
    for name in (NAME, f"{NAME}@{COMMIT}"):
        assert names(fetched(name)[0]) == sorted(FILES)
    assert len(hub.ranges) == 1


def test_weights_in_the_older_format_are_taken_where_there_are_no_others(hub: HubStandIn) -> None:
    hub.repositories[REPOSITORY] = {"config.json": b"{}", "pytorch_model.bin": b"weights", "model.onnx": b"no"}
    assert names(fetched(NAME)[0]) == ["config.json", "pytorch_model.bin"]


def test_a_repository_without_weights_names_the_gguf_files_that_it_has(hub: HubStandIn) -> None:
    hub.repositories[REPOSITORY] = {"README.md": b"", "tiny-q4.gguf": b"GGUF", "config.json": b"{}"}
    assert "it has tiny-q4.gguf: give one of these" in refusal(NAME)
    hub.repositories[REPOSITORY] = {"README.md": b""}
    assert "give a model in the Transformers format" in refusal(NAME)


def test_a_revision_that_is_not_there(hub: HubStandIn) -> None:
    assert "has no revision 'nowhere'" in refusal(f"{NAME}@nowhere")


def test_a_gated_repository_says_where_to_ask(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.gated.add(REPOSITORY)
    assert f"{REPOSITORY} is gated: ask for access on {hub.endpoint}/{REPOSITORY}" in refusal(NAME)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert names(fetched(NAME)[0]) == sorted(FILES)


def test_a_repository_that_is_not_there(hub: HubStandIn) -> None:
    assert "there is no someone/else, or it is private" in refusal("hf:someone/else")


def test_without_a_network_a_whole_copy_is_used_and_a_part_of_one_is_not(
    hub: HubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = fetched(NAME)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    found, told = fetched(NAME)
    assert found == folder
    assert "the copy that is here is used" in told
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "HF_HUB_OFFLINE forbids to fetch" in refusal(NAME)


NEXT = "89abcdef0123456789abcdef0123456789abcdef"


def test_a_push_while_it_is_fetched_leaves_no_mixture(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed = {"config.json": b"{1}", "model.safetensors": b"new" * 100, "tokenizer.json": b"{2}"}
    hub.push = (NEXT, pushed)
    folder, told = fetched(NAME)
    assert folder.name == NEXT
    assert {name: (folder / name).read_bytes() for name in names(folder)} == pushed
    assert f"this is {NAME}@{NEXT}" in told
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetched(NAME)[0] == folder


def test_what_an_older_commit_has_of_the_same_names_is_not_counted_as_here(
    hub: HubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched(NAME)
    hub.commit = NEXT
    hub.repositories[REPOSITORY] = FILES | {"model-00002-of-00002.safetensors": b"new" * 100}
    monkeypatch.setattr("agent.models.cache_folder.shutil.disk_usage", lambda path: SimpleNamespace(free=200))
    assert "whose disk has" in refusal(NAME)


def test_a_repository_is_not_begun_on_a_disk_without_room(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    class Disk:
        free = 600

    monkeypatch.setattr("agent.models.cache_folder.shutil.disk_usage", lambda path: Disk)
    assert "whose disk has" in refusal(NAME)
    assert hub.ranges == []
