"""Speed measurements, each beside a yardstick in the same run: `python -m tools.bench NAME`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from agent.errors import AgentError
from tools.bench import engine as bench_engine
from tools.bench import sandbox as bench_sandbox

BENCHES = {"engine": bench_engine, "sandbox": bench_sandbox}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the benches; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    commands = parser.add_subparsers(dest="bench", required=True)
    for name, bench in BENCHES.items():
        bench.add_flags(commands.add_parser(name, help=bench.SUMMARY, description=bench.SUMMARY))
    args = parser.parse_args(argv)
    try:
        BENCHES[args.bench].run(args)
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
