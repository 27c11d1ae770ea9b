"""Logs of Inspect become recordings: small files in the formats that it writes."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import InputError
from tests.support.tiers.cases import examples
from tests.tools.convert.test_convert import complaint, converted
from tools.shared.samples.conversion import merged
from tools.shared.samples.drawn import ReadingRules
from tools.shared.samples.sources import read_source

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


def test_a_scorer_that_reads_the_whole_reply_leaves_its_last_box(tmp_path: Path) -> None:
    texts = (r"First \boxed{3}.  Then \boxed{X}", "it is 8, I think", "8", r"the answer is \boxed{9}")
    reads = (r" first \boxed{3}. then \boxed{x}", "it is 8, I think", "8", "9 or so")
    samples = [
        inspected("p", epoch, read, "I", output={"choices": [{"message": {"content": said(text)}}]})
        for said in (lambda text: text, lambda text: [{"type": "text", "text": text}])
        for epoch, (text, read) in enumerate(zip(texts, reads, strict=True))
    ]
    rows = converted(tmp_path / "out", archive(tmp_path / "log.eval", *samples))
    assert [sample["answer"] for sample in rows["p"]["samples"]] == ["X", None, 8, "9 or so"] * 2


def test_a_box_in_the_reasoning_is_none_of_a_scorer_that_reads_another_answer(tmp_path: Path) -> None:
    content = [{"type": "reasoning", "reasoning": r"\boxed{5}?"}, {"type": "text", "text": "It is six."}]
    output = {"choices": [{"message": {"content": content}}]}
    samples = [inspected("p", 1, read, "I", output=output) for read in ("6", "It is six.", None)]
    rows = converted(tmp_path / "out", archive(tmp_path / "log.eval", *samples))
    assert [sample["answer"] for sample in rows["p"]["samples"]] == [6, 5, 5]


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
        ({"output": {"choices": {"a": 1}}}, "'output.choices' is {'a': 1}"),
        ({"output": {"choices": [7]}}, "'output.choices[0]' is 7"),
        ({"output": {"choices": [{"message": ["a"]}]}}, "'output.choices[0].message' is ['a']"),
        ({"output": {"choices": [{"message": {"content": ["a"]}}]}}, "'output.choices[0].message.content[0]' is 'a'"),
        ({"model_usage": {}, "output": {"choices": []}}, "the number of generated tokens is not in the file"),
    ],
)
def test_what_an_inspect_sample_lacks_is_named(
    changes: dict[str, Any], field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = archive(tmp_path / "log.eval", inspected("p", 1, "7", "C"), inspected("p", 2, "7", "C", **changes))
    told = complaint(capsys, path, "--out", tmp_path / "out")
    assert f"{path}, samples/1_epoch_1.json" in told and field in told


FIELDS = ("id", "target", "output", "scores", "model_usage", "error")
LEAVES: st.SearchStrategy[Any] = st.sampled_from([None, True, 0, 7, 0.5, "7", r"\boxed{7}", "C", "max_tokens", [], {}])
INNER = (
    "choices",
    "message",
    "content",
    "text",
    "stop_reason",
    "usage",
    "output_tokens",
    "value",
    "answer",
    "openai/qwq",
)
PARTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, min_size=1, max_size=2) | st.dictionaries(st.sampled_from(INNER), inner, min_size=1),
    max_leaves=6,
)


@examples(60)
@given(changes=st.dictionaries(st.sampled_from(FIELDS), PARTS, max_size=3), choice=PARTS, message=PARTS)
def test_any_inspect_log_becomes_a_recording_or_one_sentence(
    changes: dict[str, Any], choice: object, message: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    samples = [
        inspected("p", 1, "7", "C", **changes),
        inspected("p", 2, "7", "C", output={"choices": [choice]}),
        inspected("p", 3, "7", "I", output={"choices": [{"message": message}]}),
    ]
    whole, packed = folder / "log.json", archive(folder / "log.eval", *samples)
    whole.write_text(json.dumps({**HEADER, "samples": samples}), encoding="utf-8")
    for path in (whole, packed):
        try:
            (conversion,) = merged([read_source(path, ReadingRules(len))], None)
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error)
        else:
            assert conversion.lines()
