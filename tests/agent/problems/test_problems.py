"""Files of problems in every format, and what is refused in them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import InputError
from agent.problems.reader import load_problems
from agent.types import Problem
from tests.support.texts.any_problems import PROBLEMS

FILES = settings(deadline=None)  # a disk may be slow once

TWO = [Problem("0e644e", "What is $1-1$?", 0), Problem("b2", 'Say "2", then\n3.', None)]
ROWS = [{"id": "0e644e", "problem": "What is $1-1$?", "answer": 0}, {"id": "b2", "problem": 'Say "2", then\n3.'}]
TABLE = pd.DataFrame(ROWS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One directory for all examples of a property."""
    return tmp_path_factory.mktemp("problems")


def load(folder: Path, name: str, content: bytes | str) -> list[Problem]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_problems(path)


def refusal(folder: Path, name: str, content: bytes | str) -> str:
    with pytest.raises(InputError) as caught:
        load(folder, name, content)
    message = str(caught.value)
    assert message.startswith(str(folder / name))
    assert len(message.splitlines()) == 1
    assert ": " in message  # the remedy stands after it
    return message.removeprefix(str(folder / name))


def stored(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


def parquet(**columns: object) -> bytes:
    return stored(pd.DataFrame(columns))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'id,problem,answer\n0e644e,What is $1-1$?,0\nb2,"Say ""2"", then\n3.",\n'),
        ("A.CSV", 'id,problem,answer\n0e644e,What is $1-1$?,0\nb2,"Say ""2"", then\n3.",""\n'),
        ("bom.csv", '\ufeffid,problem,answer\n0e644e,What is $1-1$?,0\nb2,"Say ""2"", then\n3.",'),
        ("crlf.csv", '\r\nid,problem,answer\r\n0e644e,What is $1-1$?,0\r\n  \r\nb2,"Say ""2"", then\n3.",\r\n\r\n'),
        ("cr.csv", 'id,problem,answer\r0e644e,What is $1-1$?,0\rb2,"Say ""2"", then\n3.",\r'),
        ("order.csv", 'x, answer ,question,id,\n1,0,What is $1-1$?,0e644e,\n,,"Say ""2"", then\n3.",b2,\n'),
        ("a.jsonl", "\n".join(json.dumps(row) for row in ROWS)),
        ("crlf.jsonl", "\r\n\r\n".join(json.dumps(row) for row in ROWS) + "\r\n"),
        ("bom.ndjson", "\ufeff" + "\n".join(json.dumps(row).replace("{", '{"level": [1], ', 1) for row in ROWS)),
        ("a.json", json.dumps(ROWS, indent=1)),
        ("a.parquet", stored(TABLE)),
        ("question.parquet", stored(TABLE.rename(columns={"problem": "question"}).assign(level=[1.5, 2.5]))),
        ("dictionary.parquet", stored(TABLE.astype({"id": "category", "problem": "category"}))),
    ],
)
def test_every_kind_of_file_gives_the_same_problems(tmp_path: Path, name: str, content: bytes | str) -> None:
    assert load(tmp_path, name, content) == TWO


def test_an_index_saved_by_pandas_is_a_column_and_a_directory_is_none(tmp_path: Path) -> None:
    path = tmp_path / "id=7" / "indexed.parquet"
    path.parent.mkdir()
    TABLE.set_index("id").to_parquet(path)
    assert load_problems(path) == TWO


def test_without_the_column_no_answer_is_known(tmp_path: Path) -> None:
    assert load(tmp_path, "test.csv", "id,problem\na,Why?\n") == [Problem("a", "Why?")]
    assert load(tmp_path, "test.jsonl", '{"id": "a", "question": "Why?"}') == [Problem("a", "Why?")]
    assert load(tmp_path, "test.parquet", parquet(id=["a"], problem=["Why?"])) == [Problem("a", "Why?")]


ANSWERS = {"52": 52, " 52 ": 52, "52.0": 52, "+52": 52, "-900": -900, "007": 7, "": None, " ": None, "NaN": None}


