"""The local gateway: as strict as the strictest version of the genuine one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from agent.editions import EDITIONS
from agent.problems.reader import load_problems
from submission.competitions import COMPETITIONS
from submission.serving.evaluation import PROBLEMS_COPY, serve_iterator, serve_predict
from submission.serving.local_gateway import (
    SUBMISSION_FILE,
    LocalInferenceServer,
    LocalIterator,
    SubmissionError,
    checked,
)

ROOT = Path(__file__).parents[3]
AIMO2 = EDITIONS["aimo2"]
ID = pl.Series("id", ["a"])


def frame(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"id": ["a"], "answer": [3], **columns})


@pytest.fixture
def csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "reference.csv"
    pl.DataFrame({"id": list("abcdefgh"), "problem": [f'${n}$, "x"' for n in range(8)], "answer": range(8)}).write_csv(
        path
    )
    return path


def test_a_good_frame_passes() -> None:
    assert checked(frame(), ID, AIMO2).equals(frame())


@pytest.mark.parametrize(
    ("returned", "complaint"),
    [
        (3, "gave int"),
        (None, "gave NoneType"),
        (frame().to_dicts(), "gave list"),
        (frame().select("answer"), "columns"),
        (frame().select("answer", "id"), "columns"),
        (pl.concat([frame(), frame()]), "2 rows"),
        (frame(id=["b"]), "gave the id 'b'"),
        (frame(id=[1]), "gave the id 1"),
        (frame(answer=["3"]), "type String"),
        (frame(answer=[3.0]), "type Float64"),
        (frame(answer=pl.Series([None], dtype=pl.Int64)), "answer None"),
        (frame(answer=[-1]), "answer -1"),
        (frame(answer=[1_000]), "answer 1000"),
    ],
)
def test_what_some_version_or_the_scorer_refuses_is_refused(returned: Any, complaint: str) -> None:
    with pytest.raises(SubmissionError, match=complaint):
        checked(returned, ID, AIMO2)


class Solver:
    def predict(self, id_: Any, problem: Any) -> Any: ...


def other_name(id_: Any, problem: Any) -> Any: ...


@pytest.mark.parametrize("endpoint", [Solver().predict, other_name, lambda id_, problem: None, Solver()])
def test_only_a_plain_function_named_predict_is_served(endpoint: Any) -> None:
    with pytest.raises(SubmissionError):
        LocalInferenceServer(endpoint, AIMO2)


def predicting(seen: list[str]) -> Callable[..., pl.DataFrame]:
    def predict(id_: pl.Series, problem: pl.Series) -> pl.DataFrame:
        assert isinstance(id_, pl.Series) and isinstance(problem, pl.Series)
        seen.append(id_.item(0))
        return pl.DataFrame({"id": id_, "answer": [ord(id_.item(0))]})

    return predict


def test_an_interactive_run_asks_all_in_random_order_and_writes_the_submission(csv: Path) -> None:
    orders = set()
    for _ in range(6):
        seen: list[str] = []
        serve_predict(predicting(seen), COMPETITIONS["aimo2"], partial(load_problems, csv))
        written = pl.read_parquet(SUBMISSION_FILE)
        assert written["id"].to_list() == seen
        assert written["answer"].to_list() == [ord(id_) for id_ in seen]
        assert sorted(seen) == list("abcdefgh")
        orders.add(tuple(seen))
    assert len(orders) > 1


def test_answers_are_not_handed_to_the_package(csv: Path) -> None:
    serve_predict(predicting([]), COMPETITIONS["aimo2"], partial(load_problems, csv))
    assert pl.read_csv(PROBLEMS_COPY).columns == ["id", "problem"]


def test_aimo1_is_served_through_its_iterator(csv: Path) -> None:
    seen: list[str] = []

    def predict(id_: Any, problem: Any) -> pl.DataFrame:
        seen.append(id_.iloc[0])
        return pl.DataFrame({"id": [id_.iloc[0]], "answer": [7]})

    serve_predict(predict, COMPETITIONS["aimo1"], partial(load_problems, csv))
    assert pl.read_parquet(SUBMISSION_FILE)["id"].to_list() == seen
    assert len(seen) == 8


def test_aimo1_s_iterator_is_strict_about_the_order(csv: Path) -> None:
    environment = LocalIterator(load_problems(csv), EDITIONS["aimo1"])
    problems = environment.iter_test()
    _, sample = next(problems)
    with pytest.raises(SubmissionError, match="before predict"):
        next(problems)
    environment.predict(sample)
    with pytest.raises(SubmissionError, match="twice"):
        environment.predict(sample)
    with pytest.raises(SubmissionError, match="answer 5000"):
        serve_iterator(
            lambda id_, problem: pl.DataFrame({"answer": [5_000]}), LocalIterator(load_problems(csv), EDITIONS["aimo1"])
        )


NOTEBOOK = """
import sys
import polars as pl
from submission.serving.evaluation import serve_predict
from submission.competitions import COMPETITIONS
def predict(id_, problem):
    if problem.item(0) == "raise":
        raise RuntimeError("of the notebook")
    return pl.DataFrame({"id": id_, "answer": [5]})
serve_predict(predict, COMPETITIONS["aimo3"], None)
"""


def scored_run(csv: Path, folder: Path) -> tuple[subprocess.CompletedProcess[str], int]:
    """A gateway before a notebook in another process, which starts later."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KAGGLE_IS_COMPETITION_RERUN": "1"}
    command = [sys.executable, "-m", "submission.rehearse.scored_gateway", str(csv), "aimo3"]
    gateway = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
    notebook = subprocess.Popen([sys.executable, "-c", NOTEBOOK], env=environment, stderr=subprocess.DEVNULL)
    _, errors = gateway.communicate(timeout=60)
    status = notebook.wait(60)
    return subprocess.CompletedProcess(command, gateway.returncode, "", errors), status


@pytest.mark.process
def test_a_scored_run_asks_a_notebook_in_another_process(csv: Path, tmp_path: Path) -> None:
    gateway, status = scored_run(csv, tmp_path)
    assert (gateway.returncode, status) == (0, 0)
    assert sorted(pl.read_parquet(tmp_path / SUBMISSION_FILE)["id"]) == list("abcdefgh")


@pytest.mark.process
def test_a_notebook_that_raises_loses_the_scored_run(tmp_path: Path) -> None:
    csv = tmp_path / "test.csv"
    pl.DataFrame({"id": ["a"], "problem": ["raise"]}).write_csv(csv)
    gateway, _ = scored_run(csv, tmp_path)
    assert gateway.returncode == 2
    assert "the run is lost" in gateway.stderr
    assert not (tmp_path / SUBMISSION_FILE).exists()
