"""Compare the default policy with the best of many others, chosen on other models and problems.

    python -m tools.replay.fit traces/ --budget-tokens 9000 --budget-tokens 12000

For each recording, the published rule and parameter that is best on all the others is evaluated on this one; then the
same with the problems split into halves. The default learns from each run, and is not chosen among them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from agent.cli.numbers import draw_seed, positive_number, whole_number
from agent.cli.one_line_parser import OneLineParser
from agent.errors import InputError
from agent.hardware.roofline import HARDWARE
from tools.replay.full_runs import ReplayResult, replay_runs
from tools.replay.policies import OURS, WAIT
from tools.replay.recordings import REPLAYED_EDITION, check_drawable, load_recordings
from tools.replay.run import NO_LIMIT, Setting
from tools.replay.stop import ORACLE, REFERENCE, SEEN_LOSS, StoppingResult, replay_stopping
from tools.shared.command_line import REPLAYED_SAMPLES, run_command
from tools.shared.intervals import Floats, Interval, Ratio, interval, mean_ratio
from tools.shared.power import paired_power

BASELINE = "margin-3+aimo3-clamp"
MAX_ACCURACY_LOSS = 0.002  # against waiting for all, where stopping alone is fitted

_STOPPING = (
    *("margin-2", "margin-3", "margin-4", "beta-0.9", "beta-0.95", "agree-3", "agree-4", "agree-5"),
    *("window", "bayes-factor", "certified", "aimo2-second", "nemoskills", "hopeless"),
)
_GRANTS = ("spread-1", "spread-1.5", "spread-2", "spread-3", "aimo3-clamp")


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidate chosen without one part of the data, and the figures on that part."""

    held_out: str
    candidate: str
    chosen: float
    default: float
    baseline: float


@dataclass(frozen=True, slots=True)
class Fit:
    """A leave-one-out validation: a choice for each held-out part, and the mean gain over the baseline.

    `shown` says how many problems show a difference of right answers; "" of times.
    """

    title: str
    choices: tuple[Choice, ...]
    gain: Interval
    shown: str = ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = _parser().parse_args(argv)

    def fit(console: Console) -> None:
        fits = _fits(args, console)
        if args.json:
            print(json.dumps([_as_json(fit) for fit in fits], indent=2))
        else:
            for fit in fits:
                Console(width=None if sys.stdout.isatty() else 160).print(_table(fit))

    return run_command(fit)


def candidates(*, stop_only: bool) -> list[str]:
    """Return the default policy and those to choose among, BASELINE with them, as names for `tools.replay --policy`."""
    if stop_only:
        return [OURS, *_STOPPING]
    return [OURS, *(f"{stop}+{grant}" for stop in ("margin-2", "margin-3", "margin-4", "agree-4") for grant in _GRANTS)]


def _fits(args: argparse.Namespace, console: Console) -> list[Fit]:
    if args.stop_only and args.budget_tokens:
        raise InputError("--stop-only plays no runs, which have a time limit: leave out --budget-tokens")
    recordings = load_recordings(args.recordings)
    if len(recordings) < 2:
        raise InputError("leave-one-out validation needs two or more recordings: give the traces of several models")
    check_drawable(recordings, args.samples)
    hardware = HARDWARE[args.hardware]
    how: dict[str, Any] = {"repeats": args.repeats, "processes": args.processes, "ray": False, "console": console}
    setting = Setting(hardware, args.samples, args.problems, NO_LIMIT, None, args.seed)
    if args.stop_only:
        return stop_fits(replay_stopping(recordings, candidates(stop_only=True), setting, **how))
    results = []
    for tokens in args.budget_tokens or (9_000.0, 12_000.0):
        limit = args.problems * hardware.seconds(tokens, args.samples)
        tight = Setting(hardware, args.samples, args.problems, limit, None, args.seed)
        results.append(replay_runs(recordings, candidates(stop_only=False), tight, bounds=False, **how))
    return run_fits(results)


