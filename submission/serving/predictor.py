"""The function that Kaggle's gateway calls for each problem: it never raises and always answers in range, in time."""

from __future__ import annotations

import json
import logging
import math
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import polars as pl

from agent.editions import problems_to_come
from agent.types import Edition
from submission.protocol import WARNING_CHARS
from submission.serving.client import SolveResult, WorkerClient

_LEAST_SECONDS = 1.0  # with less time left in the run, the worker is not asked
_JOIN_GRACE_SECONDS = 5.0  # for a thread to end after its deadline
_RESPONSE_MARGIN = 60.0  # taken from the seconds in which the gateway wants an answer
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answered:
    """How one problem was answered; `source` is "vote", "fallback" or "memory", `seconds` the time that it took."""

    id: str
    answer: int
    source: str
    closed: str
    votes: str
    seconds: float
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        why = "; ".join(part for part in (self.closed, self.votes) if part)
        lines = [f"{self.id}: {self.answer} by {self.source} ({why}) in {self.seconds:.0f} s"]
        return "\n".join([*lines, *(f"  warning: {warning}" for warning in self.warnings)])


class Predictor:
    """Answers problems by asking the worker, in an order that only Kaggle knows.

    Times are in seconds on `clock`; every answer is given by `ends`, and, but for the first one, within
    `response_seconds`. Where nobody voted in time the answer is `fallback`. Answers are kept: an id that comes again
    gets the same one. How each problem was answered is appended to `record` and kept in `answered`; then `noted` is
    called, which returns at once and never raises.
    """

    def __init__(
        self,
        client: WorkerClient,
        edition: Edition,
        clock: Callable[[], float],
        *,
        ends: float,
        response_seconds: float | None,
        problem_count: int,
        fallback: int,
        record: Path,
        noted: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._edition = edition
        self._clock = clock
        self._ends = ends
        self._response_seconds = response_seconds
        self._problem_count = problem_count
        self._fallback = fallback
        self._record = record
        self._noted = noted
        self._memory: dict[str, int] = {}
        self._thread: threading.Thread | None = None
        self.answered: list[Answered] = []

    def answer(self, id_: object, problem: object) -> int:
        """Return the answer to a problem as the gateway hands it over; whatever goes wrong, there is one."""
        started = self._clock()
        key, text = plain_text(id_), plain_text(problem)
        if not key:
            key = f"no id: {text}"
        if key in self._memory:
            self._note(Answered(key, self._memory[key], "memory", "asked again", "", 0.0))
            return self._memory[key]
        result = self._ask(key, text, started)
        answer = self._in_range(result.answer)
        self._memory[key] = self._fallback if answer is None else answer
        source = "fallback" if answer is None else "vote"
        warnings = tuple(warning[:WARNING_CHARS] for warning in result.warnings)
        seconds = self._clock() - started
        self._note(Answered(key, self._memory[key], source, result.closed, result.votes, seconds, warnings))
        return self._memory[key]

    def _ask(self, key: str, text: str, started: float) -> SolveResult:
        if not text.strip():
            return SolveResult(closed="malformed", warnings=["the problem has no text"])
        until = self._ends
        if self._response_seconds is not None and self._memory:
            until = min(until, started + self._response_seconds - _RESPONSE_MARGIN)
        if until - started < _LEAST_SECONDS:
            return SolveResult(closed="out of time")
        left = problems_to_come(self._problem_count, len(self._memory))
        result = SolveResult()
        solve = partial(self._solve, result, key, text, left, until)
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(_JOIN_GRACE_SECONDS)
        if self._thread is not None and self._thread.is_alive():
            return SolveResult(closed="stuck", warnings=["the problem before this one has not ended yet"])
        thread = threading.Thread(target=solve, daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:  # no room for one more thread
            return SolveResult(closed="failed", warnings=[f"no thread can be started: {error}"])
        self._thread = thread
        self._thread.join(until - started + _JOIN_GRACE_SECONDS)
        if self._thread.is_alive():
            return SolveResult(
                result.answer, "stuck", result.votes, [*result.warnings, "the worker could not be replaced in time"]
            )
        return result

    def _solve(self, result: SolveResult, key: str, text: str, left: int, until: float) -> None:
        """Run in a thread of its own, because on a failing machine even starting a process may take for ever."""
        try:
            self._client.solve(result, key, text, problems_left=left, until=until)
        except Exception as error:  # noqa: BLE001
            # The notebook's edge: an exception here would lose the whole run, a wrong answer costs one problem.
            _LOG.exception("a problem could not be solved")
            result.closed = "failed"
            result.warnings.append(f"{type(error).__name__}: {error}")

    def _in_range(self, answer: object) -> int | None:
        """Return the answer as the edition reads it, None if it is out of range."""
        if not isinstance(answer, int) or isinstance(answer, bool):
            return None
        return self._edition.reduce(answer)

    def _note(self, answered: Answered) -> None:
        self.answered.append(answered)
        print_safely(str(answered))
        try:
            with self._record.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(answered)) + "\n")
        except OSError as error:
            print_safely(f"  not recorded: {error.strerror}", sys.stderr)
        self._noted()


def print_safely(text: str, stream: TextIO | None = None) -> None:
    """Print if possible: a closed stream, or a character that it cannot encode, must not cost the run."""
    with suppress(OSError, ValueError):
        print(text.encode("utf-8", "replace").decode("utf-8"), file=stream or sys.stdout, flush=True)


def make_predict(predictor: Predictor) -> Callable[..., pl.DataFrame]:
    """Make the plain function that Kaggle's inference servers require; they identify it by its name.

    Takes the id and the problem, each as a series of one element, and gives a frame of one row: the id as it came,
    and the answer as a 64-bit integer. A third argument, the answer in a reference file, is ignored.
    """

    def predict(id_: object, problem: object, *_: object) -> pl.DataFrame:
        value = single(id_)
        answer = pl.Series("answer", [predictor.answer(value, single(problem))], dtype=pl.Int64)
        if isinstance(id_, pl.Series) and len(id_) == 1:
            return pl.DataFrame([id_.rename("id"), answer])
        try:
            return pl.DataFrame([pl.Series("id", [value]), answer])
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
            return pl.DataFrame([pl.Series("id", [repr(value)]), answer])

    return predict


def single(value: object) -> Any:
    """The one value inside a series, a frame, a list or an array; any other object as it is, an empty one as None."""
    if isinstance(value, pl.DataFrame):
        return value.item(0, 0) if value.height and value.width else None
    if isinstance(value, str | bytes | dict) or not hasattr(value, "__iter__"):
        return value
    try:
        return next(iter(value), None)
    except TypeError:  # an array without dimensions
        return value


def plain_text(value: object) -> str:
    """The value as text that can be sent and recorded: no NUL, no half surrogate pairs; nothing for a missing one."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
