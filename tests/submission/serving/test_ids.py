"""Ids and problems are texts at Kaggle: whatever they look like, they come through the submission unchanged."""

from __future__ import annotations

import csv
import html
import json
import re
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from agent.editions import EDITIONS
from agent.problems.reader import load_problems
from agent.types import Problem
from submission.competitions import COMPETITIONS
from submission.rehearse.stage import Stage, lay_out
from submission.rehearse.verdict import record_findings, submission_findings
from submission.serving.client import SolveResult
from submission.serving.evaluation import PROBLEMS_COPY, serve_predict
from submission.serving.local_gateway import SUBMISSION_FILE
from submission.serving.notes import RunNotes
from submission.serving.predictor import Predictor, make_predict
from submission.serving.problem_table import read_table, table_of, write_table
from submission.serving.session import report
from submission.worker.recording import RunRecorder, record_of
from tests.support.doubles import config_with
from tests.support.runs.report_runs import write_run
from tests.support.samples import sample
from tests.support.tiers.cases import examples
from tools.report.command import main as report_main

LOOKALIKES = (
    *("192e23", "480182", "000123", "0", "-0", "+7", "1e5", "1E400", "0x1f", "0b1", "1_000", "1.0", ".5"),
    *("true", "False", "null", "NULL", "None", "NA", "nan", "NaN", "inf", "-inf", "2024-01-01", "12:30"),
    *(" padded ", "\ttab", "a,b", 'a "quoted" one', "a;b", "#1", "é", "id", "9" * 40),
)
DIGITS_FIRST = (*(f"{n:06}" for n in range(119)), "1fce4b")  # polars guesses from the first hundred rows
VISIBLE = st.characters(exclude_categories=["C", "Z"])
WORDS = st.one_of(
    st.sampled_from(LOOKALIKES),
    st.text("0123456789+.e_-", min_size=1, max_size=8),
    st.builds("{}\r{}\n{} ".format, st.text(VISIBLE, min_size=1), st.text(VISIBLE), st.text(VISIBLE)),
)


def problem_file(path: Path, ids: Sequence[str], *columns: Sequence[object], header: str = "id,problem") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(header + "\n")
        csv.writer(file).writerows(zip(ids, *columns, strict=True))
    return path


def notes_in(folder: Path) -> RunNotes:
    return RunNotes(folder, folder / "page.html", lambda: 0.0)


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("edition", ["aimo1", "aimo2", "aimo3"])
@pytest.mark.parametrize("ids", [LOOKALIKES, DIGITS_FIRST, ("192e23", "480182"), ("000123", "004567")])
def test_ids_pass_the_gateway_and_the_submission_unchanged(ids: Sequence[str], edition: str, tmp_path: Path) -> None:
    seen: dict[object, object] = {}

    def predict(id_: pl.Series, problem: pl.Series) -> pl.DataFrame:
        seen[next(iter(id_))] = next(iter(problem))
        return pl.DataFrame({"id": [next(iter(id_))], "answer": [1]})

    texts = [LOOKALIKES[n % len(LOOKALIKES)] for n in range(len(ids))]
    file = problem_file(tmp_path / "test.csv", ids, texts)
    serve_predict(predict, COMPETITIONS[edition], partial(load_problems, file))
    assert seen == dict(zip(ids, texts, strict=True))
    written = pl.read_parquet(SUBMISSION_FILE)
    assert written["id"].dtype == pl.String
    assert sorted(written["id"]) == sorted(ids)


@examples(40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(WORDS, min_size=1, max_size=4, unique=True), st.lists(WORDS, min_size=4, max_size=4))
def test_a_table_that_was_written_is_read_as_the_same_texts(ids: list[str], texts: list[str]) -> None:
    path = Path("table.csv")
    write_table(pl.DataFrame({"id": ids, "problem": texts[: len(ids)]}), path)
    assert read_table(path).rows() == list(zip(ids, texts, strict=False))


def test_the_column_question_and_the_answers_do_not_reach_the_package(tmp_path: Path) -> None:
    file = problem_file(tmp_path / "r.csv", ("007",), ("1e5",), (3,), header="id,question,answer")

    def predict(id_: pl.Series, problem: pl.Series) -> pl.DataFrame:
        return pl.DataFrame({"id": id_, "answer": [1]})

    serve_predict(predict, COMPETITIONS["aimo2"], partial(load_problems, file))
    assert rows_of(PROBLEMS_COPY) == [["id", "problem"], ["007", "1e5"]]


