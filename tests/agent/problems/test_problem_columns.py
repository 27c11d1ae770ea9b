"""Problem files as people have them: other names, other cases, other separators, dressed answers, ids of any shape."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import InputError
from agent.problems.reader import load_problems
from agent.problems.writer import append_problem, write_problems
from agent.types import Problem

ODD_IDS = ["000123", "192e23", "1e5", "1fce4b", "NA", "nan", "None", "null", "true", "-0", "1.0", "0x1F", "1_000", "+7"]
ODD_IDS += ["9" * 60, "a,b", 'say "x"', "two\nlines", " padded ", "²", "=1+1", "#", "2024-II-4", "12/07", "inf", "1,5"]


def load(folder: Path, name: str, content: bytes | str) -> list[Problem]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_problems(path)


def fault(folder: Path, name: str, content: bytes | str) -> str:
    with pytest.raises(InputError) as caught:
        load(folder, name, content)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value).removeprefix(str(folder / name))


def every_form(row: Mapping[str, object]) -> dict[str, bytes | str]:
    """The row as a file of each kind."""
    table, stored = pd.DataFrame([row]), io.BytesIO()
    table.to_parquet(stored, index=False)
    forms: dict[str, bytes | str] = {"a.csv": table.to_csv(index=False), "a.jsonl": json.dumps(row) + "\r\n"}
    forms |= {"a.json": json.dumps([row]), "lines.json": json.dumps(row), "list.jsonl": json.dumps([row], indent=1)}
    return forms | {"a.parquet": stored.getvalue(), "a.tsv": table.to_csv(index=False, sep="\t")}


@pytest.mark.parametrize(
    ("id_name", "text_name", "answer_name"),
    [
        ("ID", "Problem", "Answer"),
        ("Id", "QUESTION", "expected_answer"),
        ("problem_id", "prompt", "Final Answer"),
        ("Problem ID", "Problem Statement", "ground_truth"),
        ("unique_id", "problem", "Gold"),
        ("question-id", "problem_text", " TARGET "),
        ("UUID", "problem", "answer"),
        ("uid", "problem", "answer"),
        ("idx", "question", "answer"),
        ("problem_idx", "problem", "answer"),
    ],
)
def test_columns_are_known_by_other_names(tmp_path: Path, id_name: str, text_name: str, answer_name: str) -> None:
    row = {id_name: "a1", text_name: "Why?", answer_name: "42", "level": "5"}
    for name, content in every_form(row).items():
        assert load(tmp_path, name, content) == [Problem("a1", "Why?", 42)], name


@pytest.mark.parametrize(
    "name", ["solution", "Solution", "label", "correct_answer", "reference_solution", "model_answers"]
)
def test_a_column_that_promises_an_answer_is_never_passed_over(tmp_path: Path, name: str) -> None:
    for file, content in every_form({"id": "a1", "problem": "Why?", name: "so 42"}).items():
        assert f"the column {name!r} is not read as the answer: " in fault(tmp_path, file, content)
    for file, content in every_form({"id": "a1", "problem": "Why?", name: "so 42", "answer": "7"}).items():
        assert load(tmp_path, file, content) == [Problem("a1", "Why?", 7)]
    for file, content in every_form({"id": "a1", "problem": "Why?", name: None}).items():
        assert load(tmp_path, file, content) == [Problem("a1", "Why?")]


@pytest.mark.parametrize("name", ["num", "Number", "problem_number", "name", "source_id", "task-id", "index"])
def test_a_column_that_promises_an_id_is_never_passed_over(tmp_path: Path, name: str) -> None:
    for file, content in every_form({name: "a7", "problem": "Why?", "answer": 7}).items():
        assert f"the column {name!r} is not read as the id: " in fault(tmp_path, file, content)
    for file, content in every_form({name: "a7", "problem": "Why?", "id": "b"}).items():
        assert load(tmp_path, file, content) == [Problem("b", "Why?")]
    assert load(tmp_path, "a.csv", f"{name},problem\n,Why?\n") == [Problem("1", "Why?")]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["id", "problem", "answer", "Expected_Answer"], "both a column 'answer' and a column 'expected_answer'"),
        (["id", "problem", "gold", "target"], "both a column 'gold' and a column 'target'"),
        (["problem_id", "unique_id", "problem"], "both a column 'problem_id' and a column 'unique_id'"),
        (["id", "prompt", "problem_text"], "both a column 'problem_text' and a column 'prompt'"),
        (["id", "ID", "problem"], "more than one column 'id'"),
        (["id", "Problem", "problem "], "more than one column 'problem'"),
    ],
)
def test_two_columns_that_may_be_meant_are_refused(tmp_path: Path, names: list[str], told: str) -> None:
    assert told in fault(tmp_path, "a.csv", f"{','.join(names)}\n{','.join('1' * len(names))}\n")


def test_an_id_column_is_preferred_to_others_that_may_be_one(tmp_path: Path) -> None:
    assert load(tmp_path, "a.csv", "unique_id,id,problem\nu,a1,Why?\n") == [Problem("a1", "Why?")]
    assert load(tmp_path, "a.csv", "uuid,problem_id,problem\nu,a1,Why?\n") == [Problem("a1", "Why?")]


DRESSED = {"32,951": 32951, "$42$": 42, "336^\\circ": 336, "\\boxed{42}": 42, "42.0": 42, " 42 ": 42, "$1{,}000$": 1000}
DRESSED |= {
    "so \\boxed{42}": 42,
    "-7": -7,
    "\u22127": -7,
    "12\\,345": 12345,
    "70\u00b0": 70,
    "\\(42\\)": 42,
    "1 234 567": 1234567,
}
UNREADABLE = [
    "x^2",
    "1/2",
    "3.5",
    "--5",
    "+-5",
    "0x10",
    "forty-two",
    "42 or 43",
    "1, 234",
    "(1,2)",
    "٥٢",
    "so 42",
    "#### 42",
]
ARITHMETIC = [
    "2024-11",
    "12-3",
    "50%",
    "50\\%",
    "5!",
    "42 (mod 7)",
    "-1 \\pmod{7}",
    "2^5",
    "3*4",
    "3 \\cdot 4",
    "x = 42",
]
ARITHMETIC += ["\\frac{4}{2}", "\\sqrt{16}", "\\binom{4}{2}", "42 cm", "\\boxed{2024-11}", "1.000", "12.000", "1.5e0"]
ARITHMETIC += [
    "$\\boxed{3}$ or $\\boxed{4}$",
    "3 or \\boxed{4}",
    "-\\boxed{3}",
    "\\boxed{5}!",
    "\\boxed{50}\\%",
    "12 34",
]
ARITHMETIC += [
    "1 234,567",
    "2\\boxed{3}",
    "half of \\boxed{4}",
    "\\boxed{3} (mod 7)",
    "1e17",
    "1e-2",
    "1e400",
    "1,00,000",
]
NO_ANSWERS = ["None", "none", "null", "N/A", "n/a", "NA", "-", " - ", "NaN", ""]


@pytest.mark.parametrize("written", DRESSED)
def test_a_dressed_integer_is_read(tmp_path: Path, written: str) -> None:
    for name, content in every_form({"id": "a1", "problem": "Why?", "answer": written}).items():
        assert load(tmp_path, name, content) == [Problem("a1", "Why?", DRESSED[written])], name


@pytest.mark.parametrize("written", [*UNREADABLE, *ARITHMETIC])
def test_any_other_answer_is_refused(tmp_path: Path, written: str) -> None:
    for name, content in every_form({"id": "a1", "problem": "Why?", "answer": written}).items():
        assert "is not an integer: " in fault(tmp_path, name, content), name


@pytest.mark.parametrize("written", NO_ANSWERS)
def test_a_word_for_nothing_is_no_answer(tmp_path: Path, written: str) -> None:
    for name, content in every_form({"id": "a1", "problem": "Why?", "answer": written, "level": 1}).items():
        assert load(tmp_path, name, content) == [Problem("a1", "Why?")], name


NUMBERS: dict[str, int | None] = {
    "1e5": 100_000,
    "1E+05": 100_000,
    "1.5e3": 1500,
    "52.0": 52,
    "1.0000": 1,
    "12345678901234567890.0": 12345678901234567890,
}
NUMBERS |= {"-1e3": -1000, "1.000": None, "1e16": None, "1e400": None, "5.5": None}


@pytest.mark.parametrize("written", NUMBERS)
def test_a_number_is_read_alike_in_every_kind_of_file(tmp_path: Path, written: str) -> None:
    line = '{"id": "a1", "problem": "Why?", "answer": '
    forms = {"a.csv": f"id,problem,answer\na1,Why?,{written}\n", "a.jsonl": f"{line}{written}}}"}
    forms["b.jsonl"] = f'{line}"{written}"}}'
    for name, content in forms.items():
        if NUMBERS[written] is None:
            assert "is not an integer: " in fault(tmp_path, name, content)
        else:
            assert load(tmp_path, name, content)[0].answer == NUMBERS[written], name


def test_decimals_of_a_parquet_file_are_whole_whatever_their_scale(tmp_path: Path) -> None:
    for digits, answer in (("52.000", 52), ("-7.0", -7)):
        stored = io.BytesIO()
        pq.write_table(pa.table({"id": ["a"], "problem": ["?"], "answer": [Decimal(digits)]}), stored)
        assert load(tmp_path, "a.parquet", stored.getvalue()) == [Problem("a", "?", answer)]


@given(
    st.integers(-(10**30), 10**30),
    st.sampled_from(["{}", "${}$", "\\boxed{{{}}}", " {} ", "{}.0", "{}^\\circ", "{:,}"]),
)
@settings(deadline=None)
def test_every_integer_is_read_in_every_dress(tmp_path_factory: pytest.TempPathFactory, answer: int, form: str) -> None:
    rows = json.dumps({"id": "a", "problem": "?", "answer": form.format(answer)})
    assert load(tmp_path_factory.getbasetemp(), "a.jsonl", rows) == [Problem("a", "?", answer)]


def test_without_ids_the_rows_are_counted(tmp_path: Path) -> None:
    expected = [Problem("1", "Why?", 1), Problem("2", "How?", 2)]
    rows = [{"question": "Why?", "answer": 1}, {"question": "How?", "answer": 2}]
    assert load(tmp_path, "a.jsonl", "\n\n".join(map(json.dumps, rows))) == expected
    assert load(tmp_path, "a.csv", "question,answer\n\nWhy?,1\n\nHow?,2\n") == expected
    mixed = [*rows, {"id": "x", "question": "Who?"}]
    assert ", line 3: only some rows have ids: " in fault(tmp_path, "b.jsonl", "\n".join(map(json.dumps, mixed)))


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_are_seen_in_the_header(tmp_path: Path, separator: str) -> None:
    rows = [["id", "problem", "answer"], ["a1", '"1, 2; 3\t4|5"', "42"], ["a2", "How?", ""]]
    text = "".join(separator.join(row) + "\r\n" for row in rows)
    assert load(tmp_path, "a.csv", "\ufeff" + text) == [Problem("a1", "1, 2; 3\t4|5", 42), Problem("a2", "How?")]
    quoted = text.replace("id", '"id"', 1).replace("problem", '"problem"', 1)
    assert load(tmp_path, "b.csv", quoted)[0].answer == 42


def test_one_object_that_holds_a_table_is_refused_by_name(tmp_path: Path) -> None:
    tables: list[dict[str, object]] = [{"data": []}, {"problem": ["?"], "id": [1]}, {"problem": {"0": "?"}}]
    for table in tables:
        assert "is one object (" in fault(tmp_path, "a.json", json.dumps(table, indent=2))
    assert load(tmp_path, "one.json", json.dumps({"id": 7, "problem": "?"}, indent=2)) == [Problem("7", "?")]


def test_ids_are_kept_as_they_are_written(tmp_path: Path) -> None:
    odd = [Problem(id_, "?", 1) for id_ in ODD_IDS]
    table = pd.DataFrame([{"id": p.id, "problem": p.text, "answer": p.answer} for p in odd])
    stored = io.BytesIO()
    assert load(tmp_path, "a.csv", table.to_csv(index=False)) == odd
    assert load(tmp_path, "a.jsonl", table.to_json(orient="records", lines=True)) == odd
    for ids in (table["id"], table["id"].astype("category")):
        table.assign(id=ids).to_parquet(stored, index=False)
        assert load(tmp_path, "a.parquet", stored.getvalue()) == odd
        stored = io.BytesIO()
    digits = [*map(str, range(1000, 1120)), "1fce4b"]
    assert [p.id for p in load(tmp_path, "b.csv", "id,problem\n" + "".join(f"{id_},?\n" for id_ in digits))] == digits


@pytest.mark.parametrize(("written", "id_"), [("192e23", "192e23"), ("1E5", "1E5"), ("7.0", "7"), ("9" * 40, "9" * 40)])
def test_ids_without_quotes_in_json_stay_what_is_written(tmp_path: Path, written: str, id_: str) -> None:
    assert load(tmp_path, "a.jsonl", f'{{"id": {written}, "problem": "?"}}') == [Problem(id_, "?")]


def test_parquet_ids_that_lost_digits_are_refused(tmp_path: Path) -> None:
    for ids, told in ((np.array([1.92e25]), "is not a string"), (np.array([np.nan]), "the id is empty")):
        stored = io.BytesIO()
        pd.DataFrame({"id": ids, "problem": ["?"]}).to_parquet(stored, index=False)
        assert told in fault(tmp_path, "a.parquet", stored.getvalue())
    stored = io.BytesIO()
    pq.write_table(pa.table({"id": pa.array([2**62]), "problem": ["?"]}), stored)
    assert load(tmp_path, "b.parquet", stored.getvalue()) == [Problem(str(2**62), "?")]


ANY_IDS = st.sampled_from(ODD_IDS) | st.from_regex(r"[0-9]{1,40}(?:[eE.][0-9]{1,4})?", fullmatch=True)


@given(st.lists(ANY_IDS, min_size=1, max_size=4, unique=True), st.none() | st.integers(-(10**600), 10**600))
@settings(deadline=None)
def test_a_recorded_id_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str], answer: int | None
) -> None:
    problems = [Problem(id_, f"{id_}\r?", answer) for id_ in ids]
    path = tmp_path_factory.getbasetemp() / "recorded.csv"
    write_problems(problems[:1], path)
    for problem in problems[1:]:
        append_problem(problem, path)
    assert load_problems(path) == problems
