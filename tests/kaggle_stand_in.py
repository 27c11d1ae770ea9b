"""A real HTTP server that answers the `kaggle` package as Kaggle does, with faults on demand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.background_server import background_server

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


@dataclass
class StandIn:
    """`faults` maps the name of a call to what it gets instead of an answer, in turn: a status, or "hang".

    `statuses` are those that the run goes through; `output` is what it wrote.
    """

    faults: dict[str, list[int | str]] = field(default_factory=dict)
    lost_files: set[str] = field(default_factory=set)
    statuses: list[str] = field(default_factory=lambda: ["QUEUED", "RUNNING", "COMPLETE"])
    failure: str = ""
    save: dict[str, Any] = field(default_factory=dict)
    output: dict[str, bytes] = field(default_factory=lambda: {"submission.parquet": b"rows"})
    url: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    uploaded: dict[str, bytes] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The calls in their order, each once where it came several times in a row."""
        names = [name for name, _ in self.calls]
        return [name for n, name in enumerate(names) if n == 0 or names[n - 1] != name]

    def body(self, name: str) -> dict[str, Any]:
        """What the last call of that name sent."""
        return [body for called, body in self.calls if called == name][-1]

    async def api(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        body = await request.json()
        self.calls.append((name, body))
        self.authorizations.add(request.headers.get("Authorization", ""))
        fault = self.faults[name].pop(0) if self.faults.get(name) else None
        if fault == "hang":
            await asyncio.sleep(60)
        if isinstance(fault, int):
            said = {"code": fault, "message": f"scripted {fault}"}
            return web.json_response(said, status=fault)
        return web.json_response(getattr(self, f"_{name}")(body))

    async def put(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        fault = self.faults["put"].pop(0) if self.faults.get("put") else 200
        self.uploaded[name] = await request.read()
        return web.Response(status=int(fault))

    async def get(self, request: web.Request) -> web.Response:
        return web.Response(body=self.output[request.match_info["name"]])

    def _GetDatasetStatus(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"status": "READY"}

    def _ListDatasetFiles(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        files = [{"name": name} for name in sorted(set(self.uploaded) - self.lost_files)]
        return {"datasetFiles": files}

    def _StartBlobUpload(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"token": body["name"], "createUrl": f"{self.url}/put/{body['name']}"}

    def _CreateDataset(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"ref": "me/wheels", "status": "ok"}

    _CreateDatasetVersion = _CreateDataset

    def _SaveKernel(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"ref": body["slug"], "versionNumber": 3, **self.save}

    def _GetKernelSessionStatus(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return {"status": status, "failureMessage": self.failure}

    def _ListKernelSessionOutput(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        files = [{"url": f"{self.url}/get/{name}", "fileName": name} for name in self.output]
        return {"files": files, "log": json.dumps(["the run's log"])}

    def _CreateCodeSubmission(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"message": "Successfully submitted", "ref": 1}


@contextmanager
def standing_in(stand_in: StandIn) -> Iterator[StandIn]:
    """Serve it; its `url` says where."""
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/api/v1/{service}/{name}", stand_in.api)
    app.router.add_put("/put/{name}", stand_in.put)
    app.router.add_get("/get/{name}", stand_in.get)
    with background_server(app) as stand_in.url:
        yield stand_in
