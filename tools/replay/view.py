"""Shows the results of a replay: tables, JSON, a chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from agent.errors import InputError
from tools.replay.stop import CLAIRVOYANT, StopOnly
from tools.replay.whole import Whole
from tools.shared.intervals import Interval

Comparison = tuple[str, str]


def whole_table(whole: Whole) -> Table:
    """A row a policy: right answers on each recording and as a mean with its interval, and the cost of a run."""
    table = Table(title=f"right answers of {whole.setting.problems}, {whole.repeats} runs a recording")
    table.add_column("policy")
    for name in (*whole.recordings, "mean", "95% interval", "wall", "M tokens", "cut", "starved", "two runs"):
        table.add_column(name, justify="right")
    for policy in whole.scores:
        mean = whole.correct(policy)
        table.add_row(
            policy,
            *(f"{whole.correct(policy, name).value:.1f}" for name in whole.recordings),
            f"{mean.value:.2f}",
            _range(mean, 1),
            f"{whole.mean(policy, 'seconds') / whole.setting.limit:.0%}",
            f"{whole.mean(policy, 'tokens') / 1e6:.2f}",
            f"{whole.mean(policy, 'cut'):.0f}",
            f"{whole.mean(policy, 'starved'):.1f}",
            f"{whole.mean(policy, 'two_runs'):.1f}",
        )
    for bound in ("knapsack", "clairvoyant") if whole.bounds else ():
        values = [getattr(whole.bounds[name], bound) for name in whole.recordings]
        table.add_row(f"({bound})", *(f"{v:.1f}" for v in values), f"{sum(values) / len(values):.2f}", style="dim")
    return table


def whole_json(whole: Whole, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """All that the table shows and more, as plain data; seconds, tokens and counts are means over runs."""
    policies = {}
    for policy, scores in whole.scores.items():
        policies[policy] = {
            **_figures(whole, policy),
            "recordings": {
                name: {
                    "mean_correct": whole.correct(policy, name).value,
                    "interval": _ends(whole.correct(policy, name)),
                    "wall_seconds": score.seconds,
                    "wall_share": score.seconds / whole.setting.limit,
                    "tokens": score.tokens,
                    "lanes_cut": score.cut,
                    "starved": score.starved,
                    "two_run_score": score.two_runs,
                }
                for name, score in scores.items()
            },
        }
    return {
        "kind": "whole runs",
        "setting": _setting(whole),
        "policies": policies,
        "bounds": {name: asdict(bounds) for name, bounds in whole.bounds.items()},
        "comparisons": [comparison_json(whole, pair) for pair in comparisons],
    }


def comparison_json(whole: Whole, pair: Comparison) -> dict[str, Any]:
    """How many more right answers the first policy gives than the second, over the same runs."""
    first, second = pair
    difference = whole.difference(first, second)
    return {
        "policies": list(pair),
        "difference": difference.value,
        "interval": _ends(difference),
        "recordings": {
            name: {
                "difference": whole.difference(first, second, name).value,
                "interval": _ends(whole.difference(first, second, name)),
            }
            for name in whole.recordings
        },
    }


def comparison_line(whole: Whole, pair: Comparison) -> str:
    """The comparison in a sentence."""
    difference = whole.difference(*pair)
    each = ", ".join(f"{name} {whole.difference(*pair, name).value:+.1f}" for name in whole.recordings)
    return f"{pair[0]} less {pair[1]}: {difference.value:+.2f} ({_range(difference, 2)}); {each}"


def stop_table(result: StopOnly) -> Table:
    """A row a policy: accuracy and relative wall time on each recording, and their means with intervals."""
    table = Table(title="one problem at a time: accuracy / wall time relative to waiting for all")
    table.add_column("policy")
    for name in (*result.recordings, "mean", "accuracy lost, 95%", "wall, 95%", "gap closed"):
        table.add_column(name, justify="right")
    for policy in result.policies:
        lost = result.loss(policy)
        table.add_row(
            policy if policy != CLAIRVOYANT else f"({CLAIRVOYANT})",
            *(
                f"{result.accuracy(policy, n).value:.3f} / {result.wall(policy, n).value:.2f}"
                for n in range(len(result.recordings))
            ),
            f"{result.accuracy(policy).value:.4f} / {result.wall(policy).value:.3f}",
            f"{lost.value:+.4f} ({_range(lost, 4)})",
            _range(result.wall(policy), 3),
            f"{result.gap_closed(policy).value:.0%}",
        )
    return table


def stop_json(result: StopOnly) -> dict[str, Any]:
    """All that the table shows and more, as plain data."""
    places = {name: n for n, name in enumerate(result.recordings)}
    return {
        "kind": "stop only",
        "policies": {
            policy: {
                **_stop_figures(result, policy, None),
                "recordings": {name: _stop_figures(result, policy, n) for name, n in places.items()},
            }
            for policy in result.policies
        },
    }


def draw_chart(path: Path, budgets: Sequence[float], results: Sequence[Whole], unit: str) -> None:
    """Right answers against the time limit, a line a policy, into an image file. Raises InputError if it cannot."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("--chart needs Matplotlib: pip install 'aimo-agent[lab]', or leave the flag out") from None
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for policy in results[0].scores:
        means = [whole.correct(policy) for whole in results]
        axes.plot(budgets, [mean.value for mean in means], marker="o", label=policy)
        axes.fill_between(budgets, [mean.low for mean in means], [mean.high for mean in means], alpha=0.08)
    if results[0].bounds:
        for bound in ("knapsack", "clairvoyant"):
            values = [sum(getattr(b, bound) for b in w.bounds.values()) / len(w.bounds) for w in results]
            axes.plot(budgets, values, linestyle=":", color="grey", label=bound)
    axes.set_xlabel(unit)
    axes.set_ylabel(f"right answers of {results[0].setting.problems}, mean over recordings")
    axes.legend(fontsize="small")
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise InputError(f"the chart cannot be written to {path} ({error}): name a .png, .svg or .pdf file") from error


