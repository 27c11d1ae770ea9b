"""Present the results of a replay: tables, JSON, a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.table import Table

from tools.replay.full_runs import ReplayResult
from tools.replay.stop import ORACLE, SEEN_LOSS, StoppingResult
from tools.shared.chart_files import draw_curves
from tools.shared.intervals import Interval
from tools.shared.power import POWER

PolicyPair = tuple[str, str]
RUN_COLUMNS = (
    "wall: share of the time limit that was spent; M tokens: millions generated; cut: samples stopped before their "
    "end; starved: problems for which no time was left; two runs: AIMO-3's score of two runs"
)
"""What the columns of full runs mean."""
_OTHER_HALF = "the same, fitted to the half of the problems that it is not measured on"
BOUND_MEANINGS: Mapping[str, str] = {
    "knapsack": "knows each problem's accuracy over time",
    "oracle": "knows every sample",
    "online, one price": "knows the population of problems, not which of them it faces, and the best moments to stop "
    "at one price of a second; its bank is met on average",
    "online, one price, other half": _OTHER_HALF,
    "online, fitted": "knows the population, and the best policy that a search found in a family",
    "online, fitted, other half": _OTHER_HALF,
}
"""What each bound knows that a policy does not, by its name in tables."""
STOP_COLUMNS = (
    "wall time is relative to waiting for all samples; accuracy lost is against it; gap closed: how much of the wall "
    "time between margin-3 and an oracle, which knows every sample and stops each problem once its answer is settled; "
    f"problems: how many show a loss of {SEEN_LOSS} in {POWER:.0%} of comparisons"
)
"""What the columns of stopping alone mean."""


def bounds_know(result: ReplayResult) -> str:
    """Return what the bounds that were worked out know, as a caption; "" without bounds."""
    told = "; ".join(f"({name}) {BOUND_MEANINGS[name]}" for name in result.bound_values())
    return told and f"what the bounds know: {told}"


def runs_table(result: ReplayResult) -> Table:
    """Return a row per policy: right answers on each recording, their mean with its interval, the cost of a run."""
    title = f"right answers of {result.setting.problems}, {result.repeats} runs per recording"
    caption = f"{RUN_COLUMNS}; {bounds_know(result)}" if result.bounds else RUN_COLUMNS
    table = Table(title=title, caption=caption, caption_justify="left")
    table.add_column("policy")
    for name in (*result.recordings, "mean", "95% interval", "wall", "M tokens", "cut", "starved", "two runs"):
        table.add_column(name, justify="right")
    for policy in result.scores:
        mean = result.correct(policy)
        table.add_row(
            policy,
            *(f"{result.correct(policy, name).value:.1f}" for name in result.recordings),
            f"{mean.value:.2f}",
            _range(mean, 1),
            f"{result.mean(policy, 'seconds') / result.setting.limit:.0%}",
            f"{result.mean(policy, 'tokens') / 1e6:.2f}",
            f"{result.mean(policy, 'cut'):.0f}",
            f"{result.mean(policy, 'starved'):.1f}",
            f"{result.mean(policy, 'two_runs'):.1f}",
        )
    for bound, values in result.bound_values().items():
        table.add_row(f"({bound})", *(f"{v:.1f}" for v in values), f"{sum(values) / len(values):.2f}", style="dim")
    return table


def runs_json(result: ReplayResult, comparisons: Sequence[PolicyPair]) -> dict[str, Any]:
    """Return the figures of the table and more as plain data; seconds, tokens and counts are means over runs."""
    policies = {}
    for policy, scores in result.scores.items():
        policies[policy] = {
            **_figures(result, policy),
            "recordings": {
                name: {
                    "mean_correct": result.correct(policy, name).value,
                    "interval": _ends(result.correct(policy, name)),
                    "wall_seconds": score.seconds,
                    "wall_share": score.seconds / result.setting.limit,
                    "tokens": score.tokens,
                    "lanes_cut": score.cut,
                    "starved": score.starved,
                    "two_run_score": score.two_runs,
                }
                for name, score in scores.items()
            },
        }
    return {
        "kind": "full runs",
        "setting": _setting(result),
        "policies": policies,
        "bounds": {name: asdict(bounds) for name, bounds in result.bounds.items()},
        "bounds_know": bounds_know(result),
        "comparisons": [comparison_json(result, pair) for pair in comparisons],
    }


def comparison_json(result: ReplayResult, pair: PolicyPair) -> dict[str, Any]:
    """Return how many more right answers the first policy gives than the second, over the same runs."""
    first, second = pair
    difference = result.difference(first, second)
    return {
        "policies": list(pair),
        "difference": difference.value,
        "interval": _ends(difference),
        "power": _power_json(result, pair),
        "recordings": {
            name: {
                "difference": result.difference(first, second, name).value,
                "interval": _ends(result.difference(first, second, name)),
            }
            for name in result.recordings
        },
    }


def comparison_line(result: ReplayResult, pair: PolicyPair) -> str:
    """Return the comparison as one line of text."""
    difference = result.difference(*pair)
    each = ", ".join(f"{name} {result.difference(*pair, name).value:+.1f}" for name in result.recordings)
    return f"{pair[0]} minus {pair[1]}: {difference.value:+.2f} ({_range(difference, 2)}); {each}"


def power_line(result: ReplayResult, pair: PolicyPair) -> str:
    """Return what it takes to see a difference of one right answer between the policies, as one line of text."""
    power = result.power(*pair)
    count = result.setting.problems
    if power is None:
        return ""
    return power.sentence(f"1 right answer of {count}", 1 / count, drawn="runs")


def stop_table(result: StoppingResult) -> Table:
    """Return a row per policy: accuracy and relative wall time on each recording, and their means with intervals."""
    title = "one problem at a time: accuracy / wall time relative to waiting for all"
    table = Table(title=title, caption=STOP_COLUMNS, caption_justify="left")
    table.add_column("policy")
    for name in (*result.recordings, "mean", "accuracy lost, 95%", "problems", "wall, 95%", "gap closed"):
        table.add_column(name, justify="right")
    for policy in result.policies:
        lost = result.loss(policy)
        table.add_row(
            policy if policy != ORACLE else f"({ORACLE})",
            *(
                f"{result.accuracy(policy, n).value:.3f} / {result.wall(policy, n).value:.2f}"
                for n in range(len(result.recordings))
            ),
            f"{result.accuracy(policy).value:.4f} / {result.wall(policy).value:.3f}",
            f"{lost.value:+.4f} ({_range(lost, 4)})",
            "-" if (count := problems_for_loss(result, policy)) is None else f"{count:,}",
            _range(result.wall(policy), 3),
            f"{result.gap_closed(policy).value:.0%}",
        )
    return table


def problems_for_loss(result: StoppingResult, policy: str) -> int | None:
    """Return how many problems show a loss of SEEN_LOSS; None where that is not known, as where nothing differs."""
    power = result.power(policy)
    return None if power is None or not power.spread else power.problems_for(SEEN_LOSS)


def stop_json(result: StoppingResult) -> dict[str, Any]:
    """Return the figures of the table and more as plain data."""
    places = {name: n for n, name in enumerate(result.recordings)}
    return {
        "kind": "stop only",
        "policies": {
            policy: {
                **_stop_figures(result, policy, None),
                f"problems_for_a_loss_of_{SEEN_LOSS}": problems_for_loss(result, policy),
                "recordings": {name: _stop_figures(result, policy, n) for name, n in places.items()},
            }
            for policy in result.policies
        },
    }


def draw_chart(path: Path, budgets: Sequence[float], results: Sequence[ReplayResult], unit: str) -> None:
    """Draw right answers over the time limit, a line per policy and per bound, into an image file.

    The bounds have a legend of what they know. Raises InputError if the file cannot be written.
    """
    curves = {
        policy: [(budget, result.correct(policy)) for budget, result in zip(budgets, results, strict=True)]
        for policy in results[0].scores
    }
    values = [result.bound_values() for result in results]
    bounds = {
        f"{bound}: {BOUND_MEANINGS[bound]}": list(zip(budgets, [fmean(each[bound]) for each in values], strict=True))
        for bound in values[0]
    }
    axes = (unit, f"right answers of {results[0].setting.problems}, mean over recordings")
    draw_curves([path], curves, axes, bounds=bounds)


def _figures(result: ReplayResult, policy: str) -> dict[str, Any]:
    mean = result.correct(policy)
    return {
        "mean_correct": mean.value,
        "interval": _ends(mean),
        "wall_seconds": result.mean(policy, "seconds"),
        "wall_share": result.mean(policy, "seconds") / result.setting.limit,
        "tokens": result.mean(policy, "tokens"),
        "lanes_cut": result.mean(policy, "cut"),
        "starved": result.mean(policy, "starved"),
        "two_run_score": result.mean(policy, "two_runs"),
    }


def _stop_figures(result: StoppingResult, policy: str, place: int | None) -> dict[str, Any]:
    accuracy, lost, wall = (
        result.accuracy(policy, place),
        result.loss(policy, place),
        result.wall(policy, place),
    )
    return {
        "accuracy": accuracy.value,
        "accuracy_interval": _ends(accuracy),
        "accuracy_minus_wait_for_all": lost.value,
        "accuracy_minus_wait_for_all_interval": _ends(lost),
        "wall": wall.value,
        "wall_interval": _ends(wall),
        "gap_closed": result.gap_closed(policy, place).value,
        "gap_closed_interval": _ends(result.gap_closed(policy, place)),
    }


def _power_json(result: ReplayResult, pair: PolicyPair) -> dict[str, Any] | None:
    """What shows a difference of one right answer of a run; None for a single problem.

    The runs are those of a recording with these problems, None where no number is enough or that is not known.
    """
    power = result.power(*pair)
    if power is None:
        return None
    count = result.setting.problems
    return {
        "problems": power.problems,
        "detectable_difference": power.detectable * count,
        "problems_for_one_right_answer": power.problems_for(1 / count),
        "runs_for_one_right_answer": None
        if (times := power.samples_for(1 / count)) is None
        else times * result.repeats,
    }


def _setting(result: ReplayResult) -> dict[str, Any]:
    setting = result.setting
    return {
        "hardware": setting.hardware.name,
        "samples": setting.samples,
        "problems": setting.problems,
        "problems_stated": setting.stated,
        "time_limit_seconds": setting.limit,
        "token_cap": setting.token_cap,
        "seed": setting.seed,
        "repeats": result.repeats,
        "recordings": list(result.recordings),
    }


def _range(value: Interval, digits: int) -> str:
    return f"{value.low:.{digits}f} to {value.high:.{digits}f}"


def _ends(value: Interval) -> list[float]:
    return [value.low, value.high]
