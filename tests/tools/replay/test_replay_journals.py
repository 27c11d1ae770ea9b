"""Journals of runs, replayed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from agent.chat.family import family_names
from agent.engine.base import SamplingParams
from agent.errors import InputError
from agent.events import SampleEnded
from agent.journal.journal import Journal, create_run
from agent.policy.budget import TimeBank
from agent.run import run_problems
from agent.types import Problem, Sample, SampleEnd, ToolRun, ToolStatus, Turn
from agent.virtual_time import run_virtual
from tests.support.doubles import ScriptedEngine, ScriptedSandbox, config_with, runtime
from tests.support.runs.recordings import setting
from tests.support.texts.calls import call_of
from tools.replay.recordings import Recording, load_recordings
from tools.replay.run import play_run, replay_config


def recorded_run(
    directory: Path, family: str = "qwq", sandbox: ScriptedSandbox | None = None, **settings: Any
) -> Recording:
    """A run of three problems in which every sample runs code and, if it goes on from there, is right."""

    def reply(prompt: str, params: SamplingParams) -> str:
        written = prompt.split("Problem ")[-1]
        number = int(written[0])
        if "print(" not in written:
            return call_of(family, f"print({number})")
        return f"so it is \\boxed{{{number}}}"

    problems = [Problem(f"p{n}", f"Problem {n}?", n) for n in range(3)]
    keys: dict[str, Any] = {"stopping__rule": "wait-for-all", "budget__time_limit_seconds": 4_000}
    keys |= {"engine__context_tokens": 4_096}  # the double counts bytes
    config = config_with(sample__count=4, sample__family=family, **keys, **settings)
    sandbox = sandbox or ScriptedSandbox("42", 2.0)
    create_run(directory, config, problems)
    journal = Journal(directory)

    async def record() -> None:
        bank = TimeBank(config.time_limit_seconds, asyncio.get_running_loop().time)
        parts = runtime(ScriptedEngine(reply), config, sandbox=sandbox, emit=journal)
        await run_problems(problems, parts, bank)

    run_virtual(record())
    journal.close()
    return load_recordings([directory])[0]


@pytest.mark.parametrize("family", family_names())
def test_a_journal_is_replayed_with_its_tools_and_turns(family: str, tmp_path: Path) -> None:
    """A recorded run, replayed with all its samples and ample time, gives the same answers.

    The prompts of some families open the first code block themselves.
    """
    recording = recorded_run(tmp_path / "run", family)
    full = setting(samples=4, problems=3)
    outcomes, samples = play_run(replay_config("wait-for-all", recording, full), recording, full, 0)
    assert all(problem.correct for problem in outcomes)
    assert all([run.output for run in sample.tool_runs] == ["42"] for drawn in samples for sample in drawn)
    assert all(sample.seconds > 2 for drawn in samples for sample in drawn)


@pytest.mark.parametrize("family", family_names())
def test_samples_that_ended_with_what_they_printed_vote_for_it_in_a_replay(family: str, tmp_path: Path) -> None:
    sandbox = ScriptedSandbox("1")
    recording = recorded_run(tmp_path / "run", family, sandbox, sample__accept_printed_answer=True)
    full = setting(samples=4, problems=3)
    outcomes, samples = play_run(replay_config("wait-for-all", recording, full), recording, full, 0)
    assert {sample.answer for drawn in samples for sample in drawn} == {1}
    assert sorted((problem.index, problem.correct) for problem in outcomes) == [(0, False), (1, True), (2, False)]


def test_samples_that_ended_with_failed_code_do_not_vote_in_a_replay(tmp_path: Path) -> None:
    sandbox = ScriptedSandbox("1", status=ToolStatus.ERROR)
    recording = recorded_run(tmp_path / "run", sandbox=sandbox, sample__max_failed_tool_runs=1)
    full = setting(samples=4, problems=3)
    _, samples = play_run(replay_config("wait-for-all", recording, full), recording, full, 0)
    assert {(s.answer, s.end) for drawn in samples for s in drawn} == {(None, SampleEnd.FAILED_CODE)}


def test_calls_beyond_the_most_of_a_run_are_not_run_in_a_replay_either(tmp_path: Path) -> None:
    """A block that was passed over stands before the answer, in the same turn."""
    create_run(tmp_path, config_with(sample__family="qwq-preview", sample__max_rounds=0), [Problem("p0", "A?", 7)])
    text = "So:\n```python\nprint(7)\n```\nIt is \\boxed{7}."
    journal = Journal(tmp_path)
    for index in range(2):
        journal(SampleEnded(Sample("p0", index, index, (Turn(text, 9, 1.0),), 7, SampleEnd.ANSWERED, False, 0.0, 1.0)))
    journal.close()
    recording = load_recordings([tmp_path])[0]
    full = setting(samples=2, problems=1)
    config = replay_config("wait-for-all,sample.tools=true", recording, full)
    _, samples = play_run(config, recording, full, 0)
    assert {(sample.answer, sample.text) for sample in samples[0]} == {(7, text)}


def test_a_policy_may_end_recorded_samples_sooner(tmp_path: Path) -> None:
    recording = recorded_run(tmp_path / "run", sandbox=ScriptedSandbox("17", 2.0))
    full = setting(samples=4, problems=3)
    config = replay_config("wait-for-all,sample.accept_printed_answer=true", recording, full)
    _, samples = play_run(config, recording, full, 0)
    assert {(s.answer, len(s.turns)) for drawn in samples for s in drawn} == {(17, 1)}


def test_log_probabilities_of_a_journal_vote_in_a_replay(tmp_path: Path) -> None:
    recorded_run(tmp_path / "run")
    full = setting(samples=4, problems=3)
    lines = (tmp_path / "run" / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    changed = []
    for line in lines:
        entry = json.loads(line)
        if entry["kind"] == "sample":
            unsure = entry["index"] == 0
            entry |= {"mean_logprob": -0.5, "tail_logprob": -3.0 if unsure else -0.1}
        changed.append(json.dumps(entry))
    (tmp_path / "run" / "journal.jsonl").write_text("\n".join(changed) + "\n", encoding="utf-8")
    recording = load_recordings([tmp_path / "run"])[0]
    _, samples = play_run(
        replay_config("wait-for-all,voting.confidence_bonus=0.5", recording, full), recording, full, 0
    )
    tails = sorted(sample.tail_logprob or 0.0 for sample in samples[0])
    assert tails == pytest.approx([-3.0, -0.1, -0.1, -0.1])
    assert all(sample.mean_logprob == pytest.approx(-0.5) for drawn in samples for sample in drawn)


def test_problems_of_a_run_without_truths_cannot_be_judged(tmp_path: Path) -> None:
    create_run(tmp_path / "run", config_with(), [Problem("a", "A?")])
    with pytest.raises(InputError, match="true answer"):
        load_recordings([tmp_path / "run"])


def test_recorded_code_is_found_by_what_is_read_from_the_text_now(tmp_path: Path) -> None:
    """Line ends and margins of a recorded block may be read differently from when it was recorded."""
    create_run(tmp_path, config_with(sample__family="qwq-preview"), [Problem("p0", "Problem 0?", 0)])
    run = ToolRun("print(7)\r\n", "7", ToolStatus.OK, 1.0)
    turn = Turn("So:\n```python\r\nprint(7)\r\n```", 9, 1.0, inserted="\n```output\n7\n```\n", tool_run=run)
    journal = Journal(tmp_path)
    journal(SampleEnded(Sample("p0", 0, 1, (turn,), 7, SampleEnd.ANSWERED, False, 0.0, 1.0)))
    journal.close()
    assert set(load_recordings([tmp_path])[0].tool_runs) == {"print(7)\n"}
