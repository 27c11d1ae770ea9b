"""Compare sandbox sessions with bare forks and Jupyter kernels in the same run: start-up, a trivial cell, memory."""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from agent.cli.numbers import whole_between
from agent.errors import InputError
from agent.sandbox.forkserver import ForkServerSandbox
from tools.bench.bare_sessions import BareSession

SANDBOX_SUMMARY = "start-up, trivial cell and memory of a Python session beside a bare fork and a Jupyter kernel"

_CELL = "1 + 1"
_CELLS = 640  # measured at each size
_KERNEL_CELLS = 128
_STARTS = 20
_IMPORTS = "import sympy, numpy, mpmath"
_KERNEL_SECONDS = 120.0
_MOST_SESSIONS = 4_096

_Runner = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Figures:
    """One kind of session at one number of them; times in milliseconds, memory in MB a session; None: not measured.

    `cell` is measured with one cell under way at a time, `crowd` with a cell in every session at once.
    """

    kind: str
    sessions: int
    start: float | None
    pool_start: float | None
    cell_median: float
    cell_p99: float
    crowd_median: float
    crowd_p99: float
    memory: float | None


def add_sandbox_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of this bench."""
    parser.add_argument(
        "--sizes",
        type=whole_between(1, _MOST_SESSIONS),
        nargs="+",
        default=[1, 8, 64],
        help="live sessions (default 1 8 64)",
    )
    parser.add_argument(
        "--kernels",
        type=whole_between(0, _MOST_SESSIONS),
        default=64,
        help="at most so many Jupyter kernels (default 64; 0: none)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def bench_sandbox(args: argparse.Namespace) -> None:
    """Measure and print. Raises InputError if Jupyter is not installed, or so many sessions cannot be opened."""
    if args.kernels:
        _require_jupyter()
    try:
        figures = asyncio.run(_measure(args.sizes, args.kernels))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"the sessions could not all be opened ({reason}): give fewer with --sizes") from error
    if args.json:
        sys.stdout.write(json.dumps([asdict(row) for row in figures], indent=2) + "\n")
        return
    headings = (
        "kind",
        "sessions",
        "start ms",
        "from pool ms",
        "cell ms",
        "p99",
        "all at once ms",
        "p99",
        "MB each",
    )
    table = Table(*headings, title="Python sessions")
    for row in figures:
        table.add_row(*(_shown(value) for value in asdict(row).values()))
    Console().print(table)


async def _measure(sizes: list[int], most_kernels: int) -> list[Figures]:
    figures = [await measure(size) for measure in (_bare, _sandbox) for size in sizes]
    kernel_sizes = sorted({min(size, most_kernels) for size in sizes} - {0})
    return figures + [await _kernels(size) for size in kernel_sizes]


async def _bare(size: int) -> Figures:
    sessions: list[BareSession] = []
    try:
        for _ in range(size):
            sessions.append(BareSession())
        runs: list[_Runner] = [functools.partial(session.run, _CELL) for session in sessions]
        await _rounds(runs, size)
        alone, crowd = await _rounds(runs, _CELLS), await _crowds(runs, _CELLS)
    finally:
        for session in sessions:
            session.close()
    return _figures("bare fork", size, [], None, alone, crowd, None)


async def _sandbox(size: int) -> Figures:
    box = ForkServerSandbox(warm=0)
    try:
        await box.start()
        zygote = await box.zygote_pid()
        empty = _family_memory(zygote)
        starts, sessions = [], []
        for _ in range(max(size, _STARTS)):
            seconds, session = await _timed(box.session)
            starts.append(seconds)
            sessions.append(session)
        for session in sessions[size:]:
            await session.close()
        del sessions[size:]
        runs: list[_Runner] = [functools.partial(session.run, _CELL) for session in sessions]
        await _rounds(runs, size)
        alone, crowd = await _rounds(runs, _CELLS), await _crowds(runs, _CELLS)
        full = _family_memory(zygote)
        memory = None if empty is None or full is None else (full - empty) / size / 1e6
    finally:
        await box.close()
    pool = await _pool_start()
    return _figures("sandbox", size, starts, pool, alone, crowd, memory)


async def _pool_start() -> float:
    box = ForkServerSandbox(warm=8)
    try:
        await box.start()
        times = []
        for _ in range(_STARTS):
            seconds, session = await _timed(box.session)
            times.append(seconds)
            await session.close()
            await asyncio.sleep(0.05)  # as between two samples: the pool is filled again
    finally:
        await box.close()
    return 1_000 * statistics.median(times)


async def _kernels(size: int) -> Figures:
    from jupyter_client.manager import AsyncKernelManager

    managers, clients, starts = [], [], []
    try:
        for _ in range(size):
            manager = AsyncKernelManager()
            managers.append(manager)
            started = time.perf_counter()
            await manager.start_kernel()
            client = manager.client()
            client.start_channels()
            clients.append(client)
            await client.wait_for_ready(timeout=_KERNEL_SECONDS)
            starts.append(time.perf_counter() - started)
        runs: list[_Runner] = [functools.partial(_execute, client, _CELL) for client in clients]
        for client in clients:
            await _execute(client, _IMPORTS)
        alone, crowd = await _rounds(runs, _KERNEL_CELLS), await _crowds(runs, _KERNEL_CELLS)
        held = [_family_memory(getattr(manager.provisioner, "pid", -1)) for manager in managers]
        memory = sum(one for one in held if one) / size / 1e6 if all(held) else None
    finally:
        for client in clients:
            client.stop_channels()
        for manager in managers:
            await manager.shutdown_kernel(now=True)
    return _figures("Jupyter kernel", size, starts, None, alone, crowd, memory)


async def _execute(client: Any, code: str) -> None:
    """Run a cell in a kernel and wait until it reports that it is idle, which comes last."""
    request = client.execute(code)
    while True:
        message = await client.get_iopub_msg(timeout=_KERNEL_SECONDS)
        idle = message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
        if idle and message["parent_header"].get("msg_id") == request:
            break
    await client.get_shell_msg(timeout=_KERNEL_SECONDS)


async def _timed(action: Callable[[], Awaitable[Any]]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = await action()
    return time.perf_counter() - started, result


async def _rounds(runs: list[_Runner], cells: int) -> list[float]:
    """Return the seconds of each of `cells` cells, one at a time, alternating between sessions."""
    return [(await _timed(runs[number % len(runs)]))[0] for number in range(cells)]


async def _crowds(runs: list[_Runner], cells: int) -> list[float]:
    """Return the same with a cell in every session concurrently."""
    found: list[float] = []
    while len(found) < cells:
        found += [seconds for seconds, _ in await asyncio.gather(*(_timed(run) for run in runs))]
    return found


def _figures(
    kind: str,
    size: int,
    starts: list[float],
    pool: float | None,
    alone: list[float],
    crowd: list[float],
    memory: float | None,
) -> Figures:
    return Figures(
        kind,
        size,
        1_000 * statistics.median(starts) if starts else None,
        pool,
        1_000 * statistics.median(alone),
        1_000 * _p99(alone),
        1_000 * statistics.median(crowd),
        1_000 * _p99(crowd),
        memory,
    )


def _p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.99 * len(values)))]


def _family_memory(pid: int) -> float | None:
    """Return the proportional set size in bytes of a process and its children; None if it is unknown."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return sum(_own_memory(member) for member in (str(pid), *children))
    except OSError:
        return None


def _own_memory(pid: str) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1_024.0 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _require_jupyter() -> None:
    try:
        import ipykernel  # noqa: F401
        import jupyter_client  # noqa: F401
    except ImportError:
        message = "the baseline needs Jupyter: pip install jupyter_client ipykernel, or give --kernels 0"
        raise InputError(message) from None


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
