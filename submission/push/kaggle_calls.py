"""Calls of the `kaggle` package with time limits and new tries, and with errors that say what to fix."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests

from agent.errors import AgentError, InputError

_TRIES = 6  # for a call that changes nothing
_LONGEST_PAUSE = 300.0  # seconds between two tries
_REASON_CHARS = 300
_REMEDIES = {
    400: "fix what it says",
    401: "make a new token in your Kaggle settings",
    403: "check that the token is yours, the slug right, and the competition's rules accepted",
    404: "check the owner and the slug",
    409: "wait until the former call is done",
    429: "wait some minutes: too many calls",
}
_TOO_MANY_CALLS = 429
_PASSING = (408, 425, _TOO_MANY_CALLS)  # statuses below 500 that say nothing about the call itself
_NOT_IMPLEMENTED = 501

_T = TypeVar("_T")


class KaggleError(AgentError):
    """Kaggle refused a call, or did not answer."""


class RefusedError(KaggleError):
    """A refusal that the same call will meet again; `status` is that of HTTP, `reason` what Kaggle said."""

    def __init__(self, text: str, status: int, reason: str) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason


class UnansweredError(KaggleError):
    """No answer, or none that says anything: the same call may succeed later."""


class BusyError(UnansweredError):
    """Too many calls: Kaggle did nothing, so that even a call that changes something can be made again."""


class Calls:
    """Makes API calls, each limited to `seconds`; `pause` is the wait in seconds before the first retry.

    Raises InputError if the package or the credentials are missing. All calls raise KaggleError, with what Kaggle said
    and how to fix it; credentials are in no message.
    """

    def __init__(self, *, seconds: float, pause: float) -> None:
        self.seconds = seconds
        self.pause = pause
        self.api = _authenticated()

    def ask(self, what: str, service: str, name: str, fields: Mapping[str, object]) -> dict[str, Any]:
        """Return the JSON response of a call to Kaggle's API.

        The package's own types do not have states that are newer than they are.
        """

        def call() -> object:
            with self.api.build_kaggle_client() as client:
                return client.http_client().call(service, name, _Fields(fields), _Answer)

        answer = self.once(what, call)
        if not isinstance(answer, dict):
            raise UnansweredError(
                f"{what}: Kaggle's response is not understood ({shortened(repr(answer))}): try again later"
            )
        return answer

    def repeat(
        self, call: Callable[[], _T], *, tries: int = _TRIES, after: type[UnansweredError] = UnansweredError
    ) -> _T:
        """Make a call that changes nothing, and retry it with growing pauses if Kaggle fails.

        A call that changes something may be repeated `after` a BusyError only.
        """
        for failures in range(tries - 1):
            try:
                return call()
            except after:
                time.sleep(self.delay(failures))
        return call()

    def delay(self, failures: int) -> float:
        """Return the seconds to wait after a number of consecutive failures beyond the first one."""
        return min(self.pause * 2.0 ** min(failures, 10), max(self.pause, _LONGEST_PAUSE))

    def once(self, what: str, call: Callable[[], _T], *, seconds: float | None = None) -> _T:
        """Run the call in a thread, because the package itself has no timeout."""
        limit = self.seconds if seconds is None else seconds
        outcome: list[_T] = []
        failure: list[BaseException] = []

        def run() -> None:
            try:
                outcome.append(call())
            except BaseException as error:  # noqa: BLE001
                failure.append(error)  # the package calls sys.exit on errors

        with contextlib.redirect_stdout(io.StringIO()):  # the package prints; the information is in its return values
            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            thread.join(limit)
        if failure:
            raise self._told(what, failure[0]) from failure[0]
        if not outcome:
            raise UnansweredError(
                f"{what}: Kaggle did not answer within {limit:.0f} s: look there whether it was done, try again"
            )
        return outcome[0]

    def _told(self, what: str, error: BaseException) -> KaggleError:
        if isinstance(error, requests.HTTPError) and error.response is not None:
            status = error.response.status_code
            passes = (status >= 500 and status != _NOT_IMPLEMENTED) or status in _PASSING
            remedy = _REMEDIES.get(status, "try again later" if passes else "fix what it says")
            reason = self._redacted(shortened(str(error)))
            text = f"{what}: Kaggle says {status}, {reason}: {remedy}"
            if status == _TOO_MANY_CALLS:
                return BusyError(text)
            return UnansweredError(text) if passes else RefusedError(text, status, reason)
        if isinstance(error, requests.JSONDecodeError | LookupError | TypeError | AttributeError):
            said = f"{type(error).__name__}: {self._redacted(shortened(str(error)))}"
            return UnansweredError(f"{what}: Kaggle's response is not understood ({said}): try again later")
        ours = isinstance(error, SystemExit | ValueError) or (isinstance(error, OSError) and error.filename is not None)
        if ours and not isinstance(error, requests.RequestException):
            return KaggleError(f"{what}: {self._redacted(shortened(str(error)))}: fix that and try again")
        return UnansweredError(
            f"{what}: Kaggle cannot be reached ({type(error).__name__}): check the network and try again"
        )

    def _redacted(self, text: str) -> str:
        for name in ("key", "token"):
            secret = self.api.config_values.get(name)
            if secret:
                text = text.replace(str(secret), "***")
        return text


def shortened(text: str) -> str:
    """Return a message from Kaggle as one line, shortened."""
    return " ".join(text.split())[:_REASON_CHARS].rstrip(". ")


class _Fields(dict[str, object]):
    """A request body, in the interface that the package expects."""

    @classmethod
    def to_dict(cls, fields: Mapping[str, object]) -> dict[str, object]:
        """Return the JSON object."""
        return dict(fields)


class _Answer:
    """A response type, in the interface that the package expects."""

    @staticmethod
    def prepare_from(response: requests.Response) -> object:
        """Return the JSON value."""
        return response.json()


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
