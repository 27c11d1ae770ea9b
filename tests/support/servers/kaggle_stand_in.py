"""A real HTTP server that answers the `kaggle` package as Kaggle does, with faults on demand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.servers.background_server import background_server

KERNEL: dict[str, Any] = {
    "id": "me/my-notebook",
    "title": "My notebook",
    "code_file": "n.ipynb",
    "language": "python",
    "kernel_type": "notebook",
    "enable_internet": False,
    "enable_gpu": True,
    "machine_shape": "NvidiaL4",
    "dataset_sources": ["me/my-wheels"],
    "competition_sources": ["the-competition"],
}


class Refusal(Exception):  # noqa: N818
    """What Kaggle answers instead: a status and a message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class StandIn:
    """Kaggle with a notebook of two versions, and the third one once it is pushed; and with one dataset.

    `faults` maps the name of a call to what it gets instead of an answer, in turn: a status, "hang", "reset" or
    "garbage". `statuses` are those that the third version goes through; `output` is what it wrote.

    A request that names a version by one of its `labels` is about that version, by any other it is refused; one that
    names none is about the latest session, which is that of the version before at the first `stale_looks`. A version of
    the dataset is refused while the one before is still `processing`; `after_upload` is what a new one goes through.
    """

    faults: dict[str, list[Any]] = field(default_factory=dict)
    lost_files: set[str] = field(default_factory=set)
    statuses: list[Any] = field(default_factory=lambda: ["QUEUED", "RUNNING", "COMPLETE"])
    failure: str = ""
    labels: tuple[str, ...] = ("v3",)
    refused_label: int = 404
    stale_looks: int = 2
    old_status: str = "COMPLETE"
    old_output: dict[str, bytes] = field(default_factory=lambda: {"submission.parquet": b"old rows"})
    save: dict[str, Any] = field(default_factory=dict)
    output: dict[str, bytes] = field(default_factory=lambda: {"submission.parquet": b"rows"})
    processing: list[Any] = field(default_factory=list)
    after_upload: list[Any] = field(default_factory=lambda: ["NOT_YET_PERSISTED", "BLOBS_RECEIVED"])
    url: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    uploaded: dict[str, bytes] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The calls in their order, each once where it came several times in a row."""
        names = [name for name, _ in self.calls]
        return [name for n, name in enumerate(names) if n == 0 or names[n - 1] != name]

    def body(self, name: str) -> dict[str, Any]:
        """What the last call of that name sent."""
        return [body for called, body in self.calls if called == name][-1]

    def count(self, name: str) -> int:
        """How often it was called."""
        return [called for called, _ in self.calls].count(name)

    async def api(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        body = await request.json()
        self.calls.append((name, body))
        self.authorizations.add(request.headers.get("Authorization", ""))
        try:
            await self._fault(name, request)
            return web.json_response(getattr(self, f"_{name}")(body))
        except Refusal as refusal:
            return web.json_response({"code": refusal.status, "message": str(refusal)}, status=refusal.status)

    async def put(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        fault = self.faults["put"].pop(0) if self.faults.get("put") else 200
        data = await request.read()
        if not request.headers.get("Content-Range", "").startswith("bytes */"):  # which asks how much is there already
            self.uploaded[name] = data
        return web.Response(status=int(fault))

    async def get(self, request: web.Request) -> web.Response:
        age, _, name = request.match_info["name"].partition("/")
        self.fetched.append(name)
        try:
            await self._fault(f"get {name}", request)
        except Refusal as refusal:
            return web.Response(status=refusal.status, text="<html>not the file</html>")
        return web.Response(body={"old": self.old_output, "new": self.output}[age][name])

    async def _fault(self, name: str, request: web.Request) -> None:
        fault = self.faults[name].pop(0) if self.faults.get(name) else None
        if fault == "hang":
            await asyncio.sleep(60)
        if fault == "garbage":
            raise web.HTTPOk(text="<html>Kaggle will be back soon</html>", content_type="text/html")
        if fault == "reset" and request.transport is not None:
            request.transport.close()
        if isinstance(fault, int):
            raise Refusal(fault, f"scripted {fault}")

    def _GetDatasetStatus(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"status": self.processing.pop(0) if self.processing else "READY"}

    def _ListDatasetFiles(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        files = [{"name": name} for name in sorted(set(self.uploaded) - self.lost_files)]
        return {"datasetFiles": files}

    def _StartBlobUpload(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"token": body["name"], "createUrl": f"{self.url}/put/{body['name']}"}

    def _CreateDataset(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self.processing = list(self.after_upload)
        return {"ref": "me/wheels", "status": "ok"}

    def _CreateDatasetVersion(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if self.processing:
            raise Refusal(403, "Permission 'datasets.update' was denied")
        return self._CreateDataset(body)

    def _SaveKernel(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"ref": body["slug"], "versionNumber": 3, **self.save}

    def _is_of_the_old_version(self, body: dict[str, Any]) -> bool:
        """Whether the session that is asked for is that of the version before. Raises Refusal for unknown labels."""
        label = body.get("versionLabel")
        if label is None:
            return self.stale_looks > 0
        if label not in self.labels:
            raise Refusal(self.refused_label, f"no version {label}")
        return False

    def _GetKernelSessionStatus(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if self._is_of_the_old_version(body):
            self.stale_looks -= 1
            return {"status": self.old_status, "failureMessage": "what the old version failed of"}
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return {"status": status, "failureMessage": self.failure}

    def _ListKernelSessionOutput(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        age, output = ("old", self.old_output) if self._is_of_the_old_version(body) else ("new", self.output)
        start = int(body.get("pageToken") or 0)
        end = start + min(body.get("pageSize") or 20, 20)
        files = [{"url": f"{self.url}/get/{age}/{name}", "fileName": name} for name in list(output)[start:end]]
        more = {"nextPageToken": str(end)} if end < len(output) else {}
        return {"files": files, "log": json.dumps([f"the {age} run's log"]), **more}

    def _CreateCodeSubmission(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if body.get("kernelVersion") != 3:
            raise Refusal(400, "not the version that was pushed")
        return {"message": "Successfully submitted", "ref": 1}


@contextmanager
def standing_in(stand_in: StandIn) -> Iterator[StandIn]:
    """Serve it; its `url` says where."""
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/api/v1/{service}/{name}", stand_in.api)
    app.router.add_put("/put/{name}", stand_in.put)
    app.router.add_get("/get/{name:.+}", stand_in.get)
    with background_server(app) as stand_in.url:
        yield stand_in
