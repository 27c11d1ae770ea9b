"""Files of lm-evaluation-harness and lighteval become recordings: small ones in the formats that they write."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from pyarrow import parquet

from tests.tools.convert.test_convert import complaint, converted, written
from tools.convert.command import main


def harness(doc_id: int, target: str, *replies: str, **changes: Any) -> dict[str, Any]:
    """A line as lm-evaluation-harness writes one."""
    plain = {
        "doc_id": doc_id,
        "doc": {"question": "?"},
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": "?"}},
        "resps": [list(replies)],
        "filtered_resps": list(replies[:1]),
        "filter": "none",
        "metrics": ["exact_match"],
        "exact_match": 0.0,
    }
    return {**plain, **changes}


@pytest.fixture
def by_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.convert.command._counter", lambda name: lambda text: len(text.split()))


@pytest.mark.usefixtures("by_words")
def test_the_harness_filters_and_metrics_are_followed(tmp_path: Path) -> None:
    (tmp_path / "Qwen__QwQ-32B").mkdir()
    strict = {"filter": "strict"}
    rows = [
        harness(0, "First 3.\n#### 18", "the answer is 18", filtered_resps=["18"], exact_match=1.0, **strict),
        harness(1, "#### 5", "it is 5, I think", filtered_resps=["[invalid]"], **strict),
        harness(1, "#### 5", "it is 5, I think", filtered_resps=["5"], exact_match=1.0, filter="flexible"),
        harness(2, r"so \boxed{\frac12}", r"is \boxed{0.5}", exact_match=1.0, **strict),
        harness(3, "9", r"\boxed{9} or \boxed{8}", **strict),
    ]
    path = written(tmp_path / "Qwen__QwQ-32B" / "samples_gsm8k_2026-11-22T15-31-21.123.jsonl", *rows)
    found = converted(tmp_path / "out", path, "--tokenizer", "words", "--graded-by", "strict")
    told = {name: (row["answer"], row["samples"][0]["answer"]) for name, row in found.items()}
    assert told == {"0": (18, 18), "1": (5, None), "2": (r"\frac12", r"\frac12"), "3": (9, 8)}
    assert found["0"]["samples"][0]["tokens"] == 4 and found["0"]["model"] == "Qwen__QwQ-32B"
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["gsm8k.Qwen__QwQ-32B.jsonl"]


@pytest.mark.usefixtures("by_words")
def test_repeats_are_samples_and_their_boxes_decide(tmp_path: Path) -> None:
    row = harness(0, "7", r"\boxed{7}", r"\boxed{8}", "no box", filtered_resps=[r"\boxed{7}"], exact_match=1.0)
    found = converted(tmp_path / "out", written(tmp_path / "samples_aime.jsonl", row), "--tokenizer", "words")
    assert [sample["answer"] for sample in found["0"]["samples"]] == [7, 8, None]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"resps": [["-1.5", "False"], ["-0.1", "True"]]}, "'resps' holds no generated texts"),
        ({"resps": [["-1.5", "False"]]}, "'resps' holds no generated texts"),
        ({"resps": []}, "'resps' is []"),
        ({"target": None}, "'target' is missing"),
        ({"doc_id": None}, "'doc_id' is missing"),
        ({}, "the number of generated tokens is not in the file"),
    ],
)
def test_what_a_harness_line_lacks_is_named(
    changes: dict[str, Any], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "samples_a.jsonl", "", {**harness(0, "7", "7"), **changes})
    error = complaint(capsys, path, "--out", tmp_path / "out")
    assert f"{path}, line 2" in error and told in error


def details(gold: str, *texts: str, tokens: object = None, **changes: Any) -> dict[str, Any]:
    """A row as lighteval writes one since 0.10."""
    counts = [[1] * (10 + number) for number, _ in enumerate(texts)] if tokens is None else tokens
    doc = {"query": "?", "choices": [gold], "gold_index": 0, "id": "", "task_name": "aime24"}
    response = {"text": list(texts), "output_tokens": counts, "reasonings": [], "truncated_tokens_count": 0}
    return {"doc": doc, "model_response": response, "metric": {"pass@k:k=1": 0.0}, **changes}


def saved(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def test_details_of_lighteval_are_converted(tmp_path: Path) -> None:
    date = "2026-11-22T15-31-21.5"
    rows = (
        details("204", r"\boxed{204}", r"\boxed{0204}", "none"),
        details("1/2", r"\boxed{\frac{1}{2}}", metric={"pass@k:k=1": 1.0}),
    )
    path = saved(tmp_path / "details" / "Qwen" / "QwQ-32B" / date / f"details_lighteval|aime24|0_{date}.parquet", *rows)
    found = converted(tmp_path / "out", tmp_path / "details")
    assert found["0"]["samples"] == [
        {"answer": 204, "tokens": 10},
        {"answer": 204, "tokens": 11},
        {"answer": None, "tokens": 12},
    ]
    assert found["1"]["answer"] == found["1"]["samples"][0]["answer"] == "1/2"
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["lighteval-aime24-0.Qwen-QwQ-32B.jsonl"]
    as_json = written(tmp_path / "details.json", json.dumps(list(rows)))
    assert [row["samples"] for row in converted(tmp_path / "json", as_json).values()] == [
        row["samples"] for row in found.values()
    ], path


def test_models_of_one_name_from_two_organizations_stay_apart(tmp_path: Path) -> None:
    for organization in ("one", "two"):
        folder = tmp_path / "details" / organization / "M" / "2026-11-22T15-31-21.5"
        folder.parent.mkdir(parents=True)
        saved(folder / "details_aime_2026-11-22T15-31-21.5.parquet", details("204", r"\boxed{204}"))
    assert main([str(tmp_path / "details"), "--out", str(tmp_path / "out")]) == 0
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["aime.one-M.jsonl", "aime.two-M.jsonl"]


def test_details_of_earlier_versions_are_converted(tmp_path: Path) -> None:
    row = {"gold": ["204"], "predictions": [r"\boxed{204}", "x"], "cont_tokens": [[1, 2], [3]], "metrics": {"em": 0.5}}
    found = converted(tmp_path / "out", saved(tmp_path / "m" / "d" / "details_aime_2026-11-22T15-31-21.parquet", row))
    assert found["0"]["samples"] == [{"answer": 204, "tokens": 2}, {"answer": None, "tokens": 1}]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (details("7", "x", doc={"choices": ["7"], "gold_index": 3}), "'doc.gold_index' is 3"),
        (details("7", "x", doc={"choices": [], "gold_index": 0}), "'doc.choices' is []"),
        (details("7", doc={"choices": ["7"], "gold_index": 0}), "'model_response.text' is []"),
        (details("7", "x", tokens=[]), "the number of generated tokens is not in the file"),
        ({"predictions": ["x"], "cont_tokens": [[1]]}, "'gold' is missing"),
    ],
)
def test_what_a_row_of_details_lacks_is_named(
    row: dict[str, Any], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "details.json", json.dumps([row]))
    error = complaint(capsys, path, "--out", tmp_path / "out")
    assert f"{path}, entry 1" in error and told in error


def test_a_tokenizer_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tokenizers")
    path = written(tmp_path / "samples_a.jsonl", harness(0, "7", "7"))
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    told = complaint(capsys, path, "--tokenizer", tmp_path, "--out", tmp_path / "out")
    assert f"the tokenizer {tmp_path} cannot be loaded" in told


def test_what_counts_tokens_has_to_be_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    path = written(tmp_path / "samples_a.jsonl", harness(0, "7", "7"))
    told = complaint(capsys, path, "--tokenizer", tmp_path, "--out", tmp_path / "out")
    assert "--tokenizer needs tokenizers: pip install 'aimo-agent[lab]'" in told