def run_fits(results: Sequence[ReplayResult]) -> list[Fit]:
    """Hold out each recording, then each half of the problems; figures are means over the time limits."""
    names, weights = results[0].recordings, results[0].weights
    policies = [policy for policy in results[0].scores if policy != OURS]

    def right(policy: str, chosen: Sequence[str], weights: Floats) -> Floats:
        """Return the right answers of a run, mean over recordings and limits, for each row of weights."""
        ratios = [[result.scores[policy][name].right for name in chosen] for result in results]
        problems = results[0].setting.problems
        return np.asarray(problems * np.mean([mean_ratio(of, weights) for of in ratios], axis=0), dtype=np.float64)

    def shares(policy: str, name: str) -> Floats:
        """The share of right answers of each problem on one recording, mean over the limits."""
        played = [result.scores[policy][name].right for result in results]
        return np.asarray(np.mean([each.above / np.maximum(each.below, 1e-12) for each in played], axis=0))

    def judged(held_out: str, best: str, chosen: Sequence[str], weights: Floats) -> Choice:
        values = [float(right(policy, chosen, weights[:1])[0]) for policy in (best, OURS, BASELINE)]
        return Choice(held_out, best, *values)

    by_recording, gains, changes = [], [], []
    for name in names:
        others = [other for other in names if other != name]
        best = max(policies, key=lambda policy: right(policy, others, weights[:1])[0])
        by_recording.append(judged(name, best, [name], weights))
        gains.append(right(best, [name], weights) - right(BASELINE, [name], weights))
        changes.append(shares(best, name) - shares(BASELINE, name))
    halves, half_gains, half_changes = [], [], np.zeros(weights.shape[1])
    even = (np.arange(weights.shape[1]) % 2 == 0).astype(np.float64)
    for title, seen in (("odd problems", even), ("even problems", 1 - even)):
        best = max(policies, key=lambda policy: right(policy, names, seen[None])[0])
        unseen = weights * (1 - seen)
        halves.append(judged(title, best, names, unseen))
        half_gains.append(right(best, names, unseen) - right(BASELINE, names, unseen))
        half_changes += (1 - seen) * np.mean([shares(best, name) - shares(BASELINE, name) for name in names], axis=0)
    count = results[0].setting.problems
    shown = [_shown(each, f"1 right answer of {count}", 1 / count) for each in (np.mean(changes, axis=0), half_changes)]
    titles = ("right answers, one recording held out", "right answers, one half of the problems held out")
    return [
        Fit(titles[0], tuple(by_recording), interval(np.mean(gains, axis=0)), shown[0]),
        Fit(titles[1], tuple(halves), interval(np.mean(half_gains, axis=0)), shown[1]),
    ]


def stop_fits(result: StoppingResult) -> list[Fit]:
    """Hold out each recording; choose the fastest candidate that loses little accuracy on the others."""
    policies = [policy for policy in result.policies if policy not in (WAIT, OURS, ORACLE)]
    places = range(len(result.recordings))

    def figure(by: Sequence[Floats], below: Sequence[Floats], chosen: Sequence[int], weights: Floats) -> Floats:
        return mean_ratio([Ratio(by[place], below[place]) for place in chosen], weights)

    def wall(policy: str, chosen: Sequence[int], weights: Floats) -> Floats:
        return figure(result.seconds[policy], result.seconds[WAIT], chosen, weights)

    def lost(policy: str, chosen: Sequence[int], weights: Floats) -> Floats:
        right = [figure(result.right[name], result.draws, chosen, weights) for name in (WAIT, policy)]
        return np.asarray(right[0] - right[1], dtype=np.float64)

    once = result.weights[:1]
    walls: list[Choice] = []
    losses: list[Choice] = []
    gains, loss_gains, changes = [], [], []
    for place in places:
        others = [other for other in places if other != place]
        fit = [policy for policy in policies if lost(policy, others, once)[0] <= MAX_ACCURACY_LOSS] or [REFERENCE]
        best = min(fit, key=lambda policy: wall(policy, others, once)[0])
        name = result.recordings[place]
        for rows, of in ((walls, wall), (losses, lost)):
            values = [float(of(policy, [place], once)[0]) for policy in (best, OURS, REFERENCE)]
            rows.append(Choice(name, best, *values))
        gains.append(wall(best, [place], result.weights) - wall(REFERENCE, [place], result.weights))
        loss_gains.append(lost(best, [place], result.weights) - lost(REFERENCE, [place], result.weights))
        changes.append(result.shares(best, place) - result.shares(REFERENCE, place))
    shown = _shown(np.mean(changes, axis=0), f"{SEEN_LOSS} in accuracy", SEEN_LOSS)
    return [
        Fit("wall time relative to waiting for all", tuple(walls), interval(np.mean(gains, axis=0))),
        Fit("accuracy lost against waiting for all", tuple(losses), interval(np.mean(loss_gains, axis=0)), shown),
    ]


