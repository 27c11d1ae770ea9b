"""The files that a replay reads besides its own recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs.recordings import write_traces
from tests.tools.replay.test_replay import complaint
from tools.convert.command import main as convert
from tools.replay.command import main
from tools.replay.recordings import load_recordings
from tools.shared.samples.sources import recorded_problems

FLAGS = ("--samples", "2", "--problems", "2", "--repeats", "1", "--processes", "1", "--no-bounds", "--json")


def own_lines(path: Path) -> Path:
    rows = [
        {"id": "a", "gold": 5, "model": "mine", "samples": [[5, 100], [6, 300], [None, 900]]},
        {"id": "b", "gold": "1/2", "model": "mine", "samples": [["1/2", 100], ["0.5", 200], ["1/2", 50]]},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def inspect_log(path: Path, task: str = "t") -> Path:
    samples: list[dict[str, Any]] = [
        {
            "id": name,
            "epoch": epoch,
            "target": "5",
            "output": {
                "choices": [{"message": {"content": rf"\boxed{{{answer}}}"}, "stop_reason": "stop"}],
                "usage": {"output_tokens": 100 * epoch},
            },
        }
        for name in ("a", "b")
        for epoch, answer in enumerate((5, 5, 6), 1)
    ]
    path.write_text(json.dumps({"eval": {"task": task, "model": "m"}, "samples": samples}), encoding="utf-8")
    return path


def test_what_is_read_directly_is_what_would_have_been_converted(tmp_path: Path) -> None:
    for number, file in enumerate((own_lines(tmp_path / "samples.jsonl"), inspect_log(tmp_path / "log.json"))):
        out = tmp_path / f"out{number}"
        assert convert([str(file), "--out", str(out)]) == 0
        (direct,), (converted,) = load_recordings([file]), load_recordings([out])
        assert (direct.name, direct.problems) == (converted.name, converted.problems)


def test_the_lab_says_what_it_has_recognised(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    files = [
        own_lines(tmp_path / "samples.jsonl"),
        inspect_log(tmp_path / "log.json"),
        write_traces(tmp_path / "model.jsonl", problems=3),
    ]
    assert main([*map(str, files), *FLAGS, "--policy", "margin-2"]) == 0
    captured = capsys.readouterr()
    assert (
        "read model (3 problems, from a trace file); mine (2 problems, from lines of your own); "
        "m (2 problems, from an Inspect log)\n"
    ) in captured.err
    assert set(json.loads(captured.out)["policies"]["margin-2"]["recordings"]) == {"mine", "m", "model"}


def test_a_folder_is_read_with_all_that_is_recognised_in_it(tmp_path: Path) -> None:
    own_lines(tmp_path / "samples_task_2026-01-01T00-00-00.000000.jsonl")
    write_traces(tmp_path / "model.jsonl", problems=3)
    assert {each.source for each in load_recordings([tmp_path])} == {"a trace file", "lines of your own"}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"problem_id": "a", "samples": [[1, 2]]}, "line 1, field 'answer' is missing"),
        ({"problem_id": "a", "answer": " ", "samples": []}, "line 1, field 'answer' is empty"),
        ({"problem_id": "a", "answer": 1, "samples": []}, "line 1, field 'samples' is []"),
        ({"problem_id": "a", "answer": 1, "samples": [[1, 2]]}, "line 1, field 'samples[0]' is [1, 2]"),
        ({"problem_id": "a", "answer": 1, "samples": [{"answer": 1}]}, "line 1, field 'samples[0].tokens' is missing"),
        ({"id": "a", "gold": 1, "samples": [[1, 0]]}, "line 1, field 'samples[0].tokens' is 0"),
        ({"id": "a", "samples": [[1, 5]]}, "line 1, field 'gold' is missing"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_by_line_and_field(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, row: dict[str, Any], told: str
) -> None:
    (tmp_path / "bad.jsonl").write_text(json.dumps(row), encoding="utf-8")
    assert told in complaint(capsys, tmp_path / "bad.jsonl")


def test_lines_that_say_no_lengths_are_sent_to_the_converter(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    row = {"doc_id": 0, "target": "5", "resps": [[r"\boxed{5}"]], "filtered_resps": ["5"], "exact_match": 1.0}
    (tmp_path / "samples_t.jsonl").write_text(json.dumps(row), encoding="utf-8")
    assert "tools.convert with --tokenizer" in complaint(capsys, tmp_path / "samples_t.jsonl")


def test_tasks_of_one_model_are_told_apart_by_their_whole_names(tmp_path: Path) -> None:
    tasks = ("aime.2024", "aime.2025", "a/b.c")
    logs = [inspect_log(tmp_path / f"log{number}.json", task) for number, task in enumerate(tasks)]
    assert [each.name for each in load_recordings(logs)] == [f"m ({task})" for task in tasks]


def test_a_model_is_called_by_its_whole_name(tmp_path: Path) -> None:
    path = own_lines(tmp_path / "samples.jsonl")
    path.write_text(path.read_text(encoding="utf-8").replace("mine", "org/Qwen2.5-7B"), encoding="utf-8")
    (found,) = load_recordings([path])
    assert found.name == "org/Qwen2.5-7B"


def test_a_recording_in_another_kind_of_file_is_told_what_can_be_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Neither command sends to the other what the other does not read."""
    lines = write_traces(tmp_path / "model.jsonl", problems=2).read_text(encoding="utf-8").splitlines()
    (tmp_path / "model.json").write_text(f"[{', '.join(lines)}]", encoding="utf-8")
    assert "give it to tools.replay as JSON lines" in complaint(capsys, tmp_path / "model.json")
    for name, how in (("model.json", "as JSON lines"), ("model.jsonl", "as it is")):
        assert convert([str(tmp_path / name), "--out", str(tmp_path / "out")]) == 2
        assert f"give it to tools.replay {how}" in capsys.readouterr().err


def test_of_a_file_that_is_no_recording_only_the_first_line_is_read_to_see_that(tmp_path: Path) -> None:
    path = own_lines(tmp_path / "samples.jsonl")
    with path.open("a", encoding="utf-8") as file:
        file.write("no JSON\n")
    assert recorded_problems(path) is None