@pytest.mark.parametrize("written", ANSWERS)
def test_answers_in_text(tmp_path: Path, written: str) -> None:
    expected = [Problem("a", "Why?", ANSWERS[written])]
    assert load(tmp_path, "a.csv", f"id,problem,answer\na,Why?,{written}\n") == expected
    assert load(tmp_path, "a.jsonl", json.dumps({"id": "a", "problem": "Why?", "answer": written})) == expected
    assert load(tmp_path, "a.parquet", parquet(id=["a"], problem=["Why?"], answer=[written])) == expected


@pytest.mark.parametrize(("written", "answer"), [("52", 52), ("52.0", 52), ("1e3", 1000), ("null", None)])
def test_answers_as_json_values(tmp_path: Path, written: str, answer: int | None) -> None:
    line = f'{{"id": "a", "problem": "Why?", "answer": {written}}}'
    assert load(tmp_path, "a.jsonl", line) == [Problem("a", "Why?", answer)]


@pytest.mark.parametrize("kind", [np.int8, np.uint64, np.float32, np.float64])
def test_answers_as_parquet_numbers(tmp_path: Path, kind: type[np.number]) -> None:
    columns = {"id": ["a", "b"], "problem": ["Why?", "How?"]}
    answers = [p.answer for p in load(tmp_path, "a.parquet", parquet(**columns, answer=np.array([52, 0], kind)))]
    assert answers == [52, 0]
    assert all(type(answer) is int for answer in answers)
    gap = pd.array([2**60 + 1, None], dtype="Int64")  # no float in between
    assert [p.answer for p in load(tmp_path, "a.parquet", parquet(**columns, answer=gap))] == [2**60 + 1, None]


@pytest.mark.parametrize("written", ["fifty", "5.5", "1, 000", "5_2", "٥٢", "1/2", "inf", "0x10", "--5", "9" * 5000])
def test_texts_that_are_no_integers(tmp_path: Path, written: str) -> None:
    message = refusal(tmp_path, "a.csv", f'id,problem,answer\nb,How?,7\na,Why?,"{written}"\n')
    assert message.startswith(", line 3: the answer '")
    assert "is not an integer: " in message
    assert len(message) < 200


@pytest.mark.parametrize("written", ["true", "[52]", '{"value": 52}', "5.5", "Infinity", "1e400"])
def test_json_values_that_are_no_integers(tmp_path: Path, written: str) -> None:
    line = f'{{"id": "a", "problem": "Why?", "answer": {written}}}'
    assert refusal(tmp_path, "a.jsonl", "\n" + line).startswith(", line 2: the answer ")


def test_ids_that_are_whole_numbers_become_their_digits(tmp_path: Path) -> None:
    lines = [json.dumps({"id": id_, "problem": "Why?"}) for id_ in (7, 8.0, "9.0", " x")]
    assert [problem.id for problem in load(tmp_path, "a.jsonl", "\n".join(lines))] == ["7", "8", "9.0", " x"]
    for kind in (np.float64, np.int64, np.uint8):
        loaded = load(tmp_path, "a.parquet", parquet(id=np.array([1, 2], kind), problem=["Why?", "How?"]))
        assert [problem.id for problem in loaded] == ["1", "2"]


