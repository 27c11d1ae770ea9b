"""A stand-in for the Hugging Face Hub that answers, redirects and refuses as it does, with its store of large files."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import quote, unquote

import pytest
from huggingface_hub import constants
from rich.console import Console

from agent.errors import ModelError
from agent.models.store import fetch_model
from tests.support.servers.model_carriers import no_registry

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_RESOLVE = re.compile(r"/(?P<repository>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>[^?]+)")
_API = re.compile(
    r"/api/models/(?P<repository>[^/]+/[^/?]+)(?:/(?P<what>revision|tree)/(?P<revision>[^/?]+))?(?:\?.*)?"
)


@dataclass
class HubStandIn:
    """What the stand-in has and does; tests change it while it serves.

    A gated repository is only for `token`. The next downloads are cut after `cuts` bytes each, one after the other.
    With `status` every request for a repository is answered so. A push, a commit and its files, comes behind the next
    description of a repository. `ranges` are the Range headers of the downloads.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    token: str = "hf_right"
    cuts: list[int] = field(default_factory=list)
    status: int = 0
    commit: str = COMMIT
    push: tuple[str, dict[str, bytes]] | None = None
    tagged: str = ""  # in place of the digest
    takes_ranges: bool = True
    lies: bool = False  # about the digests
    ranges: list[str | None] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    endpoint: str = ""

    def tag(self, content: bytes) -> str:
        """The digest that it says a large file has."""
        return self.tagged or hashlib.sha256(content + b"x" * self.lies).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each body waits for the client to acknowledge the headers

    def __init__(self, hub: HubStandIn, *arguments: object) -> None:
        self._hub = hub
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        hub = self._hub
        hub.asked.append(f"{self.command} {self.path}")
        if self.path.startswith("/store/"):
            self._store(body=body)
            return
        found = _RESOLVE.fullmatch(self.path) or _API.fullmatch(self.path)
        if found is None:
            self._send(404, b"not found")
            return
        refusal = self._refusal(found["repository"], found["revision"])
        if refusal:
            self._send(*refusal)
        elif found.re is _RESOLVE:
            self._resolve(found["repository"], unquote(found["file"]))
        else:
            self._describe(found["repository"], tree=found["what"] == "tree")

    def _refusal(self, repository: str, revision: str | None) -> tuple[int, bytes, dict[str, str]] | None:
        hub = self._hub
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if hub.status:
            return hub.status, b"", {}
        if token and token != hub.token:
            return 401, b"", {"X-Error-Message": "Invalid credentials in Authorization header"}
        if repository not in hub.repositories:
            told = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
            return (404 if token else 401), b"", told
        if repository in hub.gated and not token:
            return 401, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": f"Access to {repository} is restricted."}
        if revision not in (None, "main", hub.commit):
            return 404, b"", {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"}
        return None

    def _resolve(self, repository: str, file: str) -> None:
        content = self._hub.repositories[repository].get(file)
        told = {"X-Repo-Commit": self._hub.commit}
        if content is None:
            self._send(404, b"", {**told, "X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"})
        elif _is_large(file):
            tag = self._hub.tag(content)
            told |= {"X-Linked-Size": str(len(content)), "X-Linked-Etag": f'"{tag}"', "ETag": '"of-the-redirect"'}
            # Another host than that of the Hub's own address, as its store is.
            place = self._hub.endpoint.replace("127.0.0.1", "localhost")
            self._send(302, b"Found", {**told, "Location": f"{place}/store/{repository}/{quote(file)}?signed=1"})
        else:
            tag = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            self._send(200, content, {**told, "ETag": f'"{tag}"'})

    def _store(self, *, body: bool) -> None:
        hub = self._hub
        if "Authorization" in self.headers:
            self._send(400, b"Only one auth mechanism allowed")
            return
        _, _, owner, name, file = unquote(self.path.partition("?")[0]).split("/", 4)
        content = hub.repositories[f"{owner}/{name}"][file]
        asked = self.headers.get("Range")
        hub.ranges.append(asked)
        start = int(re.findall(r"bytes=(\d+)-", asked)[0]) if asked and hub.takes_ranges else 0
        told = {"ETag": '"of-the-store"', "Accept-Ranges": "bytes"}
        if start:
            told["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        sent = content[start:]
        cut = hub.cuts.pop(0) if body and hub.cuts else len(sent)
        self._send(206 if start else 200, sent, told, cut=cut)

    def _describe(self, repository: str, *, tree: bool) -> None:
        files = self._hub.repositories[repository]
        if tree:
            told: object = [{"type": "file", "path": file, **self._entry(file, files[file])} for file in files]
        else:
            siblings = [{"rfilename": file, **self._entry(file, files[file])} for file in files]
            told = {"id": repository, "modelId": repository, "sha": self._hub.commit, "siblings": siblings}
        if self._hub.push is not None:
            self._hub.commit, self._hub.repositories[repository] = self._hub.push
            self._hub.push = None
        self._send(200, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def _entry(self, file: str, content: bytes) -> Mapping[str, object]:
        plain: dict[str, object] = {"size": len(content), "oid": "0" * 40, "blobId": "0" * 40}
        if _is_large(file):
            large = {"size": len(content), "pointerSize": 130}
            plain["lfs"] = {**large, "oid": self._hub.tag(content), "sha256": self._hub.tag(content)}
        return plain

    def _send(self, status: int, content: bytes, told: Mapping[str, str] = {}, *, cut: int | None = None) -> None:
        self.send_response(status)
        for header, value in {"Content-Length": str(len(content)), **told}.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:cut])
        if cut is not None and cut < len(content):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def _is_large(file: str) -> bool:
    return file.endswith((".gguf", ".safetensors", ".bin"))


def fetched(name: str) -> tuple[Path, str]:
    """Where the model of this name is, fetched if need be, and what was said."""
    output = io.StringIO()
    return fetch_model(name, console=Console(file=output)), output.getvalue()


def refusal(name: str) -> str:
    """The one line in which the model of this name is refused."""
    with pytest.raises(ModelError) as refused:
        fetched(name)
    message = str(refused.value)
    assert "\n" not in message
    return message


@contextmanager
def serving_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubStandIn]:
    """A Hub that the library and our cache, both empty, know as the only one; there is no registry."""
    no_registry(tmp_path, monkeypatch)
    hub = HubStandIn()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, hub)) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        hub.endpoint = f"http://127.0.0.1:{server.server_port}"
        template = "".join(constants.HUGGINGFACE_CO_URL_TEMPLATE.partition("/{repo_id}")[1:])
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.endpoint + template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
        yield hub
        server.shutdown()
