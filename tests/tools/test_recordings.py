"""The recorded runs in the repository: whole, of the bundled problems, and taken by report and replay."""

from __future__ import annotations

import gzip
import importlib
import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from agent.config import load_config
from agent.journal.journal import PACKED_JOURNAL_FILE, RunRecord, read_run
from agent.policy.settings import VotingConfig
from agent.policy.voting import mark_copy, tally
from agent.problems.reader import practice_problems
from agent.types import Sample, SampleEnd, StopReason, ToolStatus
from tests.support.tiers.cases import quick_cases
from tools.replay import command as replay
from tools.report import command as report

RECORDINGS = sorted(path for path in (Path(__file__).parents[2] / "tools" / "recordings").iterdir() if path.is_dir())
SAMPLES = 16


@cache
def practice_with_tools() -> RunRecord:
    return read_run(RECORDINGS[-1])


each = pytest.mark.parametrize("directory", RECORDINGS, ids=lambda directory: directory.name)


@each
def test_every_line_can_be_read_and_every_problem_is_closed_with_all_its_samples(directory: Path) -> None:
    record = read_run(directory)
    assert record.unreadable == 0 and record.engine_events == ()
    assert record.problems == tuple(practice_problems())
    closed = [solution.problem_id for solution in record.solutions]
    assert sorted(closed) == sorted(problem.id for problem in record.problems)
    for problem_id in closed:
        assert sorted(sample.index for sample in record.samples_of(problem_id)) == list(range(SAMPLES))
    assert {sample.end for sample in record.samples} <= set(SampleEnd) - {SampleEnd.ENGINE_ERROR, SampleEnd.DEADLINE}
    assert {solution.stop for solution in record.solutions} == {StopReason.ALL_DONE}


@each
def test_it_is_the_default_but_for_what_makes_all_samples_be_drawn(directory: Path) -> None:
    config, default = read_run(directory).config, load_config("cpu")
    assert config.sampling == default.sampling
    assert config.engine == default.engine.model_copy(update={"streams": 0})  # all at a time
    assert config.voting == VotingConfig()  # what votes weigh does not change what was drawn
    # Without tools the reasoning is written out: it gets twice the tokens.
    changes = {"tools": True} if directory.name.endswith("-tools") else {"tools": False, "max_tokens": 800}
    to_the_end = {"count": SAMPLES, "accept_printed_answer": False, "max_failed_tool_runs": 0}
    assert config.sample == default.sample.model_copy(update=to_the_end | changes)


def test_what_ends_a_sample_early_by_default_costs_few_right_answers() -> None:
    """The figures that the profile `cpu` gives for its choices."""
    record = practice_with_tools()
    truths = {problem.id: problem.answer for problem in record.problems}
    printed, failed = [], []
    for sample in record.samples:
        first, right = sample.turns[0].tool_run, sample.answer == truths[sample.problem_id]
        if first is not None and first.status is not ToolStatus.OK:
            failed.append((right, sum(turn.tokens for turn in sample.turns[1:])))
        elif first is not None and first.output.strip().isdecimal() and int(first.output) <= 99_999:
            printed.append((right, int(first.output) == truths[sample.problem_id]))
    assert [len(printed), sum(r for r, _ in printed), sum(p for _, p in printed)] == [474, 191, 190]
    assert [len(failed), sum(right for right, _ in failed)] == [292, 16]
    assert round(sum(tokens for _, tokens in failed) / len(failed)) == 212
    outputs = (sample.turns[0].tool_run.output for sample in record.samples if sample.turns[0].tool_run is not None)
    missing = [name for output in outputs for name in re.findall(r"NameError: name '(\w+)' is not", output)[-1:]]
    modules = [importlib.import_module(name) for name in ("sympy", "math", "itertools", "numpy", "cmath")]
    known = [each for each in missing if each in ("sp", "np") or any(hasattr(module, each) for module in modules)]
    assert (len(missing), len(known)) == (80, 40)
    runs = [run for s in record.samples if s.answer == truths[s.problem_id] for run in s.tool_runs]
    taken = [run.seconds for run in runs if run.status is ToolStatus.OK]
    assert len(taken) == 219 and max(taken) < 1.6 < load_config("cpu").sandbox.cell_seconds


