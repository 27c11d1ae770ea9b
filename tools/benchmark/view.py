"""Present the figures of a benchmark next to the published ones: as a table, as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tools.benchmark.published import Published, published_figures, same_model
from tools.benchmark.question import BenchmarkResult
from tools.benchmark.score import Score, score, single_power
from tools.shared.intervals import Interval

INTERVALS = "bootstrap over questions (Wilson's where all agree)"


def scores_as_json(outcome: BenchmarkResult) -> dict[str, Any]:
    """Return all figures as fractions, published ones in percent as published, and every grade."""
    figures = score(outcome.verdicts)
    published = published_figures(outcome.set)
    return {
        "set": outcome.set,
        "model": outcome.model,
        "questions": figures.questions,
        "of": len(outcome.questions),
        "samples": figures.samples,
        "intervals": f"95%, {INTERVALS}",
        "figures": [
            {
                "metric": metric,
                **asdict(value),
                "published": [asdict(figure) for figure in same_model(published, outcome.model, metric)],
            }
            for metric, value in _figures(figures)
        ],
        "published": [asdict(figure) for figure in published],
        "verdicts": [
            {"question": verdict.question, "index": verdict.index, **asdict(verdict.grade)}
            for verdict in outcome.verdicts
        ],
    }


def scores_table(outcome: BenchmarkResult) -> RenderableType:
    """Return our figures next to the same model's published ones, and below them other published figures of the set."""
    figures = score(outcome.verdicts)
    published = published_figures(outcome.set)
    title = f"{outcome.set}: {figures.questions} of {len(outcome.questions)} questions, {figures.samples} samples each"
    ours = Table("metric", title=title, title_justify="left")
    for name in ("this run", "95% interval", "published", "source"):
        ours.add_column(name, justify="left" if name == "source" else "right")
    for metric, value in _figures(figures):
        same = same_model(published, outcome.model, metric)
        sources = "\n".join(f"{figure.model}, {figure.source}" for figure in same)
        told = "\n".join(f"{figure.percent:.1f}" for figure in same)
        ours.add_row(metric, _percent(value.value), f"{_percent(value.low)} to {_percent(value.high)}", told, sources)
    lines = Text(f"model {outcome.model or 'unknown'}; the intervals are from a {INTERVALS}; {_why_wrong(outcome)}")
    below: list[RenderableType] = [Text(), _others(published)] if published else []
    power = single_power(outcome.verdicts)
    seen = [Text(power.sentence("5 points in pass@1", 0.05, "with a fixed figure"))] if power is not None else []
    return Group(ours, lines, *seen, *below)


def _others(published: Sequence[Published]) -> Table:
    table = Table("model", "metric", title="published", title_justify="left")
    table.add_column("figure", justify="right")
    table.add_column("source")
    for figure in published:
        table.add_row(figure.model, figure.metric, f"{figure.percent:.1f}", figure.source)
    return table


def _figures(figures: Score) -> Iterator[tuple[str, Interval]]:
    for k, value in figures.passes.items():
        yield f"pass@{k}", value
    if figures.majority is not None:
        yield f"maj@{figures.samples}", figures.majority


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _why_wrong(outcome: BenchmarkResult) -> str:
    """Describe how many samples were right, and how many gave no answer."""
    right = sum(verdict.grade.right for verdict in outcome.verdicts)
    noted = sum(bool(verdict.grade.note) and verdict.grade.answer is None for verdict in outcome.verdicts)
    return f"{right} of {len(outcome.verdicts)} samples are right, without an answer or failing a test: {noted}"
