"""What fails a rehearsal beside its answers: an exception in the log, a server that listens late, a page with gaps."""

from __future__ import annotations

import asyncio
import json
import socket
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.summary.run_page import run_page
from submission.rehearse.listening import SOCKETS, is_listening, watch_for_server
from submission.rehearse.verdict import log_findings, page_findings, record_findings, setup_findings, start_findings
from tests.submission.rehearse.test_rehearse import row


def raised(act: Callable[[], object]) -> str:
    """What Python prints of the exception."""
    try:
        act()
    except Exception:  # noqa: BLE001  # each kind of it
        return traceback.format_exc()
    raise AssertionError


def several() -> None:
    async def failing(text: str) -> None:
        raise ValueError(text)

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(failing("one"))
            group.create_task(failing("two"))

    asyncio.run(both())


def chained() -> None:
    try:
        several()
    except ExceptionGroup as error:
        raise KeyError("behind it") from error


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (raised(lambda: int("x")), ["ValueError: invalid literal for int() with base 10: 'x'"]),
        (raised(several), ["ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)", "ValueError: one"]),
        (raised(chained), ["KeyError: 'behind it'"]),
        ("Fatal Python error: Segmentation fault\n\nCurrent thread 0x1:\n", ["Fatal Python error: Segmentation fault"]),
        ("Task exception was never retrieved\n" + raised(lambda: 1 // 0), ["ZeroDivisionError: integer division or"]),
        ("no Traceback (most recent call last): here\nfine\n", []),
    ],
)
def test_each_kind_of_exception_in_the_log_is_found(log: str, said: list[str], tmp_path: Path) -> None:
    (tmp_path / "worker.log").write_text(f"loading\n{log}done\n")
    found = [line for good, line in log_findings(tmp_path / "worker.log") if not good]
    assert bool(found) is bool(said)
    for line in said:
        assert any(f"an exception in worker.log: {line}" in each for each in found)


LISTENING = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:C383 00000000:0000 {} 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
"""


def test_a_socket_that_listens_is_known_from_one_that_is_connected() -> None:
    assert is_listening(LISTENING.format("0A"), 50_051)
    assert not is_listening(LISTENING.format("01"), 50_051)
    assert not is_listening(LISTENING.format("0A"), 50_052)
    assert not is_listening("", 50_051)


def test_the_seconds_until_something_listens_are_noted(tmp_path: Path) -> None:
    if not any(path.exists() for path in SOCKETS):
        pytest.skip("this system does not list its sockets")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert not is_listening(SOCKETS[0].read_text(), port)
        watch_for_server(port, tmp_path / "noted")
        before = time.monotonic()
        server.listen()
        until = time.monotonic() + 20
        while not (tmp_path / "noted").exists() and time.monotonic() < until:
            time.sleep(0.01)
        assert is_listening(SOCKETS[0].read_text(), port)
    after, listened = map(float, (tmp_path / "noted").read_text().split())
    assert 0 <= after < 20
    assert before - 0.1 <= listened <= time.monotonic() + 0.1


@pytest.mark.parametrize(
    ("listened", "loaded", "good", "said"),
    [
        (
            "9.0 1009.0",
            1_040.0,
            True,
            "the server listened after 9 s of the 900 s that the gateway waits, 31 s before the model",
        ),
        (
            "41.0 1041.0",
            1_040.0,
            False,
            "1 s AFTER the model was loaded, for which the first problem waited: it took 50 s",
        ),
        ("901.0 1901.0", 2_000.0, False, "the server listened after 901 s of the 900 s"),
        ("9.0 1009.0", None, True, "the server listened after 9 s of the 900 s that the gateway waits"),
        (None, 1_040.0, False, "nothing listened at port 50051"),
    ],
)
def test_the_server_has_to_listen_in_time_and_before_the_model_is_loaded(
    listened: str | None, loaded: float | None, good: bool, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("submission.rehearse.verdict.SOCKETS", (tmp_path,))  # as on Linux
    if listened is not None:
        (tmp_path / "listening").write_text(listened)
    # The notebook heard of it only when the first problem came.
    started = [{"kind": "start", "at": 1.0}, {"kind": "started", "at": 70.0, "monotonic": loaded}] if loaded else []
    (tmp_path / "notebook.jsonl").write_text("\n".join(map(json.dumps, started)))
    (tmp_path / "predictor.jsonl").write_text(row(seconds=50.0))
    ((passed, text),) = start_findings(tmp_path / "listening", tmp_path)
    assert passed is good and said in text


def test_a_page_that_lacks_a_problem_is_no_pass(tmp_path: Path) -> None:
    page = tmp_path / "run-page.html"
    assert page_findings(page, tmp_path / "predictor.jsonl") == [(False, "run-page.html is missing")]
    (tmp_path / "predictor.jsonl").write_text("\n".join([row(), row(id="<b>")]))
    assert page_findings(page, tmp_path / "predictor.jsonl") == [(False, "run-page.html is missing")]
    (tmp_path / "predictor.jsonl").write_text(row())
    page.write_text(run_page(tmp_path))
    (tmp_path / "predictor.jsonl").write_text("\n".join([row(), row(id="<b>")]))
    assert page_findings(page, tmp_path / "predictor.jsonl") == [(False, "run-page.html lacks ['<b>']")]
    page.write_text(run_page(tmp_path))
    assert page_findings(page, tmp_path / "predictor.jsonl") == [(True, "run-page.html shows every problem")]


def test_a_problem_whose_id_is_only_the_answer_of_another_is_lacking(tmp_path: Path) -> None:
    page, record = tmp_path / "run-page.html", tmp_path / "predictor.jsonl"
    record.write_text(row(id="1", answer=2))
    page.write_text(run_page(tmp_path))
    record.write_text("\n".join([row(id="1", answer=2), row(id="2")]))
    assert page_findings(page, record) == [(False, "run-page.html lacks ['2']")]


def test_what_was_chosen_is_said_with_what_may_not_be_meant(tmp_path: Path) -> None:
    notes = tmp_path / "notebook.jsonl"
    assert setup_findings(notes) == []
    text = "qwq, 12 lanes\nits chat template is another one\nrehearsed with another engine and model: engine.kind = x"
    rows = [{"kind": "start"}, {"kind": "setup", "text": text}, {"kind": "setup", "text": "Python sandbox: fine"}]
    notes.write_text("\n".join(map(json.dumps, rows)))
    assert setup_findings(notes) == [(True, "qwq, 12 lanes"), (None, "its chat template is another one")]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([row(source="fallback", closed="deadline"), row(source="fallback", closed="out of time")], True),
        ([row(source="fallback", closed="deadline"), row(source="vote", closed="margin")], False),
        ([row(source="fallback", closed="engine error")], False),
        ([row(source="fallback", closed="")], False),
        ([], False),
    ],
)
def test_where_no_lane_voted_in_time_more_of_it_is_advised(rows: list[str], told: bool, tmp_path: Path) -> None:
    (tmp_path / "predictor.jsonl").write_text("\n".join(rows))
    (tmp_path / "reference.csv").write_text("id,problem,answer\na,?,1\n")
    said = record_findings(tmp_path / "predictor.jsonl", tmp_path / "reference.csv")[0][1]
    assert said.endswith("give more --seconds where this machine is slow or busy") is told
