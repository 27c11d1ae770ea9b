"""One's own lines become recordings, and whatever is wrong with them is named by file, line and field."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.recorded import RecordedLane
from agent.errors import InputError
from tests.support.tiers.cases import examples
from tools.convert.command import main
from tools.replay.command import main as replay
from tools.replay.recordings import load_recordings
from tools.shared.samples.conversion import merged
from tools.shared.samples.drawn import ReadingRules
from tools.shared.samples.sources import read_source


def written(path: Path, *rows: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def converted(out: Path, *argv: str | Path) -> dict[str, dict[str, Any]]:
    """The recording that the command writes, by problem."""
    assert main([*map(str, argv), "--out", str(out)]) == 0
    (path,) = out.glob("*.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {row["problem_id"]: row for row in rows}


def complaint(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> str:
    assert main([str(arg) for arg in argv]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and "Traceback" not in err and err.count("\n") == 1
    return err


def votes(lane: RecordedLane) -> str:
    return lane.turns[0].text


def test_pairs_objects_and_single_samples_are_the_same_recording(tmp_path: Path) -> None:
    pairs = {"id": "a", "gold": 204, "samples": [["204", 900], [7, 1200], [None, 30]]}
    objects: dict[str, Any] = {
        "id": "a",
        "gold": "204",
        "answers": [{"answer": 204.0, "tokens": 900}, {"answer": "$7$", "tokens": 1200}, {"tokens": 30}],
    }
    single = [{"id": "a", "gold": "0204", **sample} for sample in objects["answers"]]
    recordings = [
        converted(tmp_path / str(number), written(tmp_path / "own.jsonl", *rows))["a"]
        for number, rows in enumerate(([pairs], [objects], single))
    ]
    assert recordings[0] == recordings[1] == recordings[2]
    assert recordings[0]["answer"] == 204 and recordings[0]["model"] == "own"
    assert recordings[0]["samples"] == [
        {"answer": 204, "tokens": 900},
        {"answer": 7, "tokens": 1200},
        {"answer": None, "tokens": 30},
    ]


def test_a_converted_recording_is_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"id": n, "gold": r"\frac{1}{2}" if n else n, "samples": [[r"\frac{1}{2}" if n else n, 500 + n]] * 4}
        for n in range(3)
    ]
    assert main([str(written(tmp_path / "own.jsonl", *rows)), "--out", str(tmp_path / "traces"), "--model", "m"]) == 0
    assert "3 problems, 4 samples each" in capsys.readouterr().err
    argv = [str(tmp_path / "traces"), "--samples", "4", "--problems", "3", "--repeats", "2", "--processes", "1"]
    assert replay([*argv, "--json", "--no-bounds", "--policy", "wait-for-all"]) == 0
    assert json.loads(capsys.readouterr().out)["policies"]["wait-for-all"]["mean_correct"] == 3


def test_the_command_that_replays_can_be_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = written(tmp_path / "mine.jsonl", {"id": "a", "gold": 4, "answer": 4, "tokens": 90})
    out = tmp_path / "my traces"
    converted(out, lines)
    command = capsys.readouterr().err.split("replay with: ")[1]
    assert shlex.split(command) == ["python", "-m", "tools.replay", str(out), "--samples", "1"]


def test_a_sample_that_was_cut_off_has_no_vote(tmp_path: Path) -> None:
    row = {"id": "a", "gold": 5, "samples": [{"answer": 5, "tokens": 9, "truncated": True}, [5, 9]]}
    converted(tmp_path / "out", written(tmp_path / "own.jsonl", row))
    cut, whole = load_recordings([tmp_path / "out"])[0].problems[0].lanes
    assert "boxed" not in votes(cut) and "boxed{5}" in votes(whole)


GOOD = {"id": "a", "gold": 5, "samples": [[5, 9]]}


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"gold": 5, "samples": [[5, 9]]}, "'id' is missing"),
        ({"id": "a", "samples": [[5, 9]]}, "'gold' is missing"),
        ({"id": "a", "gold": True, "samples": [[5, 9]]}, "'gold' is True"),
        ({"id": "a", "gold": " ", "samples": [[5, 9]]}, "'gold' is ' '"),
        ({"id": ["a"], "gold": 5, "samples": [[5, 9]]}, "'id' is ['a']"),
        ({"id": "a", "gold": 5, "samples": []}, "'samples' is []"),
        ({"id": "a", "gold": 5, "samples": {"5": 9}}, "'samples' is {'5': 9}"),
        ({"id": "a", "gold": 5, "samples": [[5]]}, "'samples[0]' is no pair: give"),
        ({"id": "a", "gold": 5, "samples": [[5, 9], 7]}, "'samples[1]' is neither"),
        ({"id": "a", "gold": 5, "samples": [[5, 0]]}, "'samples[0].tokens' is 0"),
        ({"id": "a", "gold": 5, "samples": [[5, 1.5]]}, "'samples[0].tokens' is 1.5"),
        ({"id": "a", "gold": 5, "samples": [{"answer": 5}]}, "'samples[0].tokens' is missing"),
        ({"id": "a", "gold": 5, "answers": [{"answer": [5], "tokens": 9}]}, "'answers[0].answer' is [5]"),
        ({"id": "a", "gold": 5, "samples": [{"tokens": 9, "truncated": "no"}]}, "'samples[0].truncated' is 'no'"),
        ({"id": "a", "gold": 5, "answer": 5}, "'tokens' is missing"),
        ('{"id": "a", "gold": 5, "samples": [[5, NaN]]}', "'samples[0].tokens' is nan"),
    ],
)
def test_what_is_wrong_is_named_by_file_line_and_field(
    row: object, field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "own.jsonl", GOOD, "", row)
    told = complaint(capsys, path, "--out", tmp_path / "out")
    assert f"{path}, line 3, field {field}" in told and ": give " in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "row",
    [
        {"id": "a", "gold": 5, "answr": 5, "tokens": 9},
        {"id": "a", "gold": 5, "samples": [{"Answer": 5, "tokens": 9}]},
        {"id": "a", "gold": 5, "samples": [{"answer": 5, "tokens": 9, "truncate": True}]},
    ],
)
def test_a_misspelled_field_is_no_missing_one(row: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "own.jsonl", GOOD, row)
    assert f"{path}, line 2, field '" in (told := complaint(capsys, path, "--out", tmp_path / "out"))
    assert " is unknown (did you mean " in told
    assert not (tmp_path / "out").exists()


def test_fields_that_are_like_none_and_samples_that_have_none_are_taken(tmp_path: Path) -> None:
    row = {"id": "a", "gold": 5, "topic": "algebra", "samples": [{"tokens": 9}, {"tokens": 9, "truncated": True}]}
    assert len(converted(tmp_path / "out", written(tmp_path / "own.jsonl", row))["a"]["samples"]) == 2


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("own.jsonl", '{"id": 1', "line 1 is malformed JSON"),
        ("own.jsonl", "[1]", "line 1 is no object"),
        ("own.jsonl", "\n", "holds no samples"),
        ("own.json", "{}", "neither an Inspect log nor a list"),
        ("own.json", "[{", "malformed JSON"),
        ("own.txt", "", "is of an unknown kind"),
        ("log.eval", "no archive", "is no Inspect log"),
        ("details_a.parquet", "no parquet", "is no parquet file"),
        ("trace.jsonl", '{"problem_id": "a", "answer": 1, "samples": []}', "is a recording already"),
    ],
)
def test_files_that_are_none_are_refused_in_one_line(
    name: str, content: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert told in complaint(capsys, tmp_path / name, "--out", tmp_path / "out")


def test_missing_files_and_empty_folders_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert all("is not there" in complaint(capsys, tmp_path / name) for name in ("none.jsonl", "none"))
    (tmp_path / "empty").mkdir()
    assert "holds none of" in complaint(capsys, tmp_path / "empty")
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in complaint(capsys, tmp_path / "bytes.jsonl")


def test_a_number_of_too_many_digits_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log.json").write_text(f"[{'7' * 5_000}]", encoding="utf-8")
    assert "log.json is malformed JSON" in complaint(capsys, tmp_path / "log.json", "--out", tmp_path / "out")


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "own.jsonl", GOOD)
    assert main([str(path), "--out", str(tmp_path)]) == 0
    before = (tmp_path / "own.own.jsonl").read_bytes()
    capsys.readouterr()
    assert "is there already" in complaint(capsys, path, "--out", tmp_path)
    assert (tmp_path / "own.own.jsonl").read_bytes() == before


def test_two_recordings_of_one_name_are_refused_before_one_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = [{**GOOD, "model": model} for model in ("a/b", "a-b")]
    paths = [written(tmp_path / name / "own.jsonl", task) for name, task in zip(("x", "y"), tasks, strict=True)]
    told = complaint(capsys, *paths, "--out", tmp_path / "out")
    assert f"{tmp_path}/out/own.a-b.jsonl would hold both own of a/b and own of a-b" in told
    assert not (tmp_path / "out").exists()


def test_lines_of_several_models_are_no_samples_of_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "own.jsonl", {**GOOD, "model": "a"}, {**GOOD, "id": "b"}, {**GOOD, "model": "b"})
    told = complaint(capsys, path, "--out", tmp_path / "out")
    assert f"{path}, line 3, field 'model' is 'b', and 'a' above: give each model a file of its own" in told
    assert not (tmp_path / "out").exists()


def test_files_of_one_task_and_model_are_joined_and_a_file_counts_once(tmp_path: Path) -> None:
    first, second = (written(tmp_path / place / "own.jsonl", GOOD) for place in (".", "again"))
    rows = converted(tmp_path / "out", first, first, second)
    assert len(rows["a"]["samples"]) == 2


def test_two_truths_of_one_problem_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "own.jsonl", GOOD, {**GOOD, "gold": 6})
    told = complaint(capsys, path, "--out", tmp_path / "out")
    assert "line 2" in told and "'6' here and '5'" in told and "line 1" in told


def test_names_of_tasks_and_models_cannot_leave_the_folder(tmp_path: Path) -> None:
    path = written(tmp_path / "own.jsonl", {**GOOD, "model": "../../Qwen/QwQ-32B"})
    assert converted(tmp_path / "out", path)["a"]["model"] == "../../Qwen/QwQ-32B"
    assert [found.parent for found in tmp_path.rglob("*QwQ-32B.jsonl")] == [tmp_path / "out"]


def test_two_tasks_of_one_model_are_two_recordings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for task in ("easy", "hard"):
        path = written(tmp_path / f"{task}.jsonl", {**GOOD, "model": "m", "samples": [[5, 9], [5, 9]]})
        assert main([str(path), "--out", str(tmp_path / "out")]) == 0
    names = [recording.name for recording in load_recordings([tmp_path / "out"])]
    assert names == ["m (easy.m)", "m (hard.m)"]
    with pytest.raises(InputError, match=r"two recordings are called m \(easy.m\): give each once"):
        load_recordings([tmp_path / "out", tmp_path / "out" / "easy.m.jsonl"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
NAMES = ("id", "gold", "answer", "tokens", "samples", "answers", "truncated", "model", "resps", "model_response")
MORE = ("filtered_resps", "target", "doc_id", "metrics", "doc", "predictions", "eval", "filter", "cont_tokens")


@examples(60)
@given(rows=st.lists(st.dictionaries(st.sampled_from(NAMES + MORE), JSON, max_size=7), min_size=1, max_size=3))
def test_any_lines_become_a_recording_or_one_sentence(
    rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = written(tmp_path_factory.mktemp("any") / "any.jsonl", *rows)
    try:
        (conversion,) = merged([read_source(path, ReadingRules(len))], None)
    except InputError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        copy = written(path.with_name("copy.jsonl"), *map(str.rstrip, conversion.lines()))
        lanes = [len(recorded.lanes) for recorded in load_recordings([copy])[0].problems]
        assert lanes == [len(drawn) for drawn in conversion.problems.values()]
