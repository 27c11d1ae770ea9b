"""Sets of questions in the formats in which they are published."""

from __future__ import annotations

import csv
import io
import json
import pickle
import re
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agent.chat.dialects import chat_format
from agent.chat.family import family_names
from agent.errors import InputError
from tests.support.runs.benchmark_fixtures import (
    AIME,
    AIME_2025,
    CALL_HIDDEN,
    GPQA,
    MATH,
    MATHARENA,
    PROGRAMS,
    SUM_HIDDEN,
    SUM_TESTS,
    packed,
    packed_bytes,
    program_row,
    write_csv,
    write_jsonl,
    write_set,
)
from tools.benchmark.question import BenchmarkQuestion, ProgramTest
from tools.benchmark.sets.known import LETTERS, SETS, load_set
from tools.benchmark.sets.program_tests import hidden_tests, program_tests

QUIET = Console(quiet=True)


def load(folder: Path, name: str, *, seed: int = 0, limit: int | None = None) -> list[BenchmarkQuestion]:
    return load_set(SETS[name], [write_set(folder, name)], seed, limit, QUIET)


def refused(name: str, path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_set(SETS[name], [path], 0, None, QUIET)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "ids", "truths"),
    [
        ("aime2024", ["60", "61"], ["404", "7"]),
        ("aime2025", ["0", "1"], ["90", "512"]),
        ("aime2026", ["1"], ["18"]),
        ("hmmt-feb2025", ["1", "3"], ["32", "10001"]),
        ("hmmt-nov2025", ["1", "3"], ["32", "10001"]),
        ("hmmt-feb2026", ["1", "3"], ["32", "10001"]),
        ("apex2025", ["1", "3"], ["32", "10001"]),
        ("olymmath-easy", ["OlymMATH-HARD-0-EN"], ["14"]),
        ("olymmath-hard", ["OlymMATH-HARD-0-EN"], ["14"]),
        ("math500", ["test/own/1.json", "test/own/2.json"], ["\\frac{1}{6}", "(1, 2)"]),
        ("aimo1-reference", ["a", "b"], ["1", "998"]),
        ("aimo2-reference", ["a", "b"], ["1", "998"]),
        ("aimo3-reference", ["a", "b"], ["1", "998"]),
    ],
)
def test_each_format_gives_its_questions(name: str, ids: list[str], truths: list[str], tmp_path: Path) -> None:
    questions = load(tmp_path, name)
    assert [question.id for question in questions] == ids
    assert [question.truth for question in questions] == truths
    assert load(tmp_path, name, limit=1) == questions[:1]


def test_questions_without_a_votable_answer_are_left_out_and_counted(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=200)
    load_set(SETS["hmmt-nov2025"], [write_set(tmp_path, "hmmt-nov2025")], 0, None, console)
    assert isinstance(console.file, io.StringIO)
    assert "2 of 4 questions of hmmt-nov2025 are left out" in console.file.getvalue()
    paths = [
        write_jsonl(tmp_path / f"{len(answer)}.jsonl", [{**MATHARENA[1], "answer": answer}])
        for answer in ("1/2", str(10**13))
    ]
    for name, files in (("olymmath-hard", paths), ("apex2025", paths[1:])):
        with pytest.raises(InputError, match="only integers from 0 to 1,000,000,000,000 are voted on: give") as caught:
            load_set(SETS[name], files, 0, None, QUIET)
        assert all(str(path) in str(caught.value) for path in files) and "\n" not in str(caught.value)


def test_every_published_set_is_pinned_to_a_commit() -> None:
    sources = [chosen.source for chosen in SETS.values() if chosen.source]
    assert all(re.fullmatch("[0-9a-f]{40}", source.revision) for source in sources)
    assert len({(source.repository, source.file) for source in sources}) == len(sources)


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".parquet"])
def test_every_kind_of_file_is_read_alike(suffix: str, tmp_path: Path) -> None:
    import pandas as pd

    path = tmp_path / f"math{suffix}"
    table = pd.DataFrame(MATH)
    if suffix == ".csv":
        table.to_csv(path, index=False)
    elif suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_json(path, orient="records", lines=suffix == ".jsonl")
    assert load_set(SETS["math500"], [path], 0, None, QUIET) == load(tmp_path, "math500")


def test_the_choices_are_shuffled_by_the_seed_and_the_question_alone(tmp_path: Path) -> None:
    def choices(question: BenchmarkQuestion) -> dict[str, str]:
        lines = question.problem.text.rpartition("\n\n")[2].splitlines()
        return {line[1]: line[4:] for line in lines}

    questions = load(tmp_path, "gpqa-diamond", seed=5)
    for row, question in zip(GPQA, questions, strict=True):
        offered = choices(question)
        assert question.problem.text.startswith(row["Question"])
        assert offered[question.truth] == row["Correct Answer"]
        assert sorted(offered.values()) == sorted(row[name] for name in row if "Answer" in name)
    alone = load_set(SETS["gpqa-diamond"], [write_csv(tmp_path / "second.csv", GPQA[1:])], 5, None, QUIET)
    assert alone == questions[1:]
    truths = [load(tmp_path, "gpqa-diamond", seed=seed)[0].truth for seed in range(40)]
    assert set(truths) == set(LETTERS)


