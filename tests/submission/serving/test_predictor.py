"""`predict` answers in time and in form, whatever fails inside."""

from __future__ import annotations

import json
import random
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import load_config
from agent.editions import EDITIONS
from submission.protocol import AllowanceGranted, LeadingAnswer
from submission.serving.client import SolveResult, WorkerClient
from submission.serving.local_gateway import checked
from submission.serving.predictor import Predictor, make_predict, plain_text, single
from tests.support.submission_doubles import VirtualConnection
from tests.support.tiers.cases import examples, quick_cases

LIMIT = 3_000.0
RESPONSE = 200.0
FAULTS = (
    *("engine dead", "engine breaks", "endless", "sandbox dead", "disk full"),
    *("worker hangs", "worker dies", "worker cannot start", "malformed", "client bug"),
)
SEEDS = [*quick_cases(4, range(40)), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(40, 200))]
MALFORMED: tuple[Any, ...] = (
    *(None, float("nan"), "", "  ", b"\xff"),
    *("\0\ud800", 7, [], {}, pl.Series([], dtype=pl.String)),
)


@dataclass
class Run:
    """One predictor before a virtual worker, and the faults that its problems met."""

    predictor: Predictor
    connection: VirtualConnection
    chance: random.Random

    def clock(self) -> float:
        return self.connection.loop.time()


@pytest.fixture
def config() -> Any:
    keys = {"sample.family": "qwq-preview", "sample.count": 2, "budget.time_limit_seconds": LIMIT}
    return load_config("cpu", {**keys, "engine.retries": 1, "budget.floor_seconds": 5})


