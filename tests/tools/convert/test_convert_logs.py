"""Logs of other evaluation programs become recordings: small files in the formats that these programs write."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from pyarrow import parquet

from tests.tools.convert.test_convert import complaint, converted, written

HEADER = {"version": 2, "status": "success", "eval": {"task": "aime", "model": "openai/qwq"}}


def inspected(id_: str | int, epoch: int, answer: str | None, value: object, **changes: Any) -> dict[str, Any]:
    """A sample as Inspect writes one: an answer, a grade, and usage of the model and of a grader."""
    message = {"role": "assistant", "content": f"so \\boxed{{{answer}}}"}
    usage = {"input_tokens": 9, "output_tokens": 500 + epoch, "total_tokens": 509 + epoch}
    plain = {
        "id": id_,
        "epoch": epoch,
        "input": "?",
        "target": "7",
        "output": {"model": "qwq", "choices": [{"message": message, "stop_reason": "stop"}], "usage": usage},
        "scores": {"match": {"value": value, "answer": answer}},
        "model_usage": {"openai/grader": {"output_tokens": 3}, "openai/qwq": {"output_tokens": 900 + epoch}},
    }
    return {**plain, **changes}


def archive(path: Path, *samples: object, header: str = "header.json", how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as file:
        file.writestr("_journal/start.json" if header != "header.json" else header, json.dumps(HEADER))
        for number, sample in enumerate(samples):
            file.writestr(f"samples/{number}_epoch_1.json", json.dumps(sample))
        file.writestr("summaries.json", "[]")
    return path


EPOCHS = (inspected("p", 1, "7", "C"), inspected("p", 2, "8", "I"), inspected(2, 1, "7.0", 1.0))


def test_an_inspect_archive_and_its_json_are_the_same_recording(tmp_path: Path) -> None:
    log = {**HEADER, "samples": list(EPOCHS)}
    (tmp_path / "log.json").write_text(json.dumps(log), encoding="utf-8")
    rows = converted(tmp_path / "a", archive(tmp_path / "log.eval", *EPOCHS))
    assert rows == converted(tmp_path / "b", tmp_path / "log.json")
    assert rows["p"]["samples"] == [{"answer": 7, "tokens": 901}, {"answer": 8, "tokens": 902}]
    assert rows["2"]["answer"] == 7 and rows["p"]["model"] == "openai/qwq"


def test_an_archive_packed_with_zstandard_is_read(tmp_path: Path) -> None:
    plain = archive(tmp_path / "plain.eval", *EPOCHS, how=zipfile.ZIP_STORED)
    packed = zstandard(plain, tmp_path / "packed.eval")
    assert converted(tmp_path / "a", plain) == converted(tmp_path / "b", packed)


def test_a_damaged_archive_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = zstandard(archive(tmp_path / "plain.eval", *EPOCHS, how=zipfile.ZIP_STORED), tmp_path / "packed.eval")
    whole = packed.read_bytes()
    for place in (60, 80, 120):
        packed.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        complaint(capsys, packed, "--out", tmp_path / "out")
    packed.write_bytes(whole[: len(whole) // 2])
    assert "is no Inspect log" in complaint(capsys, packed, "--out", tmp_path / "out")


def zstandard(plain: Path, packed: Path) -> Path:
    """Repack an archive as Inspect does: each member compressed with Zstandard, which is method 93."""
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as target:
        for member in source.infolist():
            target.writestr(member.filename, pa.Codec("zstd").compress(source.read(member), asbytes=True))
    data = bytearray(packed.read_bytes())
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed) as target:
        at = target.start_dir
        for before, after in zip(source.infolist(), target.infolist(), strict=True):
            for place, method in ((after.header_offset, 8), (at, 10)):  # its own header, and the directory's entry
                data[place + method : place + method + 2] = (93).to_bytes(2, "little")
                data[place + method + 6 : place + method + 10] = before.CRC.to_bytes(4, "little")
                data[place + method + 14 : place + method + 18] = before.file_size.to_bytes(4, "little")
            at += 46 + len(after.filename)
    packed.write_bytes(bytes(data))
    return packed


def test_an_interrupted_inspect_run_is_converted_as_far_as_it_got(tmp_path: Path) -> None:
    rows = converted(tmp_path / "out", archive(tmp_path / "log.eval", EPOCHS[0], header="none"))
    assert list(rows) == ["p"]


def test_the_grade_decides_and_contradictions_have_no_vote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = (
        inspected("p", 1, "seven", "C"),
        inspected("p", 2, "7", "I"),
        inspected(
            "p", 3, None, "I", output={"choices": [{"message": {"content": "none"}, "stop_reason": "max_tokens"}]}
        ),
        inspected("p", 4, "7", "C", error={"message": "the sandbox died"}),
        inspected("p", 5, "9", "P"),
        inspected("p", 6, "7", None, scores=None),
    )
    rows = converted(tmp_path / "out", archive(tmp_path / "log.eval", *samples))
    answers = [sample["answer"] for sample in rows["p"]["samples"]]
    assert answers == [7, None, None, 9, 7]
    assert rows["p"]["samples"][2]["truncated"] is True
    told = capsys.readouterr().err
    assert "1 cut off" in told and "1 without a vote" in told and "1 left out" in told


def test_several_scorers_need_a_choice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = {"a": {"value": "C", "answer": "x"}, "b": {"value": "I", "answer": "5"}}
    path = archive(tmp_path / "log.eval", inspected("p", 1, None, "C", scores=scores))
    assert "name one of a, b with --graded-by" in complaint(capsys, path, "--out", tmp_path / "out")
    assert "has no scorer 'c'" in complaint(capsys, path, "--graded-by", "c", "--out", tmp_path / "out")
    assert converted(tmp_path / "out", path, "--graded-by", "b")["p"]["samples"][0]["answer"] == 5


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"target": None}, "'target' is missing"),
        ({"id": None}, "'id' is missing"),
        ({"output": None}, "'output' is missing"),
        ({"output": "7"}, "'output' is '7'"),
        ({"target": []}, "'target' is []"),
        ({"scores": {"match": 1}}, "'scores.match' is 1"),
        ({"model_usage": {}, "output": {"choices": []}}, "the number of generated tokens is not in the file"),
    ],
)
def test_what_an_inspect_sample_lacks_is_named(
    changes: dict[str, Any], field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = archive(tmp_path / "log.eval", inspected("p", 1, "7", "C"), inspected("p", 2, "7", "C", **changes))
    told = complaint(capsys, path, "--out", tmp_path / "out")
    assert f"{path}, samples/1_epoch_1.json" in told and field in told


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
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["lighteval-aime24-0.QwQ-32B.jsonl"]
    as_json = written(tmp_path / "details.json", json.dumps(list(rows)))
    assert [row["samples"] for row in converted(tmp_path / "json", as_json).values()] == [
        row["samples"] for row in found.values()
    ], path


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
    path = written(tmp_path / "samples_a.jsonl", harness(0, "7", "7"))
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    told = complaint(capsys, path, "--tokenizer", tmp_path, "--out", tmp_path / "out")
    assert "tokenizers" in told or "cannot be loaded" in told
