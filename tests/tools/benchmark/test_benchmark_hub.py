"""Sets of questions from the Hugging Face Hub: its cache, a Hub of our own, and none."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiohttp import web
from huggingface_hub import constants
from rich.console import Console

from agent.errors import InputError
from tests.support.runs.benchmark_fixtures import MATH, write_jsonl, write_set
from tests.support.servers.background_server import background_server
from tools.benchmark.sets.hub import HubFile, fetch
from tools.benchmark.sets.known import SETS

QUIET = Console(quiet=True)


def test_a_set_is_taken_from_the_hubs_cache_at_its_pinned_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SETS["math500"].source
    assert source is not None
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    folder = tmp_path / "datasets--HuggingFaceH4--MATH-500" / "snapshots" / source.revision
    folder.mkdir(parents=True)
    cached = write_jsonl(folder / source.file, MATH)
    assert fetch(source, QUIET) == cached


@pytest.mark.parametrize("name", [name for name, chosen in SETS.items() if chosen.source])
def test_without_the_hub_a_one_line_message_says_what_to_download(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SETS[name].source
    assert source is not None
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError) as caught:
        fetch(source, QUIET)
    message = str(caught.value)
    assert "\n" not in message
    assert f"{source.repository}/resolve/{source.revision}/{source.file}" in message
    assert "--data FILE" in message
    assert ("HF_TOKEN" in message) == source.gated


class StandInHub:
    """Serves one file of a data set as the Hub does, or refuses it as it does with gated ones."""

    def __init__(self, source: HubFile, content: bytes, *, gated: bool) -> None:
        self.source, self.content, self.gated = source, content, gated

    async def answer(self, request: web.Request) -> web.Response:
        source = self.source
        if request.path != f"/datasets/{source.repository}/resolve/{source.revision}/{source.file}":
            return web.Response(status=404)
        if self.gated:
            return web.Response(status=403, headers={"X-Error-Code": "GatedRepo"})
        headers = {"ETag": f'"{hashlib.sha256(self.content).hexdigest()}"', "X-Repo-Commit": source.revision}
        return web.Response(body=self.content, headers=headers)


@pytest.fixture
def serve_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[StandInHub], None]]:
    with ExitStack() as stack:

        def serve(hub: StandInHub) -> None:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", hub.answer)
            url = stack.enter_context(background_server(app))
            template = constants.HUGGINGFACE_CO_URL_TEMPLATE.partition("/{repo_id}")
            monkeypatch.setattr(constants, "ENDPOINT", url)
            monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "".join(template[1:]))
            monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
            monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

        yield serve


def test_a_set_is_downloaded_from_a_hub_once(serve_hub: Callable[[StandInHub], None], tmp_path: Path) -> None:
    source = SETS["math500"].source
    assert source is not None
    content = write_set(tmp_path, "math500").read_bytes()
    hub = StandInHub(source, content, gated=False)
    serve_hub(hub)
    path = fetch(source, QUIET)
    assert path.read_bytes() == content
    hub.gated = True
    assert fetch(source, QUIET) == path


def test_a_gated_set_says_whose_terms_to_accept(serve_hub: Callable[[StandInHub], None]) -> None:
    source = SETS["gpqa-diamond"].source
    assert source is not None
    serve_hub(StandInHub(source, b"", gated=True))
    with pytest.raises(InputError, match=r"accepted its terms: do so at \S+/Idavidrein/gpqa and set HF_TOKEN"):
        fetch(source, QUIET)
