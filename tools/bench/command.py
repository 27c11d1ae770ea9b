"""Benchmarks of speed and precision, each next to a baseline in the same run: `python -m tools.bench NAME`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from agent.cli.one_line_parser import OneLineParser
from agent.errors import AgentError
from tools.bench.engine import ENGINE_SUMMARY, add_engine_flags, bench_engine
from tools.bench.gpu.command import GPU_SUMMARY, add_gpu_flags, bench_gpu
from tools.bench.kv_cache import KV_CACHE_SUMMARY, add_kv_cache_flags, bench_kv_cache
from tools.bench.lane import LANE_SUMMARY, add_lane_flags, bench_lane
from tools.bench.sandbox import SANDBOX_SUMMARY, add_sandbox_flags, bench_sandbox

BENCHES = {
    "engine": (ENGINE_SUMMARY, add_engine_flags, bench_engine),
    "gpu": (GPU_SUMMARY, add_gpu_flags, bench_gpu),
    "kv-cache": (KV_CACHE_SUMMARY, add_kv_cache_flags, bench_kv_cache),
    "lane": (LANE_SUMMARY, add_lane_flags, bench_lane),
    "sandbox": (SANDBOX_SUMMARY, add_sandbox_flags, bench_sandbox),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the benchmarks; return the exit status."""
    parser = OneLineParser(prog="python -m tools.bench", description=__doc__)
    commands = parser.add_subparsers(dest="bench", required=True)
    for name, (summary, add_flags, _) in BENCHES.items():
        add_flags(commands.add_parser(name, help=summary, description=summary))
    args = parser.parse_args(argv)
    try:
        _, _, bench = BENCHES[args.bench]
        bench(args)
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0