Cases = list[tuple[bytes | str, str]]
A = "id,problem,answer\n"
CSV: Cases = [
    ("", " is empty: "),
    (A + "\n\n", " holds no problems: "),
    ("\ufeff\n", ", line 1: no column 'problem' or 'question' "),
    ("\nname,text\na,Why?\n", ", line 2: no column 'problem' or 'question' (found: 'name', 'text'): "),
    ("id,answer\na,5\n", ", line 1: no column 'problem' or 'question' (found: 'id', 'answer'): "),
    ("id,problem,question\n", ", line 1: both a column 'problem' and a column 'question': "),
    ("id,problem,id\n", ", line 1: more than one column 'id': "),
    (A + "a,Why?,1\nb,How?\n", ", line 3: 2 fields where the header has 3: "),
    (A + "a,Why, then?,1\n", ", line 2: 4 fields where the header has 3: "),
    (A + 'a,"1\n2\n3",1\n\nb,"How?,1\nc,1\n', ", line 6: this row is malformed CSV ("),
    (A + 'a,"1\n2",1\nb,"How?,1\nc,"Who?",1\n', ", line 4: this row is malformed CSV ("),
    (A + 'a,"1\n2",1\nb,"2",\nc,"3\n4",x\n', ", line 5: the answer 'x' is not an integer: "),
    (A + "a,Why?,1\n ,How?,2\n", ", line 3: the id is empty: "),
    (A + "a,,1\n", ", line 2: the problem is empty: "),
    (A + 'a,"1\n2",\nb,1,\na,3,\n', ", line 5: the id 'a' is already used in line 2: "),
    (A + "a,Why?,1\nb,H\0w?,2\n", ", line 3: a NUL byte"),
    (b"id,problem\na,caf\xe9\n", ", line 2: not UTF-8 text: "),
    (A.encode("utf-16"), ", line 1: not UTF-8 text: "),
]
J = '{"id": "a", "problem": "Why?"}\n'
JSONL: Cases = [
    (" \n\n", " is empty: "),
    (J + '\n{"id": "b", "problem": }\n', ", line 3: malformed JSON (Expecting value, column 24): "),
    (J + '["b", "How?"]', ", line 2: ['b', 'How?'] is not an object: "),
    (J + '{"id": "b", "text": "?"}', ", line 2: no column 'problem' or 'question' (found: 'id', 'text'): "),
    (J + J, ", line 2: the id 'a' is already used in line 1: "),
    ('{"id": 7, "problem": "?"}\n{"id": "7", "problem": "?"}', ", line 2: the id '7' is already used in line 1: "),
    ('{"id": null, "problem": "Why?"}', ", line 1: the id is empty: "),
    ('{"id": true, "problem": "Why?"}', ", line 1: the id True is not a string: "),
    ('{"id": 1.5, "problem": "Why?"}', ", line 1: the id 1.5 is not a string: "),
    ('{"id": "a", "problem": ["Why?"]}', ", line 1: the problem ['Why?'] is not a string: "),
    ('{"id": "a", "problem": "\\u0000"}', ", line 1: the problem contains a NUL or half a surrogate pair: "),
    ('{"id": "\\ud800", "problem": "Why?"}', ", line 1: the id contains a NUL or half a surrogate pair: "),
    ('{"id": "a", "answer": ' + "9" * 5000 + "}", ", line 1: JSON with a number too long "),
    ("[" * 200_000, ", line 1: JSON with a number too long or a nesting too deep: "),
]
JSON: Cases = [
    ("[]", " holds no problems: "),
    ("5", " is not a JSON list: "),
    (J + J, ", line 2: the id 'a' is already used in line 1: "),
    ('{"problems": [1]}', " is one object ('problems'), not a list of problems: "),
    ('{"id": ["a"], "problem": ["Why?"]}', " is one object ('id', 'problem'), not a list of problems: "),
    (f"[{J}, 5]", ", entry 2: 5 is not an object: "),
]
PARQUET: Cases = [
    ("", " is empty: "),
    ("id,problem\na,Why?\n", " is not a readable parquet file ("),
    (parquet(id=[], problem=[]), " holds no problems: "),
    (parquet(id=["a"], text=["?"]), ", schema: no column 'problem' or 'question' (found: 'id', 'text'): "),
    (parquet(id=["a", "a"], problem=["?", "?"]), ", row 2: the id 'a' is already used in row 1: "),
    (parquet(id=["a", None], problem=["?", "?"]), ", row 2: the id is empty: "),
    (parquet(id=["a"], problem=[5]), ", row 1: the problem 5 is not a string: "),
    (parquet(id=["a"], problem=["?"], answer=[[1]]), ", schema: the column 'answer' contains list"),
    (parquet(id=[pd.Timestamp(0)], problem=["?"]), ", schema: the column 'id' contains timestamp"),
]
OTHER: Cases = [(A, " is of an unknown kind: give a file that ends in one of .csv, .tsv, .jsonl, .ndjson")]
REFUSALS = {"a.csv": CSV, "a.jsonl": JSONL, "a.json": JSON, "a.parquet": PARQUET, "a": OTHER, "a.gguf": OTHER}


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in REFUSALS.items() for case in cases])
def test_refusals_say_what_is_wrong_and_where(tmp_path: Path, name: str, case: tuple[bytes | str, str]) -> None:
    content, message = case
    assert refusal(tmp_path, name, content).startswith(message)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    faults = {"none.csv": "does not exist", "none": "does not exist", "folder.csv": "is a directory"}
    for name, fault in {**faults, "file/a.csv": "cannot be read (Not a directory)"}.items():
        with pytest.raises(InputError) as caught:
            load_problems(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name} {fault}: ")


