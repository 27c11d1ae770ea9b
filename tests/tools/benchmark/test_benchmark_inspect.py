"""Logs for Inspect, read by Inspect itself."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from agent.errors import InputError
from agent.types import Problem
from tools.benchmark.inspect_log import write_inspect_log
from tools.benchmark.question import BenchmarkQuestion, BenchmarkResult, Completion, Grade, GradedCompletion
from tools.shared.samples.drawn import ReadingRules
from tools.shared.samples.sources import read_source

QUESTIONS = {id_: BenchmarkQuestion(Problem(id_, f"What is {id_}?"), "7") for id_ in ("a", "b")}
COMPLETIONS = [
    Completion("a", 0, "so \\boxed{7}"),
    Completion("a", 1, "so \\boxed{8}"),
    Completion("b", 0, "unclear"),
    Completion("b", 1, None, "token limit"),
]
GRADES = [Grade("7", True), Grade("8", False), Grade(None, False, "no answer"), Grade(None, False, "token limit")]
VERDICTS = [GradedCompletion(c.question, c.index, grade) for c, grade in zip(COMPLETIONS, GRADES, strict=True)]
OUTCOME = BenchmarkResult("aime2024", "QwQ-32B", QUESTIONS, COMPLETIONS, VERDICTS)


@pytest.mark.skipif(find_spec("inspect_ai") is None, reason="inspect_ai is not installed (extra `inspect`)")
@pytest.mark.parametrize("name", ["log.eval", "log.json"])
def test_inspect_reads_what_was_written(name: str, tmp_path: Path) -> None:
    from inspect_ai.log import read_eval_log

    write_inspect_log(OUTCOME, tmp_path / name)
    log = read_eval_log(str(tmp_path / name))
    assert (log.status, log.eval.task, log.eval.model) == ("success", "aime2024", "QwQ-32B")
    assert log.eval.config.epochs == 2
    assert log.samples is not None
    samples = sorted(log.samples, key=lambda sample: (str(sample.id), sample.epoch))  # Inspect goes by epochs
    read = [(s.id, s.epoch, s.input, s.target) for s in samples]
    assert read == [(c.question, c.index + 1, f"What is {c.question}?", "7") for c in COMPLETIONS]
    scores = [sample.scores["benchmark"] for sample in samples if sample.scores]
    assert [(s.value, s.answer, s.explanation) for s in scores] == [
        ("C", "7", None),
        ("I", "8", None),
        ("I", None, "no answer"),
        ("I", None, "token limit"),
    ]
    assert [sample.output.completion for sample in samples] == [c.text or "" for c in COMPLETIONS]
    assert log.results is not None
    metrics = log.results.scores[0].metrics
    assert {name: metric.value for name, metric in metrics.items()} == {"pass@1": 0.25, "pass@2": 0.5, "maj@2": 0.25}


@pytest.mark.skipif(find_spec("inspect_ai") is None, reason="inspect_ai is not installed (extra `inspect`)")
def test_what_was_written_becomes_a_recording(tmp_path: Path) -> None:
    completions = [replace(completion, tokens=100 + n) for n, completion in enumerate(COMPLETIONS)]
    write_inspect_log(replace(OUTCOME, completions=completions), tmp_path / "log.eval")
    found = read_source(tmp_path / "log.eval", ReadingRules())
    assert (found.task, found.model) == ("aime2024", "QwQ-32B")
    told = sorted((s.problem_id, s.tokens, s.answer, s.truncated) for s in found.samples)
    assert told == [
        ("a", 100, "7", False),
        ("a", 101, "8", False),
        ("b", 102, None, False),
        ("b", 103, None, True),
    ]


def test_without_inspect_a_one_line_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install -e '.\[inspect\]'"):
        write_inspect_log(OUTCOME, tmp_path / "log.eval")
