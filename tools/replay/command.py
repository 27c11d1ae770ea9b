"""Evaluate policies on recorded samples: full runs of a competition in virtual time, or stopping alone.

python -m tools.replay traces/ --policy price --policy aimo3-clamp --budget-tokens 9000
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from agent.cli.arguments import seconds
from agent.cli.numbers import draw_seed, positive_number, whole_number
from agent.cli.one_line_parser import OneLineParser
from agent.errors import InputError
from agent.hardware.roofline import HARDWARE
from tools.replay.bounds.online import check_halves
from tools.replay.export import export_runs, export_stops
from tools.replay.full_runs import ReplayResult, replay_runs
from tools.replay.policies import DEFAULT_STOP, OURS, POLICIES, POLICY_HELP
from tools.replay.recordings import REPLAYED_EDITION, Recording, check_drawable, load_recordings
from tools.replay.run import NO_LIMIT, Setting, replay_config
from tools.replay.stop import StoppingResult, replay_stopping
from tools.replay.view import comparison_line, draw_chart, power_line, runs_json, runs_table, stop_json, stop_table
from tools.shared.chart_files import check_charts
from tools.shared.command_line import REPLAYED_SAMPLES, run_command
from tools.shared.exports import check_export
from tools.shared.wide_tables import fitting_tables

_DEFAULT_POLICIES = (OURS, DEFAULT_STOP, "aimo3-clamp")
_POLICY_FLAG = f"a policy, see below; may be repeated (default: {', '.join(_DEFAULT_POLICIES)})"
# Flags that say nothing of stopping alone.
_OF_RUNS = ("compare", "chart", "bounds", "budget_tokens", "time_limit", "problems_stated")
_CHART_STEPS = (0.5, 0.75, 1.0, 1.5, 2.0)  # times the limit


@dataclass(frozen=True, slots=True)
class _Experiment:
    """The recordings, policies and settings of one call."""

    args: argparse.Namespace
    recordings: Sequence[Recording]
    policies: Sequence[str]
    setting: Setting
    console: Console

    def play(self, limit: float) -> ReplayResult:
        """Play full runs under a time limit in seconds."""
        setting = replace(self.setting, limit=limit)
        bounds, online = not self.args.no_bounds, self.args.bounds == "online"
        return replay_runs(self.recordings, self.policies, setting, bounds=bounds, online=online, **self._how)

    def play_stops(self) -> StoppingResult:
        """Play each problem by itself."""
        return replay_stopping(self.recordings, self.policies, self.setting, **self._how)

    @property
    def _how(self) -> dict[str, Any]:
        args = self.args
        return {"repeats": args.repeats, "processes": args.processes, "ray": args.ray, "console": self.console}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = _parser().parse_args(argv)

    def replay(console: Console) -> None:
        _check(args)
        recordings = load_recordings(args.recordings, math.inf if args.forced_from is None else args.forced_from)
        experiment = _Experiment(args, recordings, _policies(args), _setting(args), console)
        _check_playable(experiment)
        console.print(_recognised(recordings), soft_wrap=True, markup=False, highlight=False)
        if args.stop_only:
            _show_stops(experiment)
        else:
            _show_runs(experiment)

    return run_command(replay)


def _show_stops(experiment: _Experiment) -> None:
    result = experiment.play_stops()
    if experiment.args.json:
        print(json.dumps(stop_json(result), indent=2))
    else:
        _print_table(_out(), stop_table(result), result.recordings)
    if experiment.args.export:
        _tell_files(experiment, export_stops(experiment.args.export, result))


def _show_runs(experiment: _Experiment) -> None:
    args, setting = experiment.args, experiment.setting
    if told := _repeated_problems(experiment):
        experiment.console.print(told, soft_wrap=True, markup=False, highlight=False)
    result = experiment.play(setting.limit)
    pairs = [tuple(pair) for pair in args.compare or ()]
    if args.json:
        print(json.dumps(runs_json(result, pairs), indent=2))
    else:
        out = _out()
        _print_table(out, runs_table(result), result.recordings)
        for pair in pairs:
            for line in (comparison_line(result, pair), power_line(result, pair)):
                out.print(line, soft_wrap=True, markup=False, highlight=False)
    if args.export:
        _tell_files(experiment, export_runs(args.export, result, pairs))
    if args.chart:
        limits = [step * setting.limit for step in _CHART_STEPS]
        results = []
        for number, limit in enumerate(limits, 1):
            experiment.console.print(f"for the chart: time limit {number} of {len(limits)}, {limit / 3600:.2f} h")
            results.append(result if limit == setting.limit else experiment.play(limit))
        draw_chart(args.chart, [limit / 3600 for limit in limits], results, f"hours on {setting.hardware.name}")
        experiment.console.print(f"chart in {args.chart}", soft_wrap=True, markup=False)


def _tell_files(experiment: _Experiment, files: Sequence[Path]) -> None:
    names = ", ".join(path.name for path in files)
    experiment.console.print(f"in {experiment.args.export}: {names}", soft_wrap=True, markup=False, highlight=False)


def _print_table(out: Console, table: Table, recordings: Sequence[str]) -> None:
    """Print a table of policies, whose recordings follow in further tables where it is too wide."""
    for part in fitting_tables(table, range(1, 1 + len(recordings)), out):
        out.print(part)


def _out() -> Console:
    """Return standard output as a console; a file or a pipe gets wide tables."""
    return Console(width=None if sys.stdout.isatty() else 200)


def _policies(args: argparse.Namespace) -> list[str]:
    named = [name for value in args.policy or () for name in (POLICIES if value == "all" else [value])]
    compared = [name for pair in args.compare or () for name in pair]
    return list(dict.fromkeys([*named, *compared] or _DEFAULT_POLICIES))


def _setting(args: argparse.Namespace) -> Setting:
    hardware = HARDWARE[args.hardware]
    limit = REPLAYED_EDITION.time_limit_seconds
    if args.budget_tokens is not None:
        limit = args.problems * hardware.seconds(args.budget_tokens, args.samples)
    elif args.time_limit is not None:
        limit = seconds(args.time_limit)
    if args.stop_only:
        limit = NO_LIMIT
    return Setting(hardware, args.samples, args.problems, limit, args.token_cap, args.seed, args.problems_stated)


def _check_playable(experiment: _Experiment) -> None:
    """Check everything before hours are spent on it. Raises InputError."""
    for policy in experiment.policies:
        replay_config(policy, experiment.recordings[0], experiment.setting)
    check_drawable(experiment.recordings, experiment.setting.samples)
    if experiment.args.bounds:
        check_halves(experiment.recordings)


def _recognised(recordings: Sequence[Recording]) -> str:
    """What was read, by its kind."""
    kinds: dict[str, list[Recording]] = {}
    for each in recordings:
        kinds.setdefault(each.source, []).append(each)
    return "read " + "; ".join(
        f"{', '.join(each.name for each in read)} ({sum(len(each.problems) for each in read)} problems, from {kind})"
        for kind, read in kinds.items()
    )


def _repeated_problems(experiment: _Experiment) -> str:
    """Which recordings have fewer problems than a run, so that some of them come twice or more; "" where none has."""
    count = experiment.setting.problems
    short = [f"{each.name} has {len(each.problems)}" for each in experiment.recordings if len(each.problems) < count]
    if not short:
        return ""
    return f"a run has {count} problems (--problems sets how many), so some come more than once: {', '.join(short)}"


def _check(args: argparse.Namespace) -> None:
    given = [f"--{name.replace('_', '-')}" for name in _OF_RUNS if getattr(args, name) is not None]
    if args.stop_only and given:
        raise InputError(f"--stop-only plays no runs, which have a time limit: leave out {', '.join(given)}")
    if args.chart:
        check_charts(args.chart)
    if args.export:
        check_export(args.export)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m tools.replay",
        description="Evaluate stopping, voting and budget policies on recorded samples, with the real solver in "
        "virtual time.",
        epilog=POLICY_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recordings", nargs="+", type=Path, metavar="PATH", help="trace files, folders of them, runs")
    what = parser.add_argument_group("what to evaluate")
    what.add_argument("--policy", action="append", metavar="NAME", help=_POLICY_FLAG)
    what.add_argument("--compare", nargs=2, action="append", metavar=("A", "B"), help="paired difference A minus B")
    what.add_argument("--stop-only", action="store_true", help="stopping alone, one problem at a time")
    where = parser.add_argument_group("the competition")
    where.add_argument("--hardware", choices=sorted(HARDWARE), default="kaggle-l4x4", help="default: kaggle-l4x4")
    where.add_argument("--samples", type=whole_number, default=REPLAYED_SAMPLES, metavar="K", help="lanes a problem")
    limit = where.add_mutually_exclusive_group()
    limit.add_argument(
        "--budget-tokens", type=positive_number, metavar="N", help="mean tokens a lane and problem within the limit"
    )
    limit.add_argument(
        "--time-limit", metavar="T", help="of a run: seconds, or like 90m or 5h (default: the edition's)"
    )
    where.add_argument("--token-cap", type=whole_number, metavar="N", help="a lane that reaches it has no vote")
    count = REPLAYED_EDITION.problem_count
    where.add_argument("--problems", type=whole_number, default=count, metavar="N", help="of a run")
    stated = "of a run, as the agent is told, which then gets them one after the other (default: as many as it has)"
    where.add_argument("--problems-stated", type=whole_number, metavar="N", help=stated)
    where.add_argument(
        "--forced-from",
        type=_share,
        metavar="F",
        help="a traced lane that is forced to answer gives its answer from this part of its tokens on (default: "
        "never, as traces do not tell)",
    )
    how = parser.add_argument_group("how much, and where")
    how.add_argument("--repeats", type=whole_number, default=20, metavar="N", help="runs, or draws a problem")
    how.add_argument("--seed", type=draw_seed, default=0, metavar="S", help="of problem orders and sample draws")
    how.add_argument("--processes", type=whole_number, metavar="N", help="default: one a core")
    how.add_argument("--ray", action="store_true", help="over a Ray cluster (needs the extra `ray`); same numbers")
    _add_output_flags(parser)
    return parser


def _add_output_flags(parser: argparse.ArgumentParser) -> None:
    out = parser.add_argument_group("what comes out")
    out.add_argument("--json", action="store_true", help="all figures as JSON on standard output")
    out.add_argument(
        "--chart",
        type=Path,
        metavar="FILE",
        help="right answers and bounds against five time limits, as .svg, .png or .pdf",
    )
    out.add_argument(
        "--export",
        type=Path,
        metavar="DIR",
        help="tables as .csv, .json, .md and .tex, charts as .svg and .png, into DIR",
    )
    bounds = out.add_mutually_exclusive_group()
    bounds.add_argument("--no-bounds", action="store_true", help="leave out the bounds, which cost a run each")
    bounds.add_argument(
        "--bounds",
        choices=["online"],
        help="also what a policy can reach that knows the population alone; minutes for each time limit",
    )


def _share(text: str) -> float:
    value = positive_number(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a part of the whole: give a number above 0, and at most 1")
    return value