def test_a_zero_or_one_that_a_search_printed_was_never_right_and_its_weight_loses_no_problem() -> None:
    """With the samples ended by what their first block printed, as the profile `cpu` ends them, all 16 voting."""
    record, voting = practice_with_tools(), load_config("cpu").voting
    right, trivial = {1.0: 0, voting.printed_trivial_weight: 0}, []
    for problem in record.problems:
        drawn = [ended_by_print(sample) for sample in record.samples_of(problem.id)]
        trivial += [each.answer == problem.answer for each in drawn if each.answer in (0, 1) and len(each.turns) == 1]
        for weight in right:
            leader = tally(
                drawn, voting.model_copy(update={"printed_trivial_weight": weight}), record.config.rules
            ).leader
            right[weight] += leader is not None and leader.answer == problem.answer
    assert (len(trivial), sum(trivial)) == (83, 0)
    assert right == {1.0: 22, 0.2: 23}


def test_no_vote_that_copies_an_example_was_right_and_their_weight_loses_no_problem() -> None:
    """All 16 samples vote, as they were recorded."""
    record = practice_with_tools()
    shown, rules = record.config.sample.example_answers, record.config.rules
    copies, led = [], {1.0: [0, 0], VotingConfig().copied_example_weight: [0, 0]}
    for problem in record.problems:
        drawn = [mark_copy(each, rules, shown) for each in record.samples_of(problem.id)]
        copies += [each.answer == problem.answer for each in drawn if each.copies_example]
        for weight, counts in led.items():
            leader = tally(drawn, VotingConfig(copied_example_weight=weight), rules).leader
            counts[0] += leader is not None and leader.answer == problem.answer
            counts[1] += leader is not None and leader.answer in shown
    assert (len(copies), sum(copies)) == (73, 0)
    assert led == {1.0: [22, 5], 0.1: [22, 0]}


def ended_by_print(sample: Sample) -> Sample:
    """The sample as `accept_printed_answer` and `max_failed_tool_runs` end it after its first block."""
    run = sample.turns[0].tool_run
    if run is None:
        return sample
    first = replace(sample, turns=sample.turns[:1], forced=False)
    if run.status is not ToolStatus.OK:
        return replace(first, answer=None, end=SampleEnd.FAILED_CODE)
    is_answer = run.output.strip().isdecimal() and int(run.output) <= 99_999
    return replace(first, answer=int(run.output), end=SampleEnd.ANSWERED) if is_answer else sample


@each
def test_only_runs_with_tools_ran_code(directory: Path) -> None:
    ran = any(sample.tool_runs for sample in read_run(directory).samples)
    assert ran == directory.name.endswith("-tools")


@each
def test_it_is_packed_small_without_a_name_or_a_time(directory: Path) -> None:
    packed = (directory / PACKED_JOURNAL_FILE).read_bytes()
    assert packed[3:8] == bytes(5)  # neither the file's name nor its time is in it
    assert len(packed) < 1 << 20
    assert gzip.decompress(packed).endswith(b"\n")


@pytest.mark.long
def test_the_report_takes_them_and_prints_what_their_readme_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report.main([*map(str, RECORDINGS[:2]), "--output", str(tmp_path / "report.html")]) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    document = (RECORDINGS[0].parent / "README.md").read_text(encoding="utf-8")
    block = next(part for part in document.split("\n\n") if "    pass@1" in part)
    shown = [line.split() for line in block.splitlines()]
    assert len(shown) > 5 and [line for line in shown if line not in printed] == []
    assert (tmp_path / "report.html").stat().st_size < 30 << 20


@pytest.mark.parametrize("directory", quick_cases(1, RECORDINGS), ids=lambda directory: directory.name)
@pytest.mark.further
def test_the_lab_plays_it_to_the_same_answers(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = read_run(directory)
    truths = {problem.id: problem.answer for problem in record.problems}
    right = [solution.answer == truths[solution.problem_id] for solution in record.solutions]
    flags = ["--stop-only", "--hardware", "constant", "--repeats", "1", "--policy", "wait-for-all", "--processes", "1"]
    assert replay.main([str(directory), *flags, "--json"]) == 0
    accuracy = json.loads(capsys.readouterr().out)["policies"]["wait-for-all"]["accuracy"]
    assert accuracy == pytest.approx(sum(right) / len(right), abs=2 / len(right))  # ties fall as the lanes end
