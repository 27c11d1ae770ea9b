"""The results of a replay as tables and charts in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from tools.replay.full_runs import ReplayResult
from tools.replay.stop import StoppingResult
from tools.replay.view import STOP_COLUMNS, PolicyPair, bounds_know, problems_for_loss
from tools.shared.chart_files import EXPORTED, draw_intervals
from tools.shared.exports import Cell, Column, ExportedTable, write_tables
from tools.shared.power import POWER


def export_runs(directory: Path, result: ReplayResult, comparisons: Sequence[PolicyPair]) -> list[Path]:
    """Write the tables of policies and comparisons, and a chart of each; return the files. Raises InputError."""
    tables = [_policies(result), *([_bounds(result)] if result.bounds else [])]
    count = result.setting.problems
    charts = {"policies": ({policy: result.correct(policy) for policy in result.scores}, f"right answers of {count}")}
    if comparisons:
        tables.append(_comparisons(result, comparisons))
        values = {f"{one} minus {other}": result.difference(one, other) for one, other in comparisons}
        charts["comparisons"] = (values, f"difference in right answers of {count}")
    written = write_tables(directory, tables)
    for name, (values, axis) in charts.items():
        paths = [directory / f"{name}{suffix}" for suffix in EXPORTED]
        draw_intervals(paths, values, axis, zero=name == "comparisons")
        written += paths
    return written


def export_stops(directory: Path, result: StoppingResult) -> list[Path]:
    """Write the table of stopping rules and a chart of their wall times; return the files. Raises InputError."""
    rows = [
        (
            *(policy, result.accuracy(policy), result.loss(policy), problems_for_loss(result, policy)),
            *(result.wall(policy), result.gap_closed(policy)),
        )
        for policy in result.policies
    ]
    columns = (
        *(Column("policy"), Column("accuracy", 3), Column("accuracy minus waiting for all", 3), Column("problems")),
        *(Column("relative wall time", 3), Column("gap closed", 3)),
    )
    caption = f"One problem at a time, with 95% intervals; {STOP_COLUMNS}."
    written = write_tables(directory, [ExportedTable("stopping", caption, columns, tuple(rows))])
    paths = [directory / f"stopping{suffix}" for suffix in EXPORTED]
    walls = {policy: result.wall(policy) for policy in result.policies}
    draw_intervals(paths, walls, "wall time relative to waiting for all samples")
    return written + paths


def _policies(result: ReplayResult) -> ExportedTable:
    columns = (
        *(Column("policy"), Column("right answers", 2)),
        *(Column(name, 2) for name in result.recordings),
        *(Column("wall seconds"), Column("tokens"), Column("cut", 1), Column("starved", 1), Column("two runs", 1)),
    )
    figures = ("seconds", "tokens", "cut", "starved", "two_runs")
    rows: list[tuple[Cell, ...]] = [
        (
            *(policy, result.correct(policy)),
            *(result.correct(policy, name) for name in result.recordings),
            *(result.mean(policy, figure) for figure in figures),
        )
        for policy in result.scores
    ]
    setting = result.setting
    caption = (
        f"Right answers of {setting.problems} with 95% intervals, and means of a run: seconds, generated tokens, "
        "samples stopped before their end, problems for which no time was left, AIMO-3's score of two runs; "
        f"{result.repeats} runs per recording, {setting.samples} lanes on {setting.hardware.name}, "
        f"{setting.limit:,.0f} s a run, seed {setting.seed}."
    )
    return ExportedTable("policies", caption, columns, tuple(rows))


def _bounds(result: ReplayResult) -> ExportedTable:
    columns = (Column("bound"), Column("right answers", 2), *(Column(name, 2) for name in result.recordings))
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (name, fmean(values), *values) for name, values in result.bound_values().items()
    )
    return ExportedTable("bounds", f"Right answers of {result.setting.problems}; {bounds_know(result)}.", columns, rows)


def _comparisons(result: ReplayResult, comparisons: Sequence[PolicyPair]) -> ExportedTable:
    columns = (
        *(Column("policy"), Column("minus"), Column("right answers", 2)),
        *(Column(name, 2) for name in result.recordings),
        *(Column("problems to see 1"), Column("smallest seen", 2), Column("runs to see 1", 1)),
    )
    rows: list[tuple[Cell, ...]] = []
    for pair in comparisons:
        each = (result.difference(*pair, name) for name in result.recordings)
        rows.append((*pair, result.difference(*pair), *each, *_needed(result, pair)))
    caption = (
        f"Differences in right answers of {result.setting.problems} over the same runs, with 95% intervals, and how "
        f"many problems show a difference of 1 in {POWER:.0%} of comparisons; the smallest difference that these "
        "problems show; how many runs of a recording show 1 with these problems at least, - where no number does."
    )
    return ExportedTable("comparisons", caption, columns, tuple(rows))


def _needed(result: ReplayResult, pair: PolicyPair) -> tuple[Cell, Cell, Cell]:
    """Problems that show a difference of 1, the smallest difference that is seen, and runs that show one of 1."""
    power = result.power(*pair)
    if power is None or not power.spread:
        return None, None, None
    count = result.setting.problems
    times = power.samples_for(1 / count)
    return power.problems_for(1 / count), power.detectable * count, None if times is None else times * result.repeats
