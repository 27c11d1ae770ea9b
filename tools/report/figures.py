"""The figures of a recorded run, or of two beside their paired difference, as a table for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from rich.table import Table

from agent.config import Config
from tools.report.data import ProblemRecord, Run
from tools.report.stats import ballots_of, common_problems, known_problems, mean_interval, right_share, single_share
from tools.shared.intervals import Interval


@dataclass(frozen=True, slots=True)
class _Quantity:
    """A value of each problem, and the format of its mean."""

    name: str
    of: Callable[[ProblemRecord, Config], float]
    form: str = "{:.3f}"
    signed: bool = False

    def text(self, found: Interval, *, signed: bool = False) -> str:
        """The mean with its interval."""
        form = self.form.replace(":", ":+") if signed or self.signed else self.form
        value, low, high = (form.format(number) for number in (found.value, found.low, found.high))
        return f"{value} ({low} to {high})"


def _single(problem: ProblemRecord, _: Config) -> float:
    return single_share(problem)


def _majority(problem: ProblemRecord, config: Config) -> float:
    ballots = ballots_of(problem.counted, config)
    return right_share(ballots, problem.problem.answer, len(ballots), np.random.default_rng(0))


def _gain(problem: ProblemRecord, config: Config) -> float:
    return _majority(problem, config) - single_share(problem)


def _tokens(problem: ProblemRecord, _: Config) -> float:
    return fmean(sample.tokens for sample in problem.counted)


_QUANTITIES = (
    _Quantity("pass@1", _single),
    _Quantity("majority of all samples", _majority),
    _Quantity("what voting adds", _gain, signed=True),
    _Quantity("tokens a sample", _tokens, "{:,.0f}"),
)


def figures(runs: Sequence[Run]) -> Table:
    """pass@1, majority and length over the closed problems of known truth, with intervals.

    Every interval is the middle 95% of a bootstrap over problems. Of two runs the last column is the second less the
    first, paired by the problems that are in both.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    rows = [[quantity.name] for quantity in _QUANTITIES]
    for run in runs:
        problems = known_problems(run)
        table.add_column(f"{run.name}\n{_counts(problems)}")
        config = run.record.config
        for row, quantity in zip(rows, _QUANTITIES, strict=True):
            values = [quantity.of(problem, config) for problem in problems]
            row.append(quantity.text(mean_interval(values)) if values else "-")
    if len(runs) == 2:
        _add_difference(table, rows, *runs)
    for row in rows:
        table.add_row(*row)
    return table


def _add_difference(table: Table, rows: Sequence[list[str]], first: Run, second: Run) -> None:
    known = set.intersection(*({problem.problem.id for problem in known_problems(run)} for run in (first, second)))
    pairs = [pair for pair in common_problems(first, second) if pair[0].problem.id in known]
    table.add_column(f"difference\n{len(pairs)} problems in both")
    configs = [run.record.config for run in (first, second)]
    for row, quantity in zip(rows, _QUANTITIES, strict=True):
        values = [[quantity.of(p, c) for p, c in zip(pair, configs, strict=True)] for pair in pairs]
        changes = [after - before for before, after in values]
        row.append(quantity.text(mean_interval(changes), signed=True) if changes else "-")


def _counts(problems: Sequence[ProblemRecord]) -> str:
    samples = {len(problem.counted) for problem in problems}
    each = f"{min(samples)} to {max(samples)}" if len(samples) > 1 else f"{max(samples, default=0)}"
    return f"{len(problems)} problems, {each} samples each"
