"""Small question files of our own, in the formats in which the benchmarks are published."""

from __future__ import annotations

import base64
import csv
import json
import pickle
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

AIME = [
    {"id": 60, "problem": "What is $400+4$?", "solution": "Add.", "answer": "404", "url": "", "year": "2024"},
    {
        "id": 61,
        "problem": "How many days has a week?",
        "solution": "Count.",
        "answer": "007",
        "url": "",
        "year": "2024",
    },
]
AIME_2025: list[dict[str, object]] = [
    {"problem": "What is $30 \\cdot 3$ degrees, in degrees?", "answer": "90^\\circ", "id": "0"},
    {"problem": "What is $2^9$?", "answer": 512, "id": "1"},
]
AIME_2026: list[dict[str, object]] = [{"problem_idx": 1, "problem": "What is $9+9$?", "answer": 18, "type": ["A"]}]
MATHARENA: list[dict[str, object]] = [
    {"problem_idx": 1, "problem": "What is $2^5$?", "answer": "32", "problem_type": ["Algebra"]},
    {"problem_idx": 2, "problem": "What is a third?", "answer": "\\frac{1}{3}", "problem_type": ["Algebra"]},
    {"problem_idx": 3, "problem": "What is $10^4+1$?", "answer": "$10001$", "problem_type": ["Number Theory"]},
    {"problem_idx": 4, "problem": "What is $2-5$?", "answer": "-3", "problem_type": ["Algebra"]},
]
OLYMMATH: list[dict[str, object]] = [
    {"problem": "What is $7+7$?", "answer": "14", "subject": "Algebra", "unique_id": "OlymMATH-HARD-0-EN"},
    {
        "problem": "What is $\\sqrt 2$?",
        "answer": "$\\sqrt{2}$",
        "subject": "Algebra",
        "unique_id": "OlymMATH-HARD-1-EN",
    },
]
MATH: list[dict[str, object]] = [
    {
        "problem": "What is half of one third?",
        "solution": "Multiply.",
        "answer": "\\frac{1}{6}",
        "subject": "Prealgebra",
        "level": 1,
        "unique_id": "test/own/1.json",
    },
    {
        "problem": "Give the point one right of and two above the origin.",
        "solution": "Look.",
        "answer": "(1, 2)",
        "subject": "Geometry",
        "level": 1,
        "unique_id": "test/own/2.json",
    },
]
GPQA_COLUMNS = (
    "Question",
    "Correct Answer",
    "Incorrect Answer 1",
    "Incorrect Answer 2",
    "Incorrect Answer 3",
    "Record ID",
)
GPQA = [
    dict(zip(GPQA_COLUMNS, ("Which is a noble gas?", "Neon", "Iron", "Water", "Salt", "rec1"), strict=True)),
    dict(zip(GPQA_COLUMNS, ('Which "boils"?\nAt 373 K.', "Water", "Iron", "Salt, dry", "Sand", "rec2"), strict=True)),
]
AIMO = "id,problem,answer\na,What is $999+2$ modulo 1000?,1\nb,What is $3 - 5$ modulo 1000?,998\n"

SUM_TESTS = [{"input": "2\n1 2\n", "output": "3\n", "testtype": "stdin"}]
SUM_HIDDEN = [{"input": "3\n4 5 6\n", "output": "15\n", "testtype": "stdin"}]
CALL_TESTS = [{"input": "[3, 1, 2]\n1", "output": "[1, 2]", "testtype": "functional"}]
CALL_HIDDEN = [{"input": "[5]\n3", "output": "[]", "testtype": "functional"}]


def packed(tests: object) -> str:
    """Hidden tests as they are published."""
    return packed_bytes(pickle.dumps(json.dumps(tests)))


def packed_bytes(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


def program_row(id_: str, shown: object, hidden: str, **changes: str) -> dict[str, str]:
    return {
        "question_title": id_,
        "question_content": "Add the numbers of the second line.",
        "question_id": id_,
        "contest_date": "2026-01-01T00:00:00",
        "starter_code": "",
        "public_test_cases": json.dumps(shown),
        "private_test_cases": hidden,
        "metadata": "{}",
        **changes,
    }


PROGRAMS = [
    program_row("sum", SUM_TESTS, packed(SUM_HIDDEN)),
    program_row(
        "drop",
        CALL_TESTS,
        packed(CALL_HIDDEN),
        question_content="Sort the list and keep what is not above the limit plus one.",
        starter_code="class Solution:\n    def keep(self, values: List[int], limit: int) -> List[int]:\n        ",
        metadata='{"func_name": "keep"}',
    ),
]
SUM_PROGRAM = "```python\ninput()\nprint(sum(map(int, input().split())))\n```"
KEEP_PROGRAM = (
    "```python\nclass Solution:\n    def keep(self, values: List[int], limit: int) -> List[int]:\n"
    "        return tuple(v for v in sorted(values) if v <= limit + 1)\n```"
)


def write_jsonl(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_set(folder: Path, name: str) -> Path:
    """The file of a set, by its name, in the format in which it is published."""
    import pandas as pd

    if name == "aime2024":
        path = folder / "train-00000-of-00001.parquet"
        pd.DataFrame(AIME).to_parquet(path)
        return path
    if name == "gpqa-diamond":
        return write_csv(folder / "gpqa_diamond.csv", GPQA)
    if name.endswith("-reference"):
        (folder / "reference.csv").write_text(AIMO)
        return folder / "reference.csv"
    if name == "aime2026" or name.startswith(("hmmt", "apex")):
        path = folder / "train-00000-of-00001.parquet"
        pd.DataFrame(AIME_2026 if name == "aime2026" else MATHARENA).to_parquet(path)
        return path
    rows: Mapping[str, Sequence[Mapping[str, object]]] = {
        "aime2025": AIME_2025,
        "math500": MATH,
        "olymmath-easy": OLYMMATH,
        "olymmath-hard": OLYMMATH,
        "livecodebench": PROGRAMS,
    }
    return write_jsonl(folder / f"{name}.jsonl", rows[name])
