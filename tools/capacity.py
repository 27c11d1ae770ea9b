"""KV-cache capacity and roofline throughput of the vLLM profiles: `python -m tools.capacity [PROFILE ...]`.

Models may be dense or have experts, of which each step reads those that its lanes pass; weights may be in MXFP4, and
attention full, in windows or linear.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from agent.cli.numbers import positive_number
from agent.cli.one_line_parser import OneLineParser
from agent.config import Config, load_config, profile_names
from agent.errors import AgentError, ConfigError
from agent.hardware.capacity import CapacityPlan
from agent.hardware.detect import (
    CPU,
    Gpu,
    describe,
    find_gpus,
    kv_cache_warning,
    profile_plan,
    profile_problem,
    read_model,
)
from agent.hardware.devices import KNOWN_DEVICES, Device

LANES = (1, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """A profile, its plan (None if model or device are unknown) and why it cannot run here ("" if it can)."""

    config: Config
    plan: CapacityPlan | None
    problem: str

    @property
    def speeds(self) -> dict[int, float | None]:
        """The roofline throughput in tokens/s at each number of lanes that fits at the mean context."""
        plan = self.plan
        if plan is None:
            return dict.fromkeys(LANES)
        most = plan.lanes_at(plan.mean_context)
        return {k: plan.tokens_per_second(k, plan.mean_context) if k <= most else None for k in LANES}

    @property
    def planned(self) -> tuple[float, float] | None:
        """The low and the high end of the throughput to plan with, in tokens/s at the profile's own lanes."""
        plan = self.plan
        return None if plan is None else plan.planned_tokens_per_second(self.config.sample.count, plan.mean_context)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; return the exit status."""
    parser = OneLineParser(prog="python -m tools.capacity", description=__doc__)
    parser.add_argument(
        "profiles",
        nargs="*",
        metavar="PROFILE",
        help="a name or a TOML file (default: all of vLLM); its model is read from config.json, or known by its name",
    )
    parser.add_argument(
        "--cpu-bandwidth", type=positive_number, metavar="GB/S", help="memory bandwidth of this machine's CPU"
    )
    parser.add_argument(
        "--cpu-flops", type=positive_number, metavar="GFLOP/S", help="16-bit operations a second of its CPU"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(argv)
    try:
        gpus, cpu = find_gpus(), _cpu(args)
        rows = [_row(config, gpus, cpu) for config in _configs(args.profiles)]
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if args.json:
        found = [{"name": gpu.name, "memory_bytes": gpu.memory_bytes} for gpu in gpus]
        print(json.dumps({"gpus": found, "profiles": [_as_json(row) for row in rows]}, indent=2))
    else:
        _show(rows, gpus)
    return 0


def _configs(names: Sequence[str]) -> list[Config]:
    """Load the profiles named, or all bundled ones that start vLLM."""
    bundled = [config for config in map(load_config, profile_names()) if config.engine.kind == "vllm"]
    configs = [load_config(name) for name in names] or bundled
    for config in configs:
        if config.engine.kind != "vllm":
            raise ConfigError(
                f"profile {config.profile} does not start vLLM (engine.kind is {config.engine.kind!r}): "
                f"name one of {', '.join(config.profile for config in bundled)}"
            )
    return configs


def _cpu(args: argparse.Namespace) -> Device:
    """Return this machine's CPU with the figures given: no data sheet says what vLLM's kernels reach on a CPU."""
    bandwidth, flops = (None if value is None else value * 1e9 for value in (args.cpu_bandwidth, args.cpu_flops))
    return Device(CPU, 0, bandwidth, flops)


def _row(config: Config, gpus: Sequence[Gpu], cpu: Device) -> ProfileRow:
    """Return the profile's row, for the device that it is sized for, or the GPU found here if it accepts any."""
    kind = config.vllm.gpu
    device = cpu if kind == CPU else KNOWN_DEVICES.get(kind, gpus[0].device if gpus else None)
    model = read_model(config)
    plan = None if model is None or device is None else profile_plan(config, model, device)
    return ProfileRow(config, plan, profile_problem(config, gpus))


