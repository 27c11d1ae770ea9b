"""The benchmark's command, in a process of its own, against a real HTTP server with scripted replies."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.journal.journal import JOURNAL_FILE, read_run
from agent.types import SampleEnd
from tests.support.calls import Result, environment, refused
from tests.support.runs.benchmark_fixtures import KEEP_PROGRAM, MATH, SUM_PROGRAM, write_jsonl, write_set
from tests.support.servers.scripted_server import BREAK, ScriptedServer, serving
from tools.benchmark.command import main
from tools.benchmark.run import BENCHMARK_FILE, VERDICTS_FILE
from tools.benchmark.sets.known import SETS

pytestmark = pytest.mark.process


def right_answer(body: dict[str, Any]) -> str:
    """A right reply to the first question of each set, and a wrong one to the second."""
    prompt = body["prompt"].rpartition("<|im_start|>user")[2]
    replies = {
        "$400+4$": "\\boxed{404}",
        "days has a week": "\\boxed{8}",
        "degrees": "\\boxed{90}",
        "2^9": "\\boxed{511}",
        "half of one third": "\\boxed{\\frac{2}{12}}",
        "the origin": "\\boxed{(2, 1)}",
        "noble gas": '{"answer": "' + "".join(re.findall(r"\((.)\) Neon", prompt)) + '"}',
        "boils": '{"answer": "' + "".join(re.findall(r"\((.)\) Sand", prompt)) + '"}',
        "standard input": SUM_PROGRAM,
        "completes this code": "```python\ndef keep(values, limit): return values\n```",
        "999+2": "\\boxed{1}",
        "3 - 5": "\\boxed{5}",
    }
    return next(reply for sign, reply in replies.items() if sign in prompt)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving(ScriptedServer(right_answer)) as running:
        yield running


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "tools.benchmark", *map(str, arguments)]


def benchmark(*arguments: object, cwd: Path) -> Result:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, cwd=cwd, env=environment(), timeout=120, check=False
    )


def run_here(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """The command in this process: its status, standard output and the end of standard error."""
    status = main([*map(str, arguments)])
    output = capsys.readouterr()
    return status, output.out, " ".join(output.err.split())


@pytest.mark.parametrize(
    "name", ["aime2024", "aime2025", "math500", "gpqa-diamond", "livecodebench", "aimo2-reference"]
)
def test_each_set_is_asked_graded_and_recorded(
    name: str, server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = write_set(tmp_path, name), tmp_path / "run"
    flags = ("--data", data, "--url", server.url, "--run-dir", run, "--samples", 2, "--json", "--model", "QwQ-32B")
    status, output, errors = run_here(capsys, name, *flags)
    assert status == 0, errors
    told = json.loads(output)
    figures = {figure["metric"]: figure["value"] for figure in told["figures"]}
    assert figures == {"pass@1": 0.5, "pass@2": 0.5} | ({} if name == "livecodebench" else {"maj@2": 0.5})
    assert (told["questions"], told["of"], told["samples"]) == (2, 2, 2)
    samples = read_run(run).samples
    assert len(samples) == 4
    assert all(sample.end is SampleEnd.ANSWERED and not sample.forced for sample in samples)
    assert all(len(sample.turns) == 1 for sample in samples)  # nobody ran a tool
    assert len((run / VERDICTS_FILE).read_text().split("\n")) == 5
    assert f"recorded in {run}" in errors


def test_a_table_is_shown_without_json_and_again_without_an_engine(
    server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--data", write_set(tmp_path, "aime2024"), "--url", server.url, "--run-dir", tmp_path / "run")
    status, output, errors = run_here(capsys, "aime2024", *flags, "--limit", 1, "--model", "QwQ-32B-Preview")
    assert status == 0, errors
    assert "1 of 1 questions, 1 samples each" in output and "20.7 to 100.0" in output
    assert "QwQ-32B-Preview, its release" in output
    nowhere = ("--resume", "--url", "http://127.0.0.1:9")
    status, again, errors = run_here(capsys, "aime2024", *flags[4:], *nowhere)
    assert (status, again) == (0, output), errors


def test_a_killed_run_goes_on_and_draws_nothing_twice(server: ScriptedServer, tmp_path: Path) -> None:
    data, run = write_set(tmp_path, "aime2024"), tmp_path / "run"
    server.reply = lambda body: "word " * (6 * len(server.bodies)) + "\\boxed{404}"
    server.pause = 0.01
    flags = ("aime2024", "--run-dir", run)
    samples = ("--samples", 6, "--problems-in-flight", 2, "--seed", 3)
    process = subprocess.Popen(
        command(*flags, "--data", data, "--url", server.url, *samples), cwd=tmp_path, env=environment()
    )
    wait_until(lambda: (run / JOURNAL_FILE).exists() and b'"sample"' in (run / JOURNAL_FILE).read_bytes(), process)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    kept = {(sample.problem_id, sample.index) for sample in read_run(run).samples}
    assert 0 < len(kept) < 12
    server.pause, before = 0.0, len(server.bodies)
    result = benchmark(*flags, "--resume", "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert len(server.bodies) - before == 12 - len(kept)
    assert [v["right"] for v in json.loads(result.stdout)["verdicts"]] == [True] * 6 + [False] * 6


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_interrupt_says_how_to_resume(server: ScriptedServer, tmp_path: Path) -> None:
    server.pause, server.reply = 0.05, lambda body: "word " * 1_000
    data, run = write_set(tmp_path, "aime2024"), tmp_path / "run"
    process = subprocess.Popen(
        command("aime2024", "--run-dir", run, "--data", data, "--url", server.url),
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
    )
    wait_until(lambda: bool(server.bodies), process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"resume with: python -m tools.benchmark aime2024 --run-dir {run} --resume" in errors.decode()
    assert b"Traceback" not in errors


def test_an_engine_that_fails_is_reported_and_its_samples_are_owed(
    server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(body: dict[str, Any]) -> str:
        return BREAK if "week" in body["prompt"] else right_answer(body)

    server.reply = failing
    run = tmp_path / "run"
    flags = ("--data", write_set(tmp_path, "aime2024"), "--url", server.url, "--set", "engine.retries=0")
    status, output, errors = run_here(capsys, "aime2024", *flags, "--run-dir", run, "--json")
    assert status == 2
    assert json.loads(output)["questions"] == 1
    assert "the engine failed at 1 samples" in errors
    assert "--resume" in errors
    server.reply = right_answer
    status, output, errors = run_here(capsys, "aime2024", "--run-dir", run, "--resume", "--json")
    assert status == 0, errors
    assert json.loads(output)["questions"] == 2


def test_samples_without_an_end_count_as_wrong(
    server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.reply = lambda body: "\\boxed{404} but let me see " + "and so on and on " * 400
    flags = ("--data", write_set(tmp_path, "aime2024"), "--url", server.url)
    _, output, _ = run_here(capsys, "aime2024", *flags, "--run-dir", tmp_path / "run", "--json", "--limit", 1)
    (verdict,) = json.loads(output)["verdicts"]
    assert (verdict["answer"], verdict["right"], verdict["note"]) == (None, False, "repeating")


def test_integer_questions_may_be_solved_with_tools(
    server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def with_code(body: dict[str, Any]) -> str:
        prompt = body["prompt"]
        return "\\boxed{404}" if "```output\n404" in prompt else "print(400 + 4)\n```\n"

    server.reply = with_code
    flags = ("--data", write_set(tmp_path, "aime2024"), "--url", server.url, "--set", "sample.tools=true")
    _, output, _ = run_here(capsys, "aime2024", *flags, "--run-dir", tmp_path / "run", "--json", "--limit", 1)
    assert json.loads(output)["figures"][0]["value"] == 1.0
    assert read_run(tmp_path / "run").samples[0].tool_runs[0].output == "404"


COMPLETIONS = {
    "aime2024": [("60", "\\boxed{404}"), ("60", "\\boxed{5}"), ("61", "hm"), ("61", "\\boxed{7}")],
    "math500": [("test/own/1.json", "\\boxed{1/6}"), ("test/own/2.json", "\\boxed{(2, 1)}")],
    "livecodebench": [("sum", SUM_PROGRAM), ("drop", KEEP_PROGRAM), ("drop", "no"), ("sum", "```\nprint(3)\n```")],
}


@pytest.mark.parametrize("name", COMPLETIONS)
def test_completions_made_elsewhere_are_graded_without_an_engine(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": id_, "completion": text} for id_, text in COMPLETIONS[name]]
    file = write_jsonl(tmp_path / "completions.jsonl", rows)
    flags = ("--data", write_set(tmp_path, name), "--grade", file, "--json", "--model", "other")
    status, output, errors = run_here(capsys, name, *flags)
    assert status == 0, errors
    told = json.loads(output)
    assert told["figures"][0]["value"] == 0.5
    assert [verdict["question"] for verdict in told["verdicts"]] == [id_ for id_, _ in COMPLETIONS[name]]
    assert told["model"] == "other"


MISTAKES = 13


def mistakes(folder: Path) -> dict[str, tuple[tuple[object, ...], str]]:
    """Flags that cannot be carried out, and what is told of each."""
    data = write_set(folder, "aime2024")
    unknown = write_jsonl(folder / "unknown.jsonl", [{"id": "99", "completion": "x"}])
    silent = write_jsonl(folder / "silent.jsonl", [{"id": "60"}])
    (folder / "empty.jsonl").touch()
    grade = ("aime2024", "--data", data, "--grade")
    return {
        "another's question": ((*grade, unknown), "no question '99' in the set (it has 60, 61, ...)"),
        "no completion": ((*grade, silent), "no text in the column 'completion'"),
        "an empty file": ((*grade, folder / "empty.jsonl"), "holds no questions"),
        "no such file": ((*grade, folder / "none.jsonl"), "none.jsonl cannot be read"),
        "grading and sampling": ((*grade, unknown, "--samples", 3), "--grade draws no samples: leave out samples"),
        "grading and resuming": ((*grade, unknown, "--resume"), "--grade draws no samples: leave out resume"),
        "resuming nothing": (("aime2024", "--resume"), "add --run-dir DIR"),
        "resuming something else": (("aime2024", "--resume", "--run-dir", folder), "contains no benchmark"),
        "resuming otherwise": (
            ("aime2024", "--resume", "--run-dir", folder, "--samples", 3, "--seed", 1),
            "leave out samples, seed",
        ),
        "no data": (("aimo3-reference",), "give its CSV file with --data FILE"),
        "tools for words": (
            ("math500", "--data", write_set(folder, "math500"), "--set", "sample.tools=true"),
            "math500 is answered without tools",
        ),
        "an unknown key": (("aime2024", "--data", data, "--set", "sample.tokens=1"), "unknown key"),
        "no such data": (("aime2024", "--data", folder / "no.csv"), "no.csv cannot be read"),
    }


@pytest.mark.parametrize("case", range(MISTAKES))
def test_mistakes_are_reported_in_a_one_line_message(
    case: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cases = list(mistakes(tmp_path).values())
    assert len(cases) == MISTAKES
    arguments, told = cases[case]
    status, output, errors = run_here(capsys, *arguments)
    assert status == 2
    assert told in errors
    assert not output
    assert not (tmp_path / "runs").exists()


def test_another_run_or_changed_data_is_no_run_to_go_on_with(
    server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = write_set(tmp_path, "math500"), tmp_path / "run"
    run_here(capsys, "math500", "--data", data, "--url", server.url, "--run-dir", run)
    _, _, errors = run_here(capsys, "aime2024", "--run-dir", run, "--resume")
    assert "is a run of math500, not of aime2024" in errors
    write_jsonl(data, MATH[:1])
    _, _, errors = run_here(capsys, "math500", "--run-dir", run, "--resume")
    assert "is not what the run was started with" in errors
    (run / BENCHMARK_FILE).write_text("[]")
    _, _, errors = run_here(capsys, "math500", "--run-dir", run, "--resume")
    assert "contains no benchmark" in errors


def test_bad_usage_is_refused_by_name(tmp_path: Path) -> None:
    result = benchmark("aime2023", cwd=tmp_path)
    assert result.returncode == 2
    assert all(name in result.stderr for name in SETS)
    refused(benchmark("aime2024", "--samples", 0, cwd=tmp_path), "not a whole number above 0")


@pytest.mark.long
def test_a_real_model_takes_a_benchmark(tiny_model: Path, tmp_path: Path) -> None:
    data, run = write_set(tmp_path, "gpqa-diamond"), tmp_path / "run"
    settings = ("--set", "sample.max_tokens=16", "--set", "engine.context_tokens=1024", "--no-check")
    flags = ("--data", data, "--model", tiny_model, "--run-dir", run, "--samples", 1, "--json", *settings)
    result = benchmark("gpqa-diamond", *flags, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert len(told["verdicts"]) == 2
    samples = read_run(run).samples
    assert any(sample.tokens > 5 for sample in samples)
    assert all(sample.end is not SampleEnd.ENGINE_ERROR for sample in samples)
