"""What the push asks of Kaggle: datasets, notebooks and their runs, submissions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from submission.push.kaggle_calls import BusyError, Calls, KaggleError, RefusedError, shortened
from submission.push.kaggle_run import BYTES_PER_SECOND, KernelRun

_DATASETS = "datasets.DatasetApiService"
_FIRST_PUSH = (
    "the first push of a notebook fails so on some accounts: create a notebook with this title on kaggle.com, save it "
    "once, and push again"
)

_T = TypeVar("_T")


class Kaggle:
    """A session with Kaggle. Everything here raises KaggleError, with what Kaggle said and how to fix it."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._api = calls.api

    def dataset_state(self, dataset: str) -> object:
        """Kaggle's word for its state, as "READY"; None where there is none of that name."""
        owner, slug = dataset.split("/")
        fields = {"ownerSlug": owner, "datasetSlug": slug}
        try:
            answer = self._calls.ask("the dataset's status", _DATASETS, "GetDatasetStatus", fields)
        except RefusedError as error:
            if error.status in (403, 404):  # Kaggle says 403 of what is not there
                return None
            raise
        return answer.get("status") or ""

    def dataset_files(self, dataset: str) -> set[str]:
        """The names of its files."""
        names: set[str] = set()
        token: str | None = None
        while True:
            look = partial(self._api.dataset_list_files, dataset, page_token=token, page_size=200)
            page = self._calls.once("the dataset's files", look)
            names |= {file.name for file in page.files}
            token = page.next_page_token
            if not token:
                return names

    def create_dataset(self, folder: Path, *, public: bool) -> None:
        """Upload a new dataset."""
        done = self._upload(folder, lambda: self._api.dataset_create_new(str(folder), public=public, quiet=True))
        _no_error("dataset create", done)

    def version_dataset(self, folder: Path, notes: str) -> None:
        """Upload a new version of a dataset."""
        done = self._upload(folder, lambda: self._api.dataset_create_version(str(folder), notes, quiet=True))
        _no_error("dataset version", done)

    def push_kernel(self, folder: Path, *, seconds: int | None, accelerator: str | None) -> int:
        """Push a notebook and start its run; return the number of the version."""
        timeout = None if seconds is None else str(seconds)
        try:
            done = self._calls.once("kernel push", lambda: self._api.kernels_push(str(folder), timeout, accelerator))
        except RefusedError as error:
            if error.status == 404 or "not found" in str(error).lower():
                raise KaggleError(f"kernel push: {error.reason}: {_FIRST_PUSH}") from error
            raise
        if done.error and "not found" in done.error.lower():
            raise KaggleError(f"kernel push: {shortened(done.error)}: {_FIRST_PUSH}")
        _no_error("kernel push", done)
        for kind in ("dataset", "competition", "kernel", "model"):
            unknown = getattr(done, f"invalid_{kind}_sources")
            if unknown:
                raise KaggleError(
                    f"kernel push: Kaggle left out the {kind}_sources {', '.join(unknown)}: check their names, "
                    "and that you may use them"
                )
        if not done.version_number:
            raise KaggleError("kernel push: Kaggle gave no version number: look at the notebook on kaggle.com")
        return int(done.version_number)

    def run_of(self, kernel: str, version: int) -> KernelRun:
        """The run of that version."""
        return KernelRun(self._calls, kernel, version)

    def submit(self, competition: str, kernel: str, version: int, file: str, message: str) -> str:
        """Submit the output of a version to the competition; return what Kaggle said."""
        call = partial(self._api.competition_submit_code, file, message, competition, kernel, version, quiet=True)
        done = self._calls.repeat(lambda: self._calls.once("submit", call), after=BusyError)
        return shortened(done.message)

    def _upload(self, folder: Path, call: Callable[[], _T]) -> _T:
        size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
        return self._calls.once("upload", call, seconds=self._calls.seconds + size / BYTES_PER_SECOND)


def _no_error(what: str, response: Any) -> None:
    if response.error:
        raise KaggleError(f"{what}: Kaggle says: {shortened(response.error)}: fix that and try again")
