"""What the sandbox's command line does: it shows the layers, or runs cells that it reads."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from rich.console import Console

from agent.cli.one_line_parser import OneLineParser
from agent.cli.streams import HeldOutput, write_result
from agent.errors import InputError
from agent.sandbox.base import Limits
from agent.sandbox.cli.interrupts import Interrupted, Interrupts
from agent.sandbox.cli.lines import MAX_LINE, MAX_TIMEOUT, LineServer
from agent.sandbox.cli.stdio import LineReader, LineWriter
from agent.sandbox.forkserver import ForkServerSandbox
from agent.sandbox.inside.layers.layers import LAYER_NAMES, REQUIRED
from agent.sandbox.report import print_report, sentence

_OPTIONAL = [name for name in LAYER_NAMES if name not in REQUIRED]
_LEAST_MIB, _MOST_MIB = 64, 1 << 24
_DESCRIPTION = "Shows which layers of the sandbox work on this system, or runs cells of Python in it."
_LINES = f"""\
layers (what it does if no command is given)
  shows the layers, what each stops and does not stop, and what remains open.

run
  reads a JSON object a line from standard input, at most {MAX_LINE >> 20} MiB each:
    session  which Python runs it: a string or a whole number
    code     the cell, a string; may be missing where "reset" is true
    timeout  seconds above 0 and at most {MAX_TIMEOUT:.0f}; {Limits().cell_seconds:g} if missing
    reset    true to start the session afresh before
  and writes one for each to standard output, when the cell has ended:
    session  the same, or null where the line does not tell
    status   ok, error (also of a line that is no request), timeout or killed
    output   what the cell printed, its last value, its traceback
    seconds  how long it took
  Sessions run side by side, the cells of one session in the order of their lines.

  echo '{{"session": "a", "code": "6 * 7"}}' | python -m agent.sandbox run

exit status: 0; 2 after an error; 128 and the signal's number if a signal ended it
"""


def run_sandbox_command(arguments: Sequence[str], interrupts: Interrupts) -> None:
    """Run the command. Raises AgentError, and Interrupted if a signal ended it."""
    options = _parse(arguments)
    if options is None:
        return
    work = _run if options.command == "run" else _layers
    try:
        asyncio.run(work(Limits(memory_bytes=options.memory_mib << 20), frozenset(options.without), interrupts))
    except asyncio.CancelledError:
        raise Interrupted from None


def _parse(arguments: Sequence[str]) -> argparse.Namespace | None:
    """The options; None if only the help was wanted, which is then written."""
    parser = OneLineParser(
        prog="python -m agent.sandbox",
        description=_DESCRIPTION,
        epilog=_LINES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    parser.add_argument("command", nargs="?", choices=["layers", "run"], default="layers", help="see below")
    parser.add_argument("-h", "--help", action="store_true", help="show this help")
    parser.add_argument(
        "--without", action="append", choices=_OPTIONAL, default=[], help="do without a layer; may be given repeatedly"
    )
    parser.add_argument(
        "--memory-mib", type=int, default=2_048, metavar="N", help="the most memory of a session (default 2048)"
    )
    options = parser.parse_args(arguments)
    if options.help:
        write_result(parser.format_help())
        return None
    if options.memory_mib < _LEAST_MIB:
        parser.error(f"--memory-mib {options.memory_mib}: Python needs at least {_LEAST_MIB}")
    if options.memory_mib > _MOST_MIB:
        parser.error(f"--memory-mib {options.memory_mib}: at most {_MOST_MIB} can be set")
    return options


async def _layers(limits: Limits, without: frozenset[str], interrupts: Interrupts) -> None:
    write_result("")  # where that cannot be, nothing need be started
    _let_cancel(interrupts)
    sandbox = ForkServerSandbox(limits, warm=0, without=without)
    try:
        missing = (await sandbox.client()).missing
    finally:
        await sandbox.close()
        interrupts.cancel = None
    held = HeldOutput()
    print_report(Console(file=held), missing)  # type: ignore[arg-type]
    write_result(held.text)


async def _run(limits: Limits, without: frozenset[str], interrupts: Interrupts) -> None:
    if sys.stdin is None:
        raise InputError("standard input is closed: give it cells, one JSON object a line (see --help)")
    write_result("")
    task = _let_cancel(interrupts)
    sandbox = ForkServerSandbox(limits, without=without)
    writer = LineWriter(sys.stdout.fileno(), task.cancel, lambda: bool(interrupts.number))
    server = LineServer(sandbox, writer.write)
    try:
        await sandbox.start()
        print(sentence((await sandbox.client()).missing), file=sys.stderr)
        await _feed(server)
        await server.finish()
    except asyncio.CancelledError:
        await server.stop()
    finally:
        await sandbox.close()
        interrupts.cancel = None
    if writer.error is not None:
        raise writer.error
    if interrupts.number:
        raise Interrupted


def _let_cancel(interrupts: Interrupts) -> asyncio.Task[None]:
    """From now on, a signal cancels this task instead of raising in whatever runs."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    interrupts.cancel = lambda: loop.call_soon_threadsafe(task.cancel)
    if interrupts.number:  # where a signal strikes as Python frees something, what its handler raises is lost
        raise Interrupted
    return task


async def _feed(server: LineServer) -> None:
    reader = LineReader(sys.stdin.fileno())
    while line := await reader.line():
        await server.take(line)
