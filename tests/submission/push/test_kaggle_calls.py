"""Which failures of a call are passing ones, and how long it is tried."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import requests

from submission.push.kaggle_calls import Calls, KaggleError, RefusedError, UnansweredError, shortened


class Api:
    def __init__(self) -> None:
        self.config_values = {"key": "secret-key", "token": None}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    monkeypatch.setattr("submission.push.kaggle_calls._authenticated", Api)
    return Calls(seconds=5.0, pause=30.0)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr("submission.push.kaggle_calls.time.sleep", taken.append)
    return taken


def refusal(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(f"status {status} for secret-key", response=response)


def failing(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    "error",
    [
        *(refusal(status) for status in (408, 425, 429, 500, 502, 503, 504, 599)),
        requests.ConnectionError(),
        requests.exceptions.ChunkedEncodingError(),
        requests.exceptions.SSLError(),
        requests.Timeout(),
        requests.JSONDecodeError("no JSON", "<html>", 0),
        ConnectionResetError(104, "reset"),
        ssl.SSLError("handshake"),
        KeyError("A_NEW_STATE"),
        TypeError("argument of type 'NoneType' is not iterable"),
        AttributeError("status"),
    ],
    ids=repr,
)
def test_what_says_nothing_about_the_call_may_pass(error: Exception, calls: Calls) -> None:
    with pytest.raises(UnansweredError, match=r"^a look: Kaggle.*: (try again|wait some|check the net)") as raised:
        calls.once("a look", lambda: failing(error))
    assert raised.value.__cause__ is error
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 418, 422, 501])
def test_a_refusal_will_be_met_again(status: int, calls: Calls) -> None:
    with pytest.raises(RefusedError, match=rf"Kaggle says {status}, status {status} for \*\*\*: ") as raised:
        calls.once("a look", lambda: failing(refusal(status)))
    assert raised.value.status == status


@pytest.mark.parametrize("error", [ValueError("Invalid folder: x"), SystemExit("no"), FileNotFoundError(2, "no", "x")])
def test_what_is_wrong_here_is_not_blamed_on_kaggle(error: BaseException, calls: Calls) -> None:
    with pytest.raises(KaggleError, match="fix that") as raised:
        calls.once("a look", lambda: failing(error))
    assert not isinstance(raised.value, UnansweredError)


def test_pauses_between_tries_grow_to_a_limit(calls: Calls, pauses: list[float]) -> None:
    tries: list[int] = []

    def look() -> None:
        tries.append(1)
        calls.once("a look", lambda: failing(refusal(503)))

    with pytest.raises(UnansweredError):
        calls.repeat(look)
    assert pauses == [30.0, 60.0, 120.0, 240.0, 300.0]
    assert len(tries) == 6
    assert [calls.delay(failures) for failures in (9, 10_000)] == [300.0, 300.0]


def test_a_refusal_is_not_tried_again(calls: Calls, pauses: list[float]) -> None:
    with pytest.raises(RefusedError):
        calls.repeat(lambda: calls.once("a look", lambda: failing(refusal(404))))
    assert not pauses


def test_a_message_is_one_line_that_is_not_too_long() -> None:
    assert shortened(f"  No \n such\tthing.. {'x' * 500}") == f"No such thing.. {'x' * 284}"


def test_a_file_that_cannot_be_written_is_an_error_here(calls: Calls, tmp_path: Path) -> None:
    with pytest.raises(KaggleError, match="fix that"):
        calls.once("the file", lambda: (tmp_path / "no" / "folder").write_text(""))
