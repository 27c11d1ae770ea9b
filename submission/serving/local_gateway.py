"""Plays Kaggle's gateway where its package is absent: the same calls, and as strict as its strictest version.

`LocalInferenceServer(predict)` stands for `AIMO2InferenceServer` and `AIMO3InferenceServer`: `run_local_gateway`
plays both sides in one process; `serve` listens for `run_gateway`, which a second process calls. `LocalIterator`
stands for AIMO-1's environment.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from inspect import isfunction
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Any

import polars as pl

from agent.errors import AgentError
from agent.types import Edition, Problem
from submission.serving.problem_table import read_table, table_of

GATEWAY_PORT = 50051
STARTUP_SECONDS = 900.0
SUBMISSION_FILE = "submission.parquet"
_KEY = b"local gateway"
_PAUSE_SECONDS = 0.1

_Send = Callable[[pl.Series, pl.Series], object]


class SubmissionError(AgentError):
    """An endpoint or an answer that Kaggle's gateway would refuse."""


class LocalInferenceServer:
    """Serves one plain function named `predict`. Raises SubmissionError for anything else."""

    def __init__(self, predict: Callable[..., object], edition: Edition) -> None:
        if not isfunction(predict):
            raise SubmissionError("the endpoint is not a plain function: wrap it in one")
        if predict.__name__ != "predict":
            raise SubmissionError(f"the endpoint is named {predict.__name__!r}: name it predict")
        self._predict = predict
        self._edition = edition

    def serve(self) -> None:
        """Answer a gateway in another process until it hangs up, one call at a time."""
        with Listener(("localhost", GATEWAY_PORT), authkey=_KEY) as listener, listener.accept() as caller:
            while True:
                try:
                    arguments = caller.recv()
                except EOFError:
                    return
                caller.send(self._predict(*arguments))

    def run_local_gateway(self, data_paths: tuple[str, ...]) -> None:
        """Play both sides over the first file; `submission.parquet` lands in the current directory."""
        _play(self._predict, read_table(Path(data_paths[0])), self._edition, Path.cwd(), response_seconds=None)


def run_gateway(csv: Path, edition: Edition, folder: Path, *, response_seconds: float | None) -> None:
    """Play the gateway against a server in another process, as in the scored run.

    Raises SubmissionError if the server does not listen in time, hangs up, is late or answers what is not valid.
    """
    began = time.monotonic()
    while True:
        try:
            caller = Client(("localhost", GATEWAY_PORT), authkey=_KEY)
            break
        except OSError:
            if time.monotonic() - began > STARTUP_SECONDS:
                raise SubmissionError(
                    f"nothing listened within {STARTUP_SECONDS:.0f} s: serve before loading"
                ) from None
            time.sleep(_PAUSE_SECONDS)

    def send(id_: pl.Series, problem: pl.Series) -> object:
        try:
            caller.send((id_, problem))
            return caller.recv()
        except (EOFError, OSError) as error:
            raise SubmissionError("predict raised, or the notebook ended: the run is lost") from error

    with caller:
        _play(send, read_table(csv), edition, folder, response_seconds=response_seconds)


class LocalIterator:
    """AIMO-1's environment: `iter_test` gives one problem at a time, `predict` must be called before the next one.

    Frames are pandas's there. Raises SubmissionError where the order or an answer is not valid.
    """

    def __init__(self, problems: Sequence[Problem], edition: Edition) -> None:
        self._problems = _shuffled(table_of(problems))
        self._edition = edition
        self._asked: Any = None
        self._rows: list[pl.DataFrame] = []

    def iter_test(self) -> Iterator[tuple[Any, Any]]:
        """Pairs of frames of one row: the problem, and the row to fill in."""
        for row in self._problems.iter_slices(n_rows=1):
            self._asked = row["id"]
            yield row.to_pandas(), row.select("id").with_columns(answer=pl.lit(0)).to_pandas()
            if self._asked is not None:
                raise SubmissionError("the next problem was asked for before predict() was called for this one")
        pl.concat(self._rows).write_parquet(SUBMISSION_FILE)

    def predict(self, frame: Any) -> None:
        """Accept the row that was filled in."""
        if self._asked is None:
            raise SubmissionError("predict() was called twice for one problem")
        self._rows.append(checked(pl.from_pandas(frame), self._asked, self._edition))
        self._asked = None


def checked(frame: object, id_: pl.Series, edition: Edition) -> pl.DataFrame:
    """The frame, if every version of the package and the scorer take it. Raises SubmissionError if not."""
    if not isinstance(frame, pl.DataFrame):
        raise SubmissionError(f"predict gave {type(frame).__name__}: give a polars frame with id and answer")
    if frame.columns != ["id", "answer"] or frame.height != 1:
        raise SubmissionError(f"predict gave columns {frame.columns} with {frame.height} rows: give one of id, answer")
    if frame["id"].dtype != id_.dtype or frame["id"].item() != id_.item():
        raise SubmissionError(f"predict gave the id {frame['id'].item()!r}: give {id_.item()!r} as it came")
    if not frame["answer"].dtype.is_integer():
        raise SubmissionError(f"predict gave an answer of type {frame['answer'].dtype}: give an integer")
    answer = frame["answer"].item()
    if answer is None or edition.reduce(answer) != answer:
        raise SubmissionError(f"predict gave the answer {answer}: give one of 0 to {edition.max_answer}")
    return frame


def _play(send: _Send, table: pl.DataFrame, edition: Edition, folder: Path, *, response_seconds: float | None) -> None:
    rows = []
    for row in _shuffled(table).iter_slices(n_rows=1):
        began = time.monotonic()
        rows.append(checked(send(row["id"], row["problem"]), row["id"], edition))
        late = response_seconds is not None and time.monotonic() - began > response_seconds
        if late and len(rows) > 1:  # the first call has no deadline: the model is loaded then
            raise SubmissionError(f"an answer took longer than {response_seconds:.0f} s")
    pl.concat(rows).write_parquet(folder / SUBMISSION_FILE)


def _shuffled(table: pl.DataFrame) -> pl.DataFrame:
    return table.sample(fraction=1.0, shuffle=True, seed=random.SystemRandom().getrandbits(32))
