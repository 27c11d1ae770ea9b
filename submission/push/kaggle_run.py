"""The run of one pushed version of a notebook: its state and its output."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import requests

from submission.push.kaggle_calls import Calls, KaggleError, RefusedError, shortened
from submission.push.kaggle_wait import KaggleState, StateTracker, plain, shown

BYTES_PER_SECOND = 200_000  # a slower download counts as broken
_SERVICE = "kernels.KernelsApiService"
_ENDS = {"complete": "complete", "error": "error", "cancelacknowledged": "cancelled"}
_WAITING = ("queued", "newscript")
_ACTIVE = ("running", "cancelrequested")
_PAGE_FILES = 100
_DOWNLOAD_ATTEMPTS = 3  # per file
_UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class Output:
    """The output of a run: the URL of each file by its name, and the log."""

    urls: dict[str, str] = field(default_factory=dict)
    log: str = ""


class KernelRun:
    """The run of `version` of the notebook `kernel`, "owner/slug".

    Kaggle is asked for the version by its label. Where it knows no labels it speaks of the latest session, which may be
    that of the version before, so an end counts only after a sign of a start. All methods raise KaggleError.
    """

    def __init__(self, calls: Calls, kernel: str, version: int) -> None:
        owner, self._slug = kernel.split("/")
        self._calls = calls
        self._fields: dict[str, object] = {"userName": owner, "kernelSlug": self._slug}
        # Kaggle accepts "v3" and responds 404 to "3"; a server that accepts the bare number may accept both.
        self._labels = (str(version), f"v{version}")
        self._start = StateTracker()
        self._ended = False  # an end has been seen, possibly that of the previous version
        self._label = ""

    def look(self) -> KaggleState:
        """Return its state; a finished one is "complete", "error" or "cancelled", with the reason of a failure."""
        answer, label = self._ask("the run's status", "GetKernelSessionStatus")
        word = answer.get("status")
        state = plain(word).removeprefix("kernelworkerstatus")
        is_new = self._start.note(state, starts=state in _WAITING or (self._ended and state in _ACTIVE))
        if is_new:
            self._label = label
        if state not in _ENDS:
            return KaggleState(shown(word))
        self._ended = True
        if not is_new:
            return KaggleState(f"{shown(word)}, perhaps of the version before")
        return KaggleState(_ENDS[state], over=True, why=shortened(str(answer.get("failureMessage") or "")))

    def output(self) -> Output:
        """Return its output, page by page."""
        urls: dict[str, str] = {}
        log, token, seen = "", "", {""}
        while True:
            page: dict[str, object] = {"pageSize": _PAGE_FILES, **({"pageToken": token} if token else {})}
            look = partial(self._ask, "the run's output", "ListKernelSessionOutput", **page)
            answer, _ = self._calls.repeat(look)
            for file in answer.get("files") or ():
                if isinstance(file, dict) and file.get("fileName"):
                    urls[str(file["fileName"])] = str(file.get("url"))
            log = log or str(answer.get("log") or "")
            token = str(answer.get("nextPageToken") or "")
            if token in seen:
                return Output(urls, log)
            seen.add(token)

    def fetch(self, output: Output, names: Iterable[str], folder: Path) -> dict[str, KaggleError]:
        """Download files of the output and the log into the folder; return the failed ones, each with its error."""
        failures = {}
        for name in names:
            try:
                self._calls.repeat(partial(self._fetch, output.urls[name], name, folder), tries=_DOWNLOAD_ATTEMPTS)
            except KaggleError as error:
                failures[name] = error
        log = folder / f"{self._slug}.log"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            log.write_text(output.log, encoding="utf-8")
        except OSError as error:
            failures[log.name] = KaggleError(f"the log: {log} cannot be written ({error.strerror})")
        return failures

    def _fetch(self, url: str, name: str, folder: Path) -> None:
        what = f"the file {name}"
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise KaggleError(f"{what}: it would lie outside of {folder}: fetch it on kaggle.com")
        get = partial(requests.get, url, stream=True, timeout=self._calls.seconds)
        with closing(self._calls.once(what, get)) as answer:
            size = answer.headers.get("Content-Length", "")
            seconds = self._calls.seconds + int(size if size.isdigit() else 0) / BYTES_PER_SECOND
            self._calls.once(what, partial(_save, answer, folder / name), seconds=seconds)

    def _ask(self, what: str, call: str, **fields: object) -> tuple[dict[str, Any], str]:
        """Return the response, and the label by which Kaggle knew the version; without one it is the latest session."""
        for label in (self._label,) if self._label else self._labels:
            try:
                labelled = {**self._fields, **fields, "versionLabel": label}
                return self._calls.ask(what, _SERVICE, call, labelled), label
            except RefusedError as error:
                if self._label or error.status == _UNAUTHORIZED:
                    raise
        return self._calls.ask(what, _SERVICE, call, {**self._fields, **fields}), ""


def _save(answer: requests.Response, path: Path) -> None:
    """Write a download; the file gets its name only once it is complete."""
    answer.raise_for_status()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        for chunk in answer.iter_content(1 << 16):
            file.write(chunk)
    part.replace(path)
