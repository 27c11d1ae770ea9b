"""The `kaggle` package with time limits, and with errors that say what to mend."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import requests

from agent.errors import AgentError, InputError

CALL_SECONDS = 120.0
_UPLOAD_BYTES_PER_SECOND = 200_000  # slower than that is taken for broken
_TRIES = 3  # of a call that changes nothing
_REASON_CHARS = 300
_FIRST_PUSH = (
    "the first push of a notebook fails so on some accounts: create a notebook with this title on kaggle.com, save it "
    "once, and push again"
)
_REMEDIES = {
    400: "mend what it says",
    401: "make a new token in your Kaggle settings",
    403: "check that the token is yours, the slug right, and the competition's rules accepted",
    404: "check the owner and the slug",
    409: "wait until the former call is done",
    429: "wait some minutes: too many calls",
}

T = TypeVar("T")


class KaggleError(AgentError):
    """Kaggle refused a call, or did not answer."""


class Kaggle:
    """A session with Kaggle. `seconds` limits a call that uploads nothing.

    Raises InputError if the package or the credentials are missing. Everything else here raises KaggleError, with
    what Kaggle said and how to mend it; credentials are in no message.
    """

    def __init__(self, *, seconds: float = CALL_SECONDS) -> None:
        self._seconds = seconds
        self._api = _authenticated()

    def dataset_status(self, dataset: str) -> str | None:
        """Its status, as "ready"; None where there is none of that name."""
        try:
            return str(self._read("the dataset's status", lambda: self._api.dataset_status(dataset)))
        except _RefusedError as error:
            if error.status in (403, 404):  # Kaggle says 403 of what is not there
                return None
            raise

    def dataset_files(self, dataset: str) -> set[str]:
        """The names of its files."""
        names: set[str] = set()
        token: str | None = None
        while True:
            look = partial(self._api.dataset_list_files, dataset, page_token=token, page_size=200)
            page = self._read("the dataset's files", look)
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
        """Push a notebook and start its run; returns the number of the version."""
        timeout = None if seconds is None else str(seconds)
        try:
            done = self._call("kernel push", lambda: self._api.kernels_push(str(folder), timeout, accelerator))
        except _RefusedError as error:
            if error.status == 404 or "not found" in str(error).lower():
                raise KaggleError(f"kernel push: {error.reason}: {_FIRST_PUSH}") from None
            raise
        if done.error and "not found" in done.error.lower():
            raise KaggleError(f"kernel push: {_short(done.error)}: {_FIRST_PUSH}")
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

    def kernel_status(self, kernel: str) -> tuple[str, str]:
        """The state of its last run, as "running" or "complete", and why it failed if it did."""
        status = self._read("the run's status", lambda: self._api.kernels_status(kernel))
        return str(status.status.name).lower(), _short(status.failure_message or "")

    def fetch_output(self, kernel: str, folder: Path) -> list[Path]:
        """Fetch what the run wrote, and its log."""
        files, _ = self._read("the run's output", lambda: self._api.kernels_output(kernel, str(folder), force=True))
        return [Path(file) for file in files]

    def submit(self, competition: str, kernel: str, version: int, file: str, message: str) -> str:
        """Submit the output of a version to the competition; returns what Kaggle said."""
        done = self._call(
            "submit", lambda: self._api.competition_submit_code(file, message, competition, kernel, version, quiet=True)
        )
        return _short(done.message)

    def _read(self, what: str, call: Callable[[], T]) -> T:
        """A call that changes nothing is tried again where Kaggle itself failed."""
        for _ in range(_TRIES - 1):
            try:
                return self._call(what, call)
            except _RefusedError as error:
                if error.status < 500:
                    raise
            except _SilentError:
                continue
        return self._call(what, call)

    def _upload(self, folder: Path, call: Callable[[], T]) -> T:
        size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
        return self._call("upload", call, seconds=self._seconds + size / _UPLOAD_BYTES_PER_SECOND)

    def _call(self, what: str, call: Callable[[], T], *, seconds: float | None = None) -> T:
        """Run the call in a thread, because the package itself waits for ever."""
        limit = self._seconds if seconds is None else seconds
        outcome: list[T] = []
        failure: list[BaseException] = []

        def run() -> None:
            try:
                outcome.append(call())
            except (Exception, SystemExit) as error:  # noqa: BLE001  # handed to the caller's thread below
                failure.append(error)

        with contextlib.redirect_stdout(io.StringIO()):  # the package prints; what matters is in its answers
            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            thread.join(limit)
        if failure:
            raise self._told(what, failure[0])
        if not outcome:
            raise _SilentError(
                f"{what}: Kaggle did not answer within {limit:.0f} s: look there whether it was done, try again"
            )
        return outcome[0]

    def _told(self, what: str, error: BaseException) -> Exception:
        if isinstance(error, requests.HTTPError) and error.response is not None:
            status = error.response.status_code
            remedy = _REMEDIES.get(status, "try again later" if status >= 500 else "mend what it says")
            return _RefusedError(what, status, self._redacted(_short(str(error))), remedy)
        if isinstance(error, requests.ConnectionError | requests.Timeout):
            return _SilentError(
                f"{what}: Kaggle cannot be reached ({type(error).__name__}): check the network and try again"
            )
        if isinstance(error, ValueError | SystemExit | OSError):
            return KaggleError(f"{what}: {self._redacted(_short(str(error)))}: mend that and try again")
        return error if isinstance(error, Exception) else KaggleError(f"{what}: the package gave up")

    def _redacted(self, text: str) -> str:
        for name in ("key", "token"):
            secret = self._api.config_values.get(name)
            if secret:
                text = text.replace(str(secret), "***")
        return text


class _RefusedError(KaggleError):
    """An HTTP status that says no."""

    def __init__(self, what: str, status: int, reason: str, remedy: str) -> None:
        super().__init__(f"{what}: Kaggle says {status}, {reason}: {remedy}")
        self.status = status
        self.reason = reason


class _SilentError(KaggleError):
    """No answer."""


def _authenticated() -> Any:
    help_text = io.StringIO()
    with contextlib.redirect_stdout(help_text), contextlib.redirect_stderr(help_text):
        try:
            from kaggle.api.kaggle_api_extended import KaggleApi  # type: ignore[import-untyped]

            api = KaggleApi()
            api.authenticate()
        except ImportError as error:
            raise InputError(f"the kaggle package is missing ({error}): pip install 'aimo-agent[kaggle]'") from None
        except SystemExit:
            raise InputError(
                "no valid Kaggle credentials: make a token in your Kaggle settings and put it into "
                "~/.kaggle/access_token"
            ) from None
        except requests.RequestException as error:
            raise KaggleError(
                f"Kaggle cannot be reached ({type(error).__name__}): check the network, try again"
            ) from None
    return api


def _no_error(what: str, response: Any) -> None:
    if response.error:
        raise KaggleError(f"{what}: Kaggle says: {_short(response.error)}: mend that and try again")


def _short(text: str) -> str:
    return " ".join(text.split())[:_REASON_CHARS].rstrip(". ")