def test_programs_have_their_shown_and_hidden_tests(tmp_path: Path) -> None:
    add, keep = load(tmp_path, "livecodebench")
    assert add.tests is not None
    assert keep.tests is not None
    assert (add.tests.function, keep.tests.function) == (None, "keep")
    assert add.tests.shown == (ProgramTest(SUM_TESTS[0]["input"], SUM_TESTS[0]["output"]),)
    assert hidden_tests("", keep.tests) == (ProgramTest(CALL_HIDDEN[0]["input"], CALL_HIDDEN[0]["output"]),)
    assert "standard input" in add.problem.text
    assert PROGRAMS[1]["starter_code"].strip() in keep.problem.text


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("family", family_names())
def test_prompts_ask_for_the_answer_in_the_form_that_is_read(name: str, family: str, tmp_path: Path) -> None:
    question = load(tmp_path, name)[0]
    chat = chat_format(family, tools=False)
    prompt = chat.prompt(SETS[name].task, question.problem)
    assert prompt.startswith(chat.prefix(SETS[name].task))
    assert question.problem.text in prompt.removeprefix(chat.prefix(SETS[name].task))
    assert prompt.endswith(chat.opening)
    form = {"gpqa-diamond": '"answer": "C"', "livecodebench": "```python"}.get(name, "\\boxed{}")
    assert form in prompt
    assert ("\\boxed" in prompt) == (form == "\\boxed{}")


WRONG_FILES: Mapping[str, tuple[str, str, str]] = {
    "empty": ("aime2024", "", "holds no questions"),
    "no object": ("aime2024", "[1]\n", "line 1: not an object"),
    "no JSON": ("math500", "{]\n", "line 1: malformed JSON"),
    "another set's columns": ("math500", json.dumps(AIME_2025[0]) + "\n", "no column 'unique_id'"),
    "no text": ("aime2024", '{"id": 1, "answer": 3}\n', "no column 'problem' or 'question' (found: 'id', 'answer')"),
    "no answer": ("aime2025", '{"problem": "?", "answer": null}\n', "line 1: the column 'answer' is empty"),
    "no column": ("aime2025", '{"problem": "?"}\n', "no column 'answer'"),
    "a wrong answer": (
        "aime2025",
        '{"problem": "?", "answer": "x"}\n',
        "the answer 'x' is not an integer from 0 to 999",
    ),
    "an answer too large": ("aime2025", '{"problem": "?", "answer": 1000}\n', "not an integer from 0 to 999"),
    "one id twice": ("aime2025", '{"problem": "?", "answer": 1, "id": 4}\n' * 2, "the id '4' occurs twice"),
    "no tests": ("livecodebench", json.dumps(program_row("x", [], packed([]))) + "\n", "there are no tests"),
    "not UTF-8": ("math500", "\udcff\n", "cannot be read"),
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_a_wrong_file_is_reported_in_a_one_line_message(case: str, tmp_path: Path) -> None:
    name, text, told = WRONG_FILES[case]
    if case == "another set's columns":
        told = "no column"
        text = '{"Question": "?", "answer": "1"}\n'
    path = tmp_path / "set.jsonl"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    message = refused(name, path)
    assert told in message
    assert str(path) in message


@pytest.mark.parametrize("name", ["set.csv", "set.parquet", "set.json", "set.txt", "missing.csv", "."])
def test_what_is_not_a_file_is_reported_in_a_one_line_message(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if not name.startswith("missing") and name != ".":
        path.write_text("{")
    assert str(path) in refused("gpqa-diamond", path)


def test_an_aimo_set_needs_answers_inside_its_edition(tmp_path: Path) -> None:
    path = tmp_path / "reference.csv"
    path.write_text("id,problem,answer\na,What?,-900\n")
    assert load_set(SETS["aimo2-reference"], [path], 0, None, QUIET)[0].truth == "100"
    assert "0..99999" in refused("aimo3-reference", path)
    path.write_text("id,problem,answer\na,What?,\n")
    assert "problem a has no answer" in refused("aimo3-reference", path)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (Path("pwned"), "x"))


@pytest.mark.parametrize(
    "hidden",
    [
        packed_bytes(pickle.dumps(Bomb())),
        packed_bytes(pickle.dumps(["a list"])),
        packed_bytes(pickle.dumps("not JSON")),
        packed_bytes(pickle.dumps('[{"input": "1"}]')),
        packed_bytes(b"\x80\x04garbage"),
        packed_bytes(b""),
        "no base 64!",
        packed(SUM_HIDDEN)[:-8],
        "[{]",
    ],
)
def test_damaged_or_hostile_tests_are_refused_and_nothing_of_them_runs(
    hidden: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_jsonl(tmp_path / "set.jsonl", [program_row("x", SUM_TESTS, hidden)])
    assert "'private_test_cases' is damaged" in refused("livecodebench", path)
    assert not (tmp_path / "pwned").exists()


@given(st.binary(max_size=60))
def test_no_pickle_whatever_breaks_out(data: bytes) -> None:
    try:
        program_tests("here", "[]", packed_bytes(data), "{}")
    except InputError as error:
        assert str(error).startswith("here: ")
    else:
        raise AssertionError("no pickle of a list of tests is that short")


@given(st.lists(st.text(string.printable), min_size=4, max_size=4))
def test_a_csv_of_gpqa_survives_any_text(texts: list[str]) -> None:
    import tempfile

    values = [f"x{text}x" for text in texts]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gpqa.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerow(list(GPQA[0])[:5])
            writer.writerow(["BenchmarkQuestion?", *values])
        (question,) = load_set(SETS["gpqa-diamond"], [path], 0, None, QUIET)
    assert question.truth in LETTERS


def test_fixtures_are_of_the_published_columns() -> None:
    assert AIME[0].keys() == {"id", "problem", "solution", "answer", "url", "year"}
    assert MATH[0].keys() == {"problem", "solution", "answer", "subject", "level", "unique_id"}