def test_a_long_text_is_no_error_and_no_limit_sinks(tmp_path: Path) -> None:
    text = "x" * 500_000
    assert load(tmp_path, "long.csv", f"id,problem\na,{text}\n") == [Problem("a", text)]
    assert load(tmp_path, "short.csv", "id,problem\na,x\n") == [Problem("a", "x")]
    assert csv.field_size_limit() >= 131_072


@given(PROBLEMS)
@FILES
def test_json_lines_and_parquet_keep_every_text(folder: Path, problems: list[Problem]) -> None:
    answers = ["" if problem.answer is None else str(problem.answer) for problem in problems]
    rows = [{"id": p.id, "problem": p.text, "answer": answer} for p, answer in zip(problems, answers, strict=True)]
    for ascii_only in (True, False):
        lines = "\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
        assert load(folder, "a.jsonl", lines) == problems
    assert load(folder, "a.parquet", stored(pd.DataFrame(rows))) == problems


def loads_or_refuses(folder: Path, name: str, content: bytes) -> None:
    """Fails for any other exception and for problems that are not usable."""
    try:
        problems = load(folder, name, content)
    except InputError as error:
        assert str(error).startswith(str(folder / name))
        assert len(str(error).splitlines()) == 1
    else:
        assert problems
        assert len({problem.id for problem in problems}) == len(problems)
        assert all(problem.id.strip() and problem.text.strip() for problem in problems)


NUMBERS = st.integers() | st.floats()
JSON_VALUES = st.none() | st.booleans() | NUMBERS | st.text(max_size=5) | st.lists(NUMBERS, max_size=1)
JSON_ROWS = st.lists(st.fixed_dictionaries(dict.fromkeys(("id", "problem", "answer"), JSON_VALUES)), max_size=3)
CSV_ROWS = st.text('",\r\n\0 a1.-\u2028\ufeff', max_size=60)
STORED = stored(TABLE)


@given(content=st.binary(), csv_rows=CSV_ROWS, json_rows=JSON_ROWS)
@FILES
def test_anything_loads_or_is_refused(folder: Path, content: bytes, csv_rows: str, json_rows: list[object]) -> None:
    for kind in ("csv", "jsonl", "json", "parquet"):
        loads_or_refuses(folder, f"any.{kind}", content)
    loads_or_refuses(folder, "rows.csv", f"{A}{csv_rows}".encode())
    loads_or_refuses(folder, "rows.json", json.dumps(json_rows).encode())


@given(st.integers(0, len(STORED) - 1), st.binary(max_size=4))
@settings(deadline=None, derandomize=True)  # the same damage each time: surviving all of it is up to pyarrow
def test_damaged_parquet_loads_or_is_refused(folder: Path, position: int, damage: bytes) -> None:
    loads_or_refuses(folder, "cut.parquet", STORED[:position])
    loads_or_refuses(folder, "damaged.parquet", STORED[:position] + damage + STORED[position + len(damage) :])


@pytest.mark.process
def test_importing_it_is_quick() -> None:
    slow = "{'pandas', 'pyarrow', 'numpy'}"
    code = f"import sys, agent.problems.reader as p; p.starter_problems(); print(*{slow} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == ""