def start(config: Any, seed: int, folder: Path) -> Run:
    chance = random.Random(seed)
    connection = VirtualConnection(config, chance, folder / "run", LIMIT)
    connection.restart()
    client = WorkerClient(connection, connection.loop.time, start_seconds=300.0, grace_seconds=5.0)
    predictor = Predictor(
        client,
        EDITIONS["aimo2"],
        connection.loop.time,
        ends=LIMIT,
        response_seconds=RESPONSE,
        problem_count=50,
        fallback=0,
        record=folder / "predictor.jsonl",
    )
    return Run(predictor, connection, chance)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_problem_is_answered_in_form_and_in_time(
    seed: int, config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start(config, seed, tmp_path)
    predict = make_predict(run.predictor)
    share = run.chance.random()
    given_answers: dict[str, int] = {}
    for number in range(50):
        fault = run.chance.choice(FAULTS) if run.chance.random() < share else ""
        run.connection.set_fault(fault)
        run.connection.restarts = 0
        problem = run.chance.choice(MALFORMED) if fault == "malformed" else f"Problem {number}?"
        with monkeypatch.context() as patch:
            if fault == "client bug":
                patch.setattr(run.connection, "send", lambda request: [][0])
            began = run.clock()
            frame = predict(pl.Series("id", [f"p{number}"]), single_series(problem))
        given_answers[f"p{number}"] = checked(frame, pl.Series("id", [f"p{number}"]), EDITIONS["aimo2"])["answer"][0]
        assert run.clock() <= LIMIT
        assert number == 0 or run.clock() - began <= RESPONSE
        if fault in ("", "disk full", "sandbox dead") and run.clock() < LIMIT * 0.7:
            assert given_answers[f"p{number}"] == 7
    again = {id_: predict(pl.Series([id_]), pl.Series(["again?"]))["answer"][0] for id_ in given_answers}
    assert again == given_answers
    rows = [json.loads(line) for line in (tmp_path / "predictor.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows if row["source"] != "memory"] == [f"p{n}" for n in range(50)]
    assert all(len(warning) <= 300 for row in rows for warning in row["warnings"])
    run.connection.close()


def single_series(value: Any) -> Any:
    if isinstance(value, pl.Series):
        return value
    try:
        return pl.Series("problem", [value], strict=False)
    except (TypeError, ValueError, UnicodeEncodeError):
        return value


def test_without_faults_every_answer_is_voted(config: Any, tmp_path: Path) -> None:
    run = start(config, 1, tmp_path)
    predict = make_predict(run.predictor)
    answers = [predict(pl.Series([f"p{n}"]), pl.Series([f"Problem {n}?"]))["answer"][0] for n in range(50)]
    assert answers == [7] * 50
    assert {answered.source for answered in run.predictor.answered} == {"vote"}
    run.connection.close()


def test_votes_that_came_before_a_worker_hangs_count(config: Any, tmp_path: Path) -> None:
    class Leading:
        events: Iterator[Any] = iter(
            [AllowanceGranted(1, 50.0), LeadingAnswer(0, 1, "an old problem"), LeadingAnswer(1, 12, "1 of 1 so far")]
        )
        now = 0.0

        def send(self, message: Any) -> None: ...

        def restart(self) -> None: ...

        def receive(self, seconds: float) -> Any:
            event = next(self.events, None)
            self.now += 1.0 if event else seconds
            return event

    connection, result = Leading(), SolveResult()
    client = WorkerClient(connection, lambda: connection.now, start_seconds=300.0, grace_seconds=5.0)
    client.solve(result, "p", "text", problems_left=1, until=1_000.0)
    assert result.answer == 12
    assert result.closed == "watchdog"
    assert connection.now == pytest.approx(56.0)


class Oracle:
    """Stands for the client where only the predictor's own rules matter."""

    def __init__(self, answer: Any = 5) -> None:
        self.answer = answer
        self.asked: list[tuple[str, int, float]] = []

    def solve(self, result: SolveResult, id_: str, text: str, *, problems_left: int, until: float) -> None:
        self.asked.append((id_, problems_left, until))
        result.answer, result.closed, result.votes = self.answer, "all done", "2 of 2"


def predictor_before(
    oracle: Any, tmp_path: Path, *, edition: str = "aimo3", now: float = 0.0, **keys: Any
) -> Predictor:
    keys = {"ends": 100.0, "response_seconds": None, "problem_count": 3, "fallback": 11, **keys}
    return Predictor(oracle, EDITIONS[edition], lambda: now, record=tmp_path / "record", **keys)


@pytest.mark.parametrize(
    ("edition", "answer", "given_answer"),
    [
        ("aimo2", -900, 100),
        ("aimo2", 1_234, 234),
        ("aimo3", 99_999, 99_999),
        ("aimo3", 100_000, 11),
        ("aimo3", -1, 11),
        ("aimo3", None, 11),
        ("aimo3", True, 11),
        ("aimo3", "5", 11),
    ],
)
def test_answers_are_in_the_range_of_the_edition(edition: str, answer: Any, given_answer: int, tmp_path: Path) -> None:
    predictor = predictor_before(Oracle(answer), tmp_path, edition=edition)
    assert predictor.answer("a", "text") == given_answer


def test_the_first_call_has_no_deadline_and_later_ones_keep_a_margin(tmp_path: Path) -> None:
    oracle = Oracle()
    predictor = predictor_before(oracle, tmp_path, ends=9_000.0, response_seconds=1_800.0)
    for id_ in ("a", "b", "c", "d", "e"):
        predictor.answer(id_, "text")
    assert [until for _, _, until in oracle.asked] == [9_000.0, *[1_740.0] * 4]
    lefts = [left for _, left, _ in oracle.asked]
    assert lefts[:3] == [3, 2, 1]
    assert min(lefts[3:]) > 1, "more than were expected: the rest of the time is not spent on one"


def test_out_of_time_nothing_is_asked(tmp_path: Path) -> None:
    oracle = Oracle()
    predictor = predictor_before(oracle, tmp_path, now=99.5)
    assert predictor.answer("a", "text") == 11
    assert not oracle.asked
    assert predictor.answered[0].closed == "out of time"


def test_a_record_that_cannot_be_written_does_not_matter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictor = predictor_before(Oracle(), tmp_path)
    (tmp_path / "record").mkdir()
    assert predictor.answer("a", "text") == 5
    assert "not recorded" in capsys.readouterr().err


def test_an_output_that_cannot_be_printed_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = predictor_before(Oracle(7), tmp_path)
    with (tmp_path / "closed").open("w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert predictor.answer("\u00e9", "?") == 7
    assert predictor.answer("b", "?") == 7, "the stream is closed"


def test_a_machine_without_room_for_a_thread_costs_one_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    predictor = predictor_before(Oracle(7), tmp_path)
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        assert predictor.answer("a", "?") == 11
    assert predictor.answer("b", "?") == 7
    assert predictor.answered[0].warnings == ("no thread can be started: can't start new thread",)


@pytest.mark.further
def test_a_client_that_never_returns_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("submission.serving.predictor._JOIN_GRACE_SECONDS", 0.1)
    leave = threading.Event()

    class Stuck(Oracle):
        def solve(self, result: SolveResult, id_: str, text: str, *, problems_left: int, until: float) -> None:
            if id_ == "a":
                result.answer = 8
                leave.wait()
            else:
                super().solve(result, id_, text, problems_left=problems_left, until=until)

    predictor = predictor_before(Stuck(), tmp_path, ends=1.5)
    assert predictor.answer("a", "text") == 8, "the best vote so far"
    assert predictor.answer("b", "text") == 11
    leave.set()
    assert predictor._thread is not None
    predictor._thread.join(20)
    assert predictor.answer("c", "text") == 5
    assert [answered.closed for answered in predictor.answered] == ["stuck", "stuck", "all done"]


IDS: list[Any] = [
    *(pl.Series("id", ["0a1b"]), pl.Series("id", [48], dtype=pl.Int32), pl.Series("id", [1.5])),
    *(pd.Series(["x"]), pd.DataFrame({"id": ["y"]}), pl.DataFrame({"id": ["z"]}), np.array(["w"]), np.array("v")),
    *("plain", 17, ["list"], None, pl.Series("id", [None], dtype=pl.String), object()),
]


@pytest.mark.parametrize("id_", IDS, ids=lambda id_: type(id_).__name__)
def test_predict_is_a_plain_function_that_echoes_the_id(id_: Any, tmp_path: Path) -> None:
    predict = make_predict(predictor_before(Oracle(), tmp_path))
    assert isinstance(predict, FunctionType)
    assert predict.__name__ == "predict"
    frame = predict(id_, pl.Series(["text"]), pl.Series([3]))
    assert frame.columns == ["id", "answer"]
    assert frame["answer"].to_list() == [5]
    assert frame["answer"].dtype == pl.Int64
    if isinstance(id_, pl.Series):
        assert frame["id"].equals(id_)


TEXTS = st.text(alphabet="ab \0\n\ud800é{", max_size=20)  # a small alphabet is quick in a fresh checkout


@examples(200)
@given(
    value=st.one_of(
        st.none(),
        TEXTS,
        st.binary(max_size=20),
        st.floats(),
        st.integers(),
        st.lists(TEXTS, max_size=3),
        st.dictionaries(TEXTS, TEXTS, max_size=3),
    )
)
def test_any_value_becomes_text_that_can_be_sent(value: Any) -> None:
    text = plain_text(single(value))
    assert "\0" not in text
    assert json.loads(json.dumps(text)) == text
    text.encode()