class Voting:
    """A client whose lanes agree on 7."""

    def solve(self, result: SolveResult, id_: str, text: str, *, problems_left: int, until: float) -> None:
        result.answer = 7


def test_the_record_the_verdict_and_the_notebook_s_own_report_know_each_id(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = LOOKALIKES
    stage = Stage(COMPETITIONS["aimo3"], tmp_path, tmp_path / "n.ipynb", tmp_path, 60.0, tmp_path)
    given_ = problem_file(tmp_path / "given.csv", ids, ids, [7] * len(ids), header="id,problem,answer")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    lay_out(
        stage,
        problems=given_,
        wheels=wheels,
        package=None,
        machine="NvidiaH100",
        attached="qwq-32b",
    )
    record = tmp_path / "predictor.jsonl"
    predictor = Predictor(
        Voting(),  # type: ignore[arg-type]
        EDITIONS["aimo3"],
        lambda: 0.0,
        ends=100.0,
        response_seconds=None,
        problem_count=len(ids),
        fallback=0,
        record=record,
    )
    serve_predict(make_predict(predictor), stage.competition, partial(load_problems, stage.csv))
    assert {json.loads(line)["id"] for line in record.read_text(encoding="utf-8").splitlines()} == set(ids)
    assert all(
        good for good, _ in submission_findings(Path(SUBMISSION_FILE), table_of(load_problems(stage.csv)), stage)
    )
    assert (True, f"{len(ids)} of {len(ids)} answers were voted, {len(ids)} are right") in record_findings(
        record, stage.csv
    )
    report(predictor, notes_in(tmp_path), partial(load_problems, stage.csv), stage.competition)
    assert f"{len(ids)} of {len(ids)} answers are right" in capsys.readouterr().out


def test_the_hidden_problems_of_a_rehearsal_are_the_given_texts(tmp_path: Path) -> None:
    stage = Stage(COMPETITIONS["aimo2"], tmp_path, tmp_path / "n.ipynb", tmp_path, 60.0, tmp_path)
    stage.csv.parent.mkdir(parents=True)
    shutil.copy(problem_file(tmp_path / "g.csv", DIGITS_FIRST, DIGITS_FIRST), stage.csv)
    command = stage._gateway(tmp_path)
    hidden = Path(next(word for word in command if word.endswith("test.csv")))
    assert rows_of(hidden) == [["id", "problem"], *([id_, id_] for id_ in DIGITS_FIRST)]


def test_the_report_and_the_answers_of_a_run_name_each_problem_by_its_id(tmp_path: Path) -> None:
    problems = [Problem(id_, id_, 7) for id_ in LOOKALIKES]
    run = write_run(tmp_path / "run", problems, {id_: [sample(7)] for id_ in LOOKALIKES})
    assert report_main([str(run)]) == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    shown = [html.unescape(id_) for id_ in re.findall(r'<span class="id">(.*?)</span>', page, re.DOTALL)]
    assert sorted(shown) == sorted(id_.strip() for id_ in LOOKALIKES), "all but blanks around, which no page shows"
    assert rows_of(run / "answers.csv") == [["id", "answer"], *([id_, "7"] for id_ in LOOKALIKES)]


def test_a_recorded_run_names_each_problem_by_its_id(tmp_path: Path) -> None:
    warnings: list[str] = []
    recorder = RunRecorder(tmp_path / "run", warnings.append)
    for id_ in LOOKALIKES:
        recorder.add_problem(Problem(id_, id_), config_with())
    recorder.close()
    record = record_of(tmp_path / "run")
    assert record is not None
    assert [(problem.id, problem.text) for problem in record.problems] == [(id_, id_) for id_ in LOOKALIKES]
    assert not warnings
    assert load_problems(tmp_path / "run" / "problems.csv") == list(record.problems)


def test_an_unknown_id_is_not_counted_as_a_right_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictor = Predictor(
        Voting(),  # type: ignore[arg-type]
        EDITIONS["aimo2"],
        lambda: 0.0,
        ends=100.0,
        response_seconds=None,
        problem_count=1,
        fallback=999,
        record=tmp_path / "r.jsonl",
    )
    predictor.answer("a", "?")
    predictor.answer("unknown", "")  # the fallback, which is -1 modulo the edition's modulus
    file = problem_file(tmp_path / "r.csv", ("a",), ("?",), (7,), header="id,problem,answer")
    report(predictor, notes_in(tmp_path), partial(load_problems, file), COMPETITIONS["aimo2"])
    assert "1 of 2 answers are right" in capsys.readouterr().out
