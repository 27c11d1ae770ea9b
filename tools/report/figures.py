"""The figures of a recorded run, or of two with their paired difference, as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from agent.metrics import METRICS
from agent.views.table import doubt_lines
from tools.report.data import ReportedRun
from tools.report.stats import common_problems, differences, run_figures


def figures(runs: Sequence[ReportedRun]) -> Table:
    """Each metric that says something, as its mean over the closed problems, with its interval.

    Every interval is the middle 95% of a bootstrap over problems. Of two runs the last column is the second less the
    first, paired by the problems that are in both.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    columns = []
    for run in runs:
        table.add_column(f"{run.name}\n{_counts(run)}")
        columns.append({figure.metric.name: figure.text for figure in run_figures(run)})
    if len(runs) == 2:
        table.add_column(f"difference\n{len(common_problems(*runs))} problems in both")
        columns.append({difference.metric.name: difference.text for difference in differences(*runs)})
    for metric in METRICS:
        if any(metric.name in column for column in columns):
            table.add_row(metric.name, *(column.get(metric.name, "-") for column in columns))
    return table


def doubts(run: ReportedRun) -> list[Text]:
    """Why the answers won that did not have the most votes, or had guesses alone, with the name of the run above."""
    solutions = [problem.solution for problem in run.problems if problem.solution is not None]
    lines = list(doubt_lines(solutions, {problem.problem.id: problem.samples for problem in run.problems}))
    return [Text(f"{run.name}: ").append_text(lines[0]), *lines[1:]] if lines else []


def _counts(run: ReportedRun) -> str:
    samples = {len(problem.counted) for problem in run.problems if problem.solution is not None}
    each = f"{min(samples)} to {max(samples)}" if len(samples) > 1 else f"{max(samples, default=0)}"
    return f"{run.sums.closed} problems, {each} samples each"
