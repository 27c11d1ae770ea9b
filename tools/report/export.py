"""The figures of runs as tables and charts in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.views.verdict import why_won
from tools.report.data import ReportedRun
from tools.report.stats import differences, majority_curve, power_sentences, run_figures
from tools.shared.chart_files import EXPORTED, draw_curves, draw_intervals
from tools.shared.exports import Cell, Column, ExportedTable, write_tables

_CURVE = "accuracy_by_samples"


def export_report(directory: Path, runs: Sequence[ReportedRun]) -> list[Path]:
    """Write tables of metrics, problems and, of two runs, differences, and their charts; return the files.

    Raises InputError if one cannot be written or Matplotlib is missing.
    """
    tables = [_metrics(run, name) for run, name in zip(runs, _names("metrics", runs), strict=True)]
    tables += [_problems(run, name) for run, name in zip(runs, _names("problems", runs), strict=True)]
    curves = {run.name: majority_curve(run) for run in runs}
    drawn = {name: [(float(p.samples), p.accuracy) for p in points] for name, points in curves.items() if points}
    tables += [_differences(*runs)] if len(runs) == 2 else []
    written = write_tables(directory, tables)
    if drawn:
        paths = [directory / f"{_CURVE}{suffix}" for suffix in EXPORTED]
        draw_curves(paths, drawn, ("samples", "share of problems that their vote gets right"), logarithmic=True)
        written += paths
    if len(runs) == 2:
        shares = {d.metric.name: d.change for d in differences(*runs) if d.metric.digits == 3}
        paths = [directory / f"differences{suffix}" for suffix in EXPORTED]
        draw_intervals(paths, shares, f"{runs[1].name} less {runs[0].name}", zero=True)
        written += paths
    return written


def _names(kind: str, runs: Sequence[ReportedRun]) -> list[str]:
    return [kind] if len(runs) == 1 else [f"{kind}_{place}" for place in ("first", "second")]


def _metrics(run: ReportedRun, name: str) -> ExportedTable:
    figures = run_figures(run)
    rows = tuple((figure.metric.name, figure.mean, figure.problems) for figure in figures)
    caption = f"Means over the closed problems of {run.name}, with 95% intervals from a bootstrap over problems."
    return ExportedTable(name, caption, (Column("metric"), Column("mean", 3), Column("problems")), rows)


def _differences(first: ReportedRun, second: ReportedRun) -> ExportedTable:
    columns = (Column("metric"), Column("first", 3), Column("second", 3), Column("difference", 3), Column("problems"))
    rows = tuple((d.metric.name, d.first, d.second, d.change, d.problems) for d in differences(first, second))
    caption = (
        f"{second.name} (second) less {first.name} (first), paired by the problems closed in both, with 95% intervals."
    )
    told = " ".join([caption, *power_sentences(first, second)])
    return ExportedTable("differences", told, columns, rows)


def _problems(run: ReportedRun, name: str) -> ExportedTable:
    columns = (
        *(Column("problem"), Column("truth"), Column("answer"), Column("outcome"), Column("weight", 2)),
        *(Column("weight of all", 2), Column("samples"), Column("seconds", 1), Column("allowance", 1)),
        *(Column("tokens"), Column("tool runs"), Column("closed by"), Column("why it won")),
    )
    rows: list[tuple[Cell, ...]] = []
    for problem in run.problems:
        solution = problem.solution
        if solution is not None:
            votes = solution.tally.votes
            rows.append(
                (
                    *(problem.problem.id, problem.problem.answer, solution.answer, str(problem.outcome)),
                    *(votes[0].weight if votes else 0.0, sum(vote.weight for vote in votes) if votes else 0.0),
                    *(solution.samples_started, solution.seconds, solution.allowance, solution.tokens),
                    *(solution.tool_runs, str(solution.stop), why_won(solution, problem.samples)),
                )
            )
    return ExportedTable(name, f"The closed problems of {run.name}.", columns, tuple(rows))