def _figures(whole: Whole, policy: str) -> dict[str, Any]:
    mean = whole.correct(policy)
    return {
        "mean_correct": mean.value,
        "interval": _ends(mean),
        "wall_seconds": whole.mean(policy, "seconds"),
        "wall_share": whole.mean(policy, "seconds") / whole.setting.limit,
        "tokens": whole.mean(policy, "tokens"),
        "lanes_cut": whole.mean(policy, "cut"),
        "starved": whole.mean(policy, "starved"),
        "two_run_score": whole.mean(policy, "two_runs"),
    }


def _stop_figures(result: StopOnly, policy: str, place: int | None) -> dict[str, Any]:
    accuracy, lost, wall = (
        result.accuracy(policy, place),
        result.loss(policy, place),
        result.wall(policy, place),
    )
    return {
        "accuracy": accuracy.value,
        "accuracy_interval": _ends(accuracy),
        "accuracy_less_wait_for_all": lost.value,
        "accuracy_less_wait_for_all_interval": _ends(lost),
        "wall": wall.value,
        "wall_interval": _ends(wall),
        "gap_closed": result.gap_closed(policy, place).value,
        "gap_closed_interval": _ends(result.gap_closed(policy, place)),
    }


def _setting(whole: Whole) -> dict[str, Any]:
    setting = whole.setting
    return {
        "hardware": setting.hardware.name,
        "samples": setting.samples,
        "problems": setting.problems,
        "time_limit_seconds": setting.limit,
        "token_cap": setting.token_cap,
        "seed": setting.seed,
        "repeats": whole.repeats,
        "recordings": list(whole.recordings),
    }


def _range(value: Interval, digits: int) -> str:
    return f"{value.low:.{digits}f} to {value.high:.{digits}f}"


def _ends(value: Interval) -> list[float]:
    return [value.low, value.high]