def _shown(changes: Floats, difference: str, value: float) -> str:
    """How many problems show a difference, from the change of each; "" for a single problem."""
    power = paired_power(changes.tolist())
    return "" if power is None else power.sentence(difference, value)


def _table(fit: Fit) -> Table:
    table = Table(title=fit.title, caption=fit.shown or None, caption_justify="left")
    for column in ("held out", "chosen without it"):
        table.add_column(column)
    for column in ("chosen", "default", "published"):
        table.add_column(column, justify="right")
    for choice in fit.choices:
        figures = (choice.chosen, choice.default, choice.baseline)
        table.add_row(choice.held_out, choice.candidate, *(f"{value:.3f}" for value in figures))
    means = [float(np.mean([getattr(c, key) for c in fit.choices])) for key in ("chosen", "default", "baseline")]
    gain = f"chosen minus published {fit.gain.value:+.3f} ({fit.gain.low:.3f} to {fit.gain.high:.3f})"
    table.add_row("mean", gain, *(f"{value:.3f}" for value in means), style="bold")
    return table


def _as_json(fit: Fit) -> dict[str, Any]:
    return {
        "title": fit.title,
        "choices": [
            {
                "held_out": choice.held_out,
                "candidate": choice.candidate,
                "chosen": choice.chosen,
                "default": choice.default,
                "published": choice.baseline,
            }
            for choice in fit.choices
        ],
        "chosen_minus_published": fit.gain.value,
        "interval": [fit.gain.low, fit.gain.high],
        "shown": fit.shown,
    }


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m tools.replay.fit",
        description="Compare the default policy with the best of many others, chosen on other models and problems.",
    )
    parser.add_argument("recordings", nargs="+", type=Path, metavar="PATH", help="trace files and folders of them")
    parser.add_argument(
        "--budget-tokens",
        action="append",
        type=positive_number,
        metavar="N",
        help="mean tokens a lane and problem within the limit; may be repeated (default: 9000 and 12000)",
    )
    parser.add_argument("--stop-only", action="store_true", help="choose among stopping rules alone")
    parser.add_argument("--hardware", choices=sorted(HARDWARE), default="kaggle-l4x4", help="default: kaggle-l4x4")
    parser.add_argument("--samples", type=whole_number, default=REPLAYED_SAMPLES, metavar="K", help="lanes a problem")
    parser.add_argument(
        "--problems", type=whole_number, default=REPLAYED_EDITION.problem_count, metavar="N", help="of a run"
    )
    parser.add_argument("--repeats", type=whole_number, default=10, metavar="N", help="runs, or draws a problem")
    parser.add_argument("--seed", type=draw_seed, default=0, metavar="S", help="of problem orders and sample draws")
    parser.add_argument("--processes", type=whole_number, metavar="N", help="default: one a core")
    parser.add_argument("--json", action="store_true", help="as JSON on standard output")
    return parser


if __name__ == "__main__":
    sys.exit(main())