def _as_json(row: ProfileRow) -> dict[str, Any]:
    config, plan = row.config, row.plan
    told = {
        "profile": config.profile,
        "model": config.engine.model,
        "gpu": config.vllm.gpu,
        "gpus_needed": config.vllm.tensor_parallel_size * config.vllm.data_parallel_size,
        "lanes": config.sample.count,
        "context_tokens": config.engine.context_tokens,
        "fits_here": not row.problem,
        "problem_here": row.problem,
    }
    if plan is None:
        return told
    return told | {
        "total_parameters": plan.model.total_parameters,
        "active_parameters": plan.model.active_parameters,
        "weight_bytes": plan.model.weight_bytes,
        "kv_token_bytes": plan.kv_token_bytes,
        "lane_bytes_at_mean_context": plan.lane_bytes(plan.mean_context),
        "kv_tokens": plan.kv_tokens,
        "mean_context_tokens": plan.mean_context,
        "lanes_that_fit_at_mean_context": plan.lanes_at(plan.mean_context),
        "lanes_that_fit_at_full_context": plan.lanes_at(plan.context_tokens),
        "roofline_tokens_per_second": {str(lanes): speed for lanes, speed in row.speeds.items()},
        "planned_tokens_per_second": row.planned,
        "problem": plan.reason,
        "kv_cache_warning": kv_cache_warning(config),
    }


def _show(rows: Sequence[ProfileRow], gpus: Sequence[Gpu]) -> None:
    console = Console()
    console.print(_memory_table(rows))
    console.print()
    console.print(_speed_table(rows))
    console.print()
    console.print(f"found here: {describe(gpus)}", markup=False)
    for row in rows:
        reason = row.plan.reason if row.plan else ""
        for problem in dict.fromkeys(filter(None, (row.problem, reason, kv_cache_warning(row.config)))):
            console.print(f"{row.config.profile}: {problem}", markup=False, soft_wrap=True)


def _memory_table(rows: Sequence[ProfileRow]) -> Table:
    table = Table(
        title="memory",
        box=None,
        padding=(0, 1, 0, 0),
        caption="GB: size of the weights, all experts included; fit: lanes that fit at half and at full context length",
    )
    for heading in ("profile", "hardware"):
        table.add_column(heading, no_wrap=True)
    for heading in ("GB", "KV tokens", "context", "lanes", "fit", "here"):
        table.add_column(heading, justify="right")
    for row in rows:
        config, plan = row.config, row.plan
        needed = config.vllm.tensor_parallel_size * config.vllm.data_parallel_size
        table.add_row(
            config.profile,
            f"{needed} x {config.vllm.gpu}" if needed > 1 else config.vllm.gpu or "any",
            f"{plan.model.weight_bytes / 1e9:.1f}" if plan else "-",
            str(plan.kv_tokens) if plan else "-",
            str(config.engine.context_tokens),
            str(config.sample.count),
            f"{plan.lanes_at(plan.mean_context)}, {plan.lanes_at(plan.context_tokens)}" if plan else "-",
            "no" if row.problem else "yes",
        )
    return table


def _speed_table(rows: Sequence[ProfileRow]) -> Table:
    table = Table(
        title="tokens/s at half of the context, by lanes",
        box=None,
        caption="roofline bounds; planned: the usual share of it, at the profile's own lanes",
    )
    table.add_column("profile", no_wrap=True)
    for heading in ("at", *map(str, LANES), "planned"):
        table.add_column(heading, justify="right")
    for row in rows:
        speeds = ("-" if speed is None else f"{speed:.0f}" for speed in row.speeds.values())
        planned = "-" if row.planned is None else "{:.0f}-{:.0f}".format(*row.planned)
        table.add_row(row.config.profile, str(row.plan.mean_context) if row.plan else "-", *speeds, planned)
    return table


if __name__ == "__main__":
    sys.exit(main())
