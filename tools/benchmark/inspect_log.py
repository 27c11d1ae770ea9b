"""Write a benchmark's result as an evaluation log of Inspect AI."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.errors import InputError, JournalError
from tools.benchmark.question import BenchmarkResult, Completion, GradedCompletion
from tools.benchmark.score import score

_SCORER = "benchmark"


def check_inspect() -> None:
    """Raise InputError if Inspect is not installed."""
    if importlib.util.find_spec("inspect_ai") is None:
        raise InputError(
            "--export inspect needs inspect_ai: pip install -e '.[inspect]' in the clone of this project, best in an "
            "environment of its own"
        )


def write_inspect_log(outcome: BenchmarkResult, path: Path) -> None:
    """Write the log, in Inspect's format by the name's ending (`.eval` or `.json`).

    Raises InputError if Inspect is not installed, JournalError if the file cannot be written.
    """
    check_inspect()
    from inspect_ai.log import write_eval_log

    try:
        write_eval_log(_log(outcome), str(path))
    except OSError as error:
        raise JournalError(f"{path} cannot be written ({error.strerror}): free space or make it writable") from error


def _log(outcome: BenchmarkResult) -> Any:
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalSpec

    ids = list(dict.fromkeys(completion.question for completion in outcome.completions))
    dataset = EvalDataset(name=outcome.set, samples=len(ids), sample_ids=ids)
    epochs = max(completion.index for completion in outcome.completions) + 1
    spec = EvalSpec(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        task=outcome.set,
        dataset=dataset,
        model=outcome.model or "unknown",
        config=EvalConfig(epochs=epochs),
    )
    verdicts = {(verdict.question, verdict.index): verdict for verdict in outcome.verdicts}
    samples = [
        _sample(outcome, completion, verdicts[completion.question, completion.index])
        for completion in outcome.completions
    ]
    return EvalLog(status="success", eval=spec, results=_results(outcome), samples=samples)


def _sample(outcome: BenchmarkResult, completion: Completion, verdict: GradedCompletion) -> Any:
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ChatMessageUser, ModelOutput, ModelUsage
    from inspect_ai.scorer import CORRECT, INCORRECT, Score

    question, grade = outcome.questions[completion.question], verdict.grade
    reason = "stop" if completion.text is not None else "max_tokens"
    output = ModelOutput.from_content(outcome.model or "unknown", completion.text or "", stop_reason=reason)
    usage = {}
    if completion.tokens:
        output.usage = ModelUsage(output_tokens=completion.tokens, total_tokens=completion.tokens)
        output.time = completion.seconds
        usage[outcome.model or "unknown"] = output.usage
    right = CORRECT if grade.right else INCORRECT
    return EvalSample(
        id=question.id,
        epoch=completion.index + 1,
        input=question.problem.text,
        target=question.truth,
        messages=[ChatMessageUser(content=question.problem.text), output.message],
        output=output,
        model_usage=usage,
        total_time=completion.seconds or None,
        scores={_SCORER: Score(value=right, answer=grade.answer, explanation=grade.note or None)},
    )


def _results(outcome: BenchmarkResult) -> Any:
    from inspect_ai.log import EvalMetric, EvalResults, EvalScore

    figures = score(outcome.verdicts)
    values = {f"pass@{k}": value.value for k, value in figures.passes.items()}
    if figures.majority is not None:
        values[f"maj@{figures.samples}"] = figures.majority.value
    metrics = {name: EvalMetric(name=name, value=value) for name, value in values.items()}
    total = len(outcome.completions)
    scores = [EvalScore(name=_SCORER, scorer=_SCORER, metrics=metrics)]
    return EvalResults(total_samples=total, completed_samples=total, scores=scores)
