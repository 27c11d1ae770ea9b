"""A GGUF file of the Hub by its name: fetched, resumed, checked, and what is said where that fails."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import constants

from agent.errors import ModelError
from agent.models.cache_folder import models_folder
from agent.models.store import exact_name
from tests.support.servers.hub_stand_in import HubStandIn, fetched, refusal, serving_hub

REPOSITORY = "someone/tiny-GGUF"
CONTENT = b"GGUF" + bytes(range(256)) * 20
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = f"hf:{REPOSITORY}/tiny.gguf"
OTHER = b"GGUF another"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 500)
    with serving_hub(monkeypatch, tmp_path) as serving:
        serving.repositories[REPOSITORY] = {"tiny.gguf": CONTENT, "q4/other.gguf": OTHER, "README.md": b"hello"}
        yield serving


def kept(suffix: str) -> list[str]:
    return sorted(path.name for path in models_folder().rglob(f"*{suffix}"))


def test_a_file_is_fetched_once_and_its_digest_told(hub: HubStandIn) -> None:
    path, told = fetched(NAME)
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(models_folder())
    assert f"{NAME} does not say which SHA-256: this is {NAME}@{DIGEST}\n" in told
    assert fetched(NAME)[0] == path
    assert hub.ranges == [None]
    assert kept(".part") == []


def test_a_file_with_its_digest_is_fetched_in_silence_and_then_without_a_network(hub: HubStandIn) -> None:
    path, told = fetched(f"{NAME}@{DIGEST}")
    assert path.read_bytes() == CONTENT
    assert "SHA-256" not in told
    hub.asked.clear()
    assert fetched(f"{NAME}@{DIGEST.upper()}") == (path, "")
    assert hub.asked == []


def test_a_file_in_a_folder_of_its_repository(hub: HubStandIn) -> None:
    path, _ = fetched(f"hf:{REPOSITORY}/q4/other.gguf")
    assert path.read_bytes() == OTHER
    assert path.parts[-2:] == ("q4", "other.gguf")


def test_the_exact_name_of_a_file_has_its_digest(hub: HubStandIn) -> None:
    assert exact_name(NAME, directory=False) == f"{NAME}@{DIGEST}"
    assert exact_name(f"{NAME}@{DIGEST}", directory=False) == f"{NAME}@{DIGEST}"
    assert exact_name("a name", directory=False) == "a name"


def test_a_new_file_of_the_same_name_is_fetched_and_the_old_one_stays(hub: HubStandIn) -> None:
    old, _ = fetched(NAME)
    hub.repositories[REPOSITORY]["tiny.gguf"] = OTHER
    new, told = fetched(NAME)
    assert new.read_bytes() == OTHER
    assert hashlib.sha256(OTHER).hexdigest() in told
    assert fetched(f"{NAME}@{DIGEST}")[0] == old


def test_a_download_that_breaks_off_is_resumed_within_the_call(hub: HubStandIn) -> None:
    hub.cuts = [1_700, 600]
    assert fetched(NAME)[0].read_bytes() == CONTENT
    assert hub.ranges[0] is None
    starts = [int((asked or "").removeprefix("bytes=").rstrip("-")) for asked in hub.ranges[1:]]
    assert starts == sorted(starts)
    assert len(starts) == 2
    assert starts[0] >= 1_500


def test_a_download_that_is_interrupted_is_resumed_by_the_next_call(
    hub: HubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Impatient:
        def show(self, done: int) -> None:
            if done >= 2_000:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("agent.models.download_view._Lines", lambda *_: Impatient())
        with pytest.raises(KeyboardInterrupt):
            fetched(NAME)
    assert kept(".part") == ["tiny.gguf.part"]
    path, told = fetched(NAME)
    assert path.read_bytes() == CONTENT
    assert hub.ranges == [None, "bytes=2000-"]
    assert f"tiny.gguf: resumed at {2_000 * 100 // len(CONTENT)}%" in told
    assert kept(".part") == []


def test_a_server_that_knows_no_ranges_sends_all_of_it_again(hub: HubStandIn) -> None:
    hub.cuts = [2_000]
    hub.takes_ranges = False
    assert fetched(NAME)[0].read_bytes() == CONTENT


def test_what_is_left_of_another_file_is_not_continued(hub: HubStandIn) -> None:
    part = models_folder() / "hub" / REPOSITORY / DIGEST / "tiny.gguf.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 10)
    assert "wrong digest" in refusal(NAME)
    assert not part.exists()
    assert fetched(NAME)[0].read_bytes() == CONTENT
    part.write_bytes(b"x" * len(CONTENT) * 2)
    part.with_suffix("").unlink()
    assert fetched(NAME)[0].read_bytes() == CONTENT
    assert kept(".part") == []


@pytest.mark.parametrize("tag", ["../../../../elsewhere", "a/b", ".."])
def test_a_tag_that_leads_elsewhere_is_refused(hub: HubStandIn, tag: str) -> None:
    hub.tagged = tag
    assert "does not say which file it has" in refusal(NAME)
    assert hub.ranges == []


def test_a_name_with_characters_of_a_pattern_is_that_of_one_file(
    hub: HubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repositories[REPOSITORY] = {"tiny[1].gguf": CONTENT, "tiny1.gguf": OTHER}
    one, other = (f"hf:{REPOSITORY}/{file}" for file in hub.repositories[REPOSITORY])
    fetched(other)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE forbids to fetch" in refusal(one)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    path, _ = fetched(one)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetched(one)[0] == path


def test_a_file_that_is_here_needs_no_library_of_the_hubs(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = fetched(NAME)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert fetched(f"{NAME}@{DIGEST}") == (path, "")
    found, told = fetched(NAME)
    assert found == path
    assert "huggingface_hub is not installed" in told
    assert "huggingface_hub is not installed" in refusal(f"hf:{REPOSITORY}/q4/other.gguf")


def test_a_file_longer_than_the_hub_sends_at_once_is_taken_from_its_own_cache(
    hub: HubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "MAX_HTTP_DOWNLOAD_SIZE", len(CONTENT) - 1)
    assert f"run hf download {REPOSITORY} tiny.gguf, and then this again" in refusal(NAME)
    assert hub.ranges == []
    monkeypatch.setattr(constants, "MAX_HTTP_DOWNLOAD_SIZE", len(CONTENT))
    shared = huggingface_hub.hf_hub_download(REPOSITORY, "tiny.gguf")
    monkeypatch.setattr(constants, "MAX_HTTP_DOWNLOAD_SIZE", len(CONTENT) - 1)
    assert fetched(NAME)[0] == Path(shared)


def test_another_digest_is_refused_before_anything_is_fetched(hub: HubStandIn) -> None:
    message = refusal(f"{NAME}@{'0' * 64}")
    assert f"whose SHA-256 is {DIGEST}" in message
    assert hub.ranges == []


def test_a_file_that_came_with_a_wrong_digest_is_removed(hub: HubStandIn) -> None:
    hub.lies = True
    assert "came with a wrong digest" in refusal(NAME)
    assert kept("tiny.gguf") == kept(".part") == []


def test_a_file_that_is_damaged_in_the_cache_is_fetched_again(hub: HubStandIn) -> None:
    path, _ = fetched(NAME)
    path.write_bytes(CONTENT[::-1])
    assert fetched(f"{NAME}@{DIGEST}")[0].read_bytes() == CONTENT


def test_a_file_that_is_no_gguf_is_refused(hub: HubStandIn) -> None:
    hub.repositories[REPOSITORY]["tiny.gguf"] = b"PK\3\4"
    assert "is not a GGUF file" in refusal(NAME)


def test_a_file_that_is_not_there_is_named_with_those_that_are(hub: HubStandIn) -> None:
    message = refusal(f"hf:{REPOSITORY}/tyni.gguf")
    assert "has no file tyni.gguf" in message
    assert "it has q4/other.gguf, tiny.gguf" in message


def test_a_repository_that_is_not_there(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "there is no someone/else, or it is private: check the name" in refusal("hf:someone/else/x.gguf")
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert "there is no someone/else" in refusal("hf:someone/else/x.gguf")


def test_a_gated_repository_says_where_to_ask_and_is_fetched_with_a_token(
    hub: HubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated.add(REPOSITORY)
    message = refusal(NAME)
    assert f"{REPOSITORY} is gated: ask for access on {hub.endpoint}/{REPOSITORY}, and set HF_TOKEN" in message
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert fetched(NAME)[0].read_bytes() == CONTENT


def test_a_wrong_token_is_said_to_be(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    message = refusal(NAME)
    assert "does not let your token read someone/tiny-GGUF" in message
    assert "hf_wrong" not in message


@pytest.mark.parametrize(
    ("status", "message"), [(500, "answers 500"), (503, "answers 503"), (429, "too many requests")]
)
def test_a_hub_that_cannot_serve_now(hub: HubStandIn, status: int, message: str) -> None:
    hub.status = status
    assert message in refusal(NAME)


def test_without_a_network_a_copy_that_is_here_is_used(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = fetched(NAME)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    found, told = fetched(NAME)
    assert found == path
    assert "the copy that is here is used" in told
    assert "HF_HUB_OFFLINE forbids to fetch hf:someone/tiny-GGUF/q4/other.gguf" in refusal(
        f"hf:{REPOSITORY}/q4/other.gguf"
    )


def test_a_hub_that_does_not_answer(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template.replace(hub.endpoint, "http://127.0.0.1:9"))
    message = refusal(NAME)
    assert "the connection to http://127.0.0.1:9 failed" in message
    assert "HF_ENDPOINT" in message


def test_a_file_is_not_begun_on_a_disk_without_room(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "agent.models.cache_folder.shutil.disk_usage", lambda path: SimpleNamespace(free=len(CONTENT) - 1)
    )
    message = refusal(NAME)
    assert "AIMO_AGENT_CACHE" in message
    assert "whose disk has" in message
    assert hub.ranges == []


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (errno.ENOSPC, "is full: make room"),
        (errno.EIO, "cannot be written (Input/output error): set AIMO_AGENT_CACHE"),
        (errno.EFBIG, "cannot be written (File too large): set AIMO_AGENT_CACHE"),
    ],
)
def test_a_disk_that_fails_in_the_middle_of_it(
    hub: HubStandIn, kind: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        def show(self, done: int) -> None:
            raise OSError(kind, os.strerror(kind))

    with monkeypatch.context() as patch:
        patch.setattr("agent.models.download_view._Lines", lambda *_: Failing())
        assert said in refusal(NAME)
    assert fetched(NAME)[0].read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written(hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AIMO_AGENT_CACHE", str(tmp_path / "file"))
    assert "set the environment variable AIMO_AGENT_CACHE" in refusal(NAME)


def test_the_whole_repository_is_no_model_for_an_engine_that_takes_a_file(hub: HubStandIn) -> None:
    with pytest.raises(ModelError) as refused:
        exact_name(f"hf:{REPOSITORY}", directory=False)
    assert f"name one of it, like hf:{REPOSITORY}/q4/other.gguf (it has 2)" in str(refused.value)
