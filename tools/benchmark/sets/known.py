"""The known question sets: their names, where they are published, how their rows are read."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from agent.chat.task import CompetitionTask, Task
from agent.editions import EDITIONS, HOUR
from agent.errors import InputError
from agent.latex.integer import parse_integer
from agent.problems.reader import load_problems
from agent.types import Edition, Problem
from tools.benchmark.question import BenchmarkQuestion
from tools.benchmark.sets.hub import HubFile
from tools.benchmark.sets.program_tests import program_tests
from tools.benchmark.sets.rows import DatasetRow, read_dataset
from tools.benchmark.sets.tasks import CHOICE, EXPRESSION, PROGRAM

LETTERS = "ABCD"
_AIME = Edition("aime", max_answer=999, modulus=None, problem_count=30, time_limit_seconds=6 * HOUR)
# For sets whose answers are any expressions: their integers are asked.
_INTEGERS = replace(_AIME, name="integers", max_answer=10**12)
_VOTED_ON = f"only integers from 0 to {_INTEGERS.max_answer:,} are voted on"
_MATHARENA_FILE = "data/train-00000-of-00001.parquet"

Loader = Callable[[Sequence[Path], int], list[BenchmarkQuestion | None]]
"""Reads the questions of a set from its files; the seed shuffles multiple choices. None is one that is left out."""


@dataclass(frozen=True, slots=True)
class BenchmarkSet:
    """A set: the task that its questions are, `load` to read its files, and where it is published (None: not there).

    `load` takes the files and a seed, by which the choices of a question are shuffled.
    """

    name: str
    task: Task
    load: Loader
    source: HubFile | None = None


def load_set(
    chosen: BenchmarkSet, paths: Sequence[Path], seed: int, limit: int | None, console: Console
) -> list[BenchmarkQuestion]:
    """Read the first `limit` questions of the set's files, and say how many of the set cannot be asked.

    Raises InputError for invalid ones, and where none is left.
    """
    with console.status("reading the questions"):  # gigabytes of tests take a while
        rows = chosen.load(paths, seed)
    questions = [question for question in rows if question is not None]
    if not questions:
        files = ", ".join(map(str, paths))
        raise InputError(f"{files}: no question can be asked, as {_VOTED_ON}: give a file with such answers")
    if len(questions) < len(rows):
        told = f"{len(rows) - len(questions)} of {len(rows)} questions of {chosen.name} are left out"
        console.print(f"{told}, as {_VOTED_ON}", soft_wrap=True)
    places: set[str] = set()
    for question in questions:
        if question.id in places:
            raise InputError(f"{paths[0]}: the id {question.id!r} occurs twice: give the file as published")
        places.add(question.id)
    return questions[:limit]


def _rows_as(read: Callable[[DatasetRow, str, int], BenchmarkQuestion | None]) -> Loader:
    """A loader that makes a question of each row, from the row, its number as an id, and the seed."""

    def load(paths: Sequence[Path], seed: int) -> list[BenchmarkQuestion | None]:
        return [read(row, str(number), seed) for number, row in enumerate(read_dataset(paths), start=1)]

    return load


def _aime(row: DatasetRow, number: str, seed: int) -> BenchmarkQuestion:
    answer = row.text("answer")
    value = parse_integer(answer)
    if value is None or _AIME.reduce(value) is None:
        raise InputError(
            f"{row.place}: the answer {answer!r} is not an integer from 0 to {_AIME.max_answer}: correct it"
        )
    return BenchmarkQuestion(Problem(_id(row, number), row.text("problem", "question"), value), str(value))


def _integer(row: DatasetRow, number: str, seed: int) -> BenchmarkQuestion | None:
    """The question of a row, None where its answer is no integer that is voted on."""
    value = parse_integer(row.text("answer"))
    if value is None or _INTEGERS.reduce(value) is None:
        return None
    return BenchmarkQuestion(Problem(_id(row, number), row.text("problem", "question"), value), str(value))


def _id(row: DatasetRow, number: str) -> str:
    return next((row.text(name) for name in ("id", "problem_idx", "unique_id") if row.has(name)), number)


def _aimo(edition: Edition) -> Loader:
    def load(paths: Sequence[Path], seed: int) -> list[BenchmarkQuestion | None]:
        return [_competition(problem, edition, path) for path in paths for problem in load_problems(path)]

    return load


def _competition(problem: Problem, edition: Edition, path: Path) -> BenchmarkQuestion:
    if problem.answer is None:
        raise InputError(f"{path}: problem {problem.id} has no answer: give a file with the answers, or remove it")
    truth = edition.reduce(problem.answer)
    if truth is None:
        raise InputError(
            f"{path}: the answer {problem.answer} of problem {problem.id} is not in 0..{edition.max_answer}: correct it"
        )
    return BenchmarkQuestion(replace(problem, answer=truth), str(truth))


def _math(row: DatasetRow, number: str, seed: int) -> BenchmarkQuestion:
    id_ = row.text("unique_id") if row.has("unique_id") else number
    return BenchmarkQuestion(Problem(id_, row.text("problem")), row.text("answer"))


def _gpqa(row: DatasetRow, number: str, seed: int) -> BenchmarkQuestion:
    id_ = row.text("Record ID") if row.has("Record ID") else number
    right = row.text("Correct Answer")
    choices = [right, *(row.text(f"Incorrect Answer {index}") for index in (1, 2, 3))]
    order = list(range(4))
    random.Random(f"{seed}\0{id_}").shuffle(order)  # from the question, not from its place: any --limit gives the same
    listed = "\n".join(f"({letter}) {choices[index]}" for letter, index in zip(LETTERS, order, strict=True))
    return BenchmarkQuestion(Problem(id_, f"{row.text('Question')}\n\n{listed}"), LETTERS[order.index(0)])


def _livecodebench(row: DatasetRow, number: str, seed: int) -> BenchmarkQuestion:
    id_ = row.text("question_id") if row.has("question_id") else number
    shown, hidden, metadata = (
        row.text(name) if row.has(name) else "" for name in ("public_test_cases", "private_test_cases", "metadata")
    )
    tests = program_tests(row.place, shown or "[]", hidden, metadata)
    how = "The program reads its input from standard input and prints the answer to standard output."
    if tests.function:
        how = f"The program completes this code:\n\n```python\n{row.text('starter_code')}\n```"
    return BenchmarkQuestion(Problem(id_, f"{row.text('question_content')}\n\n{how}"), "", tests)


def _integers(name: str, source: HubFile) -> BenchmarkSet:
    """A set of which the problems with integer answers are asked."""
    return BenchmarkSet(name, CompetitionTask(_INTEGERS), _rows_as(_integer), source)


def _olymmath(level: str) -> HubFile:
    revision = "2c6532ea2cf929ac1c421532af5951553eaee727"
    return HubFile("RUC-AIBOX/OlymMATH", revision, f"data/OlymMATH-EN-{level}.jsonl")


def _matharena(name: str, revision: str) -> HubFile:
    return HubFile(f"MathArena/{name}", revision, _MATHARENA_FILE)


def _named(sets: Iterable[BenchmarkSet]) -> Mapping[str, BenchmarkSet]:
    return {chosen.name: chosen for chosen in sets}


SETS = _named(
    (
        BenchmarkSet(
            "aime2024",
            CompetitionTask(_AIME),
            _rows_as(_aime),
            HubFile(
                "HuggingFaceH4/aime_2024",
                "2fe88a2f1091d5048c0f36abc874fb997b3dd99a",
                "data/train-00000-of-00001.parquet",
            ),
        ),
        BenchmarkSet(
            "aime2025",
            CompetitionTask(_AIME),
            _rows_as(_aime),
            HubFile("math-ai/aime25", "563bb8404243c5f09de6ec262f2db674fe5bce9b", "test.jsonl"),
        ),
        BenchmarkSet(
            "aime2026",
            CompetitionTask(_AIME),
            _rows_as(_aime),
            _matharena("aime_2026", "d2de22f3c656b4f56cf8981212186377d1e23bc3"),
        ),
        _integers("hmmt-feb2025", _matharena("hmmt_feb_2025", "6fdc4277120810ff75aa22d2d5489b91f7a262a1")),
        _integers("hmmt-nov2025", _matharena("hmmt_nov_2025", "118dbfb45c4c9467c672268ed55166642897aa46")),
        _integers("hmmt-feb2026", _matharena("hmmt_feb_2026", "02fba4f74d8e68e73e66a02d540fd979c05c274c")),
        _integers("apex2025", _matharena("apex_2025", "ac8a641db12cc87be39e61ea89f2e04c80c5f2e7")),
        _integers("olymmath-easy", _olymmath("EASY")),
        _integers("olymmath-hard", _olymmath("HARD")),
        BenchmarkSet(
            "math500",
            EXPRESSION,
            _rows_as(_math),
            HubFile("HuggingFaceH4/MATH-500", "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be", "test.jsonl"),
        ),
        BenchmarkSet(
            "gpqa-diamond",
            CHOICE,
            _rows_as(_gpqa),
            HubFile("Idavidrein/gpqa", "633f5ee89ab8ad4522a9f850766b73f62147ffdd", "gpqa_diamond.csv", gated=True),
        ),
        BenchmarkSet(
            "livecodebench",
            PROGRAM,
            _rows_as(_livecodebench),
            HubFile("livecodebench/code_generation_lite", "0fe84c3912ea0c4d4a78037083943e8f0c4dd505", "test5.jsonl"),
        ),
        *(
            BenchmarkSet(f"{name}-reference", CompetitionTask(edition), _aimo(edition))
            for name, edition in EDITIONS.items()
        ),
    )
)
