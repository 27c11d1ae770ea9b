"""The sandbox's command line: `python -m agent.sandbox` tells its layers, `... run` runs cells it reads."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence

from rich.console import Console

from agent.errors import AgentError
from agent.sandbox.base import Limits
from agent.sandbox.forkserver import ForkServerSandbox
from agent.sandbox.inside.layers import LAYERS, REQUIRED
from agent.sandbox.lines import LineServer, read_line
from agent.sandbox.report import print_report, sentence

_OPTIONAL = [name for name in LAYERS if name not in REQUIRED]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m agent.sandbox", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["layers", "run"], default="layers")
    parser.add_argument("--without", action="append", choices=_OPTIONAL, default=[], help="do without a layer")
    parser.add_argument("--memory-mib", type=int, default=2_048, metavar="N", help="of a session (default 2048)")
    options = parser.parse_args(arguments)
    if options.memory_mib < 64:
        parser.error(f"--memory-mib {options.memory_mib}: Python needs at least 64")
    work = _run if options.command == "run" else _layers
    limits = Limits(memory_bytes=options.memory_mib << 20)
    try:
        asyncio.run(work(limits, frozenset(options.without)))
    except AgentError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except (KeyboardInterrupt, BrokenPipeError):
        return 130
    return 0


async def _layers(limits: Limits, without: frozenset[str]) -> None:
    sandbox = ForkServerSandbox(limits, warm=0, without=without)
    try:
        nursery = await sandbox.nursery()
        print_report(Console(), nursery.missing)
    finally:
        await sandbox.close()


async def _run(limits: Limits, without: frozenset[str]) -> None:
    sandbox = ForkServerSandbox(limits, without=without)
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    if task is not None:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await sandbox.start()
        sys.stderr.write(sentence((await sandbox.nursery()).missing) + "\n")
        server = LineServer(sandbox, _write)
        reader = asyncio.create_task(_feed(server))
        await reader
        await server.finish()
    except asyncio.CancelledError:
        sys.stderr.write("Ended by a signal.\n")
    finally:
        await sandbox.close()


async def _feed(server: LineServer) -> None:
    """Read standard input in a thread, so that a terminal, a pipe and a file all serve."""
    while line := await asyncio.to_thread(read_line, sys.stdin.buffer):
        await server.take(line)


def _write(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
