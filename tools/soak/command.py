"""Run many sessions with hostile and legitimate cells mixed; report what grows, is wrong or is late.

Run it only inside a throw-away jail or container: its hostile cells try to harm the machine.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from agent.cli.numbers import positive_number, whole_number
from agent.cli.one_line_parser import OneLineParser
from agent.sandbox.base import Limits, Session
from agent.sandbox.endings import NO_MEMORY
from agent.sandbox.forkserver import ForkServerSandbox
from agent.types import ToolRun, ToolStatus
from tools.soak.cells import DRAW, FILLING, HOSTILE, KEPT, STOPPED, honest

_PAUSE = 1.0  # seconds between two snapshots
_LEGITIMATE_SECONDS = 60.0
_HOSTILE_SECONDS = 0.5
_LATE = 6.0
_HOSTILE_SHARE = 0.3
_CLOSE_SHARE = 0.05
_LIMITS = Limits(memory_bytes=192 << 20, total_memory_bytes=3 << 30, output_bytes=2 << 20, scratch_bytes=8 << 20)
_DRAW_SHARE = 0.05
_STOP_SHARE = 0.05
_SEEDS = 8
_RESTARTED = "The session "  # begins each sentence that says so
# Begin what says so: hints about memory and threads, and the end of a session that cannot even take stock of a cell.
_FULL = ("(The session's memory is nearly full", "(A session may have only so many threads", NO_MEMORY)
_IN_CELL = 'File "<cell '  # stands in the traceback of an interrupt that came when a cell ran


@dataclass(frozen=True, slots=True)
class ResourceSnapshot:
    """The resources of the controller and its descendants at one time: memory, descriptors, processes, files."""

    second: float
    controller_mb: float
    zygote_mb: float
    descriptors: int
    processes: int
    scratch_files: int


@dataclass(slots=True)
class Record:
    """The findings of a soak test so far."""

    cells: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    late: tuple[float, str] = (0.0, "")
    drawn: dict[int, str] = field(default_factory=dict)
    snapshots: list[ResourceSnapshot] = field(default_factory=list)

    def blame(self, code: str, run: ToolRun) -> None:
        """Record a cell with a wrong result."""
        self.wrong.append(f"{code!r}: {run.status} {run.output[-300:]!r}")

    def growth(self, name: str) -> float:
        """Return how much a figure grew from the second quarter of the run to the last, by medians."""
        values = [getattr(snapshot, name) for snapshot in self.snapshots]
        quarter = max(1, len(values) // 4)
        early = statistics.median(values[quarter : 2 * quarter] or values)
        return float(statistics.median(values[-quarter:]) - early)


async def soak(sessions: int, seconds: float, without: frozenset[str] = frozenset()) -> Record:
    """Keep `sessions` sessions busy for `seconds`."""
    record, box = Record(), ForkServerSandbox(_LIMITS, warm=4, without=without)
    until = time.monotonic() + seconds
    try:
        await box.start()
        watching = asyncio.create_task(_watch(box, record, until))
        await asyncio.gather(*(_lane(box, record, until, random.Random(lane)) for lane in range(sessions)))
        await watching
    finally:
        await box.close()
    return record


async def _lane(box: ForkServerSandbox, record: Record, until: float, draw: random.Random) -> None:
    session: Session = await box.session()
    while time.monotonic() < until:
        code, chance = "", draw.random()
        if chance < _HOSTILE_SHARE:
            code = await _attack(session, record, draw)
        elif chance < _HOSTILE_SHARE + _DRAW_SHARE:
            await _draw_with_seed(box, record, draw.randrange(_SEEDS))
        elif chance < _HOSTILE_SHARE + _DRAW_SHARE + _STOP_SHARE:
            await _stop(session, record, draw)
        else:
            await _work(session, record, *honest(draw))
        if code in FILLING or draw.random() < _CLOSE_SHARE:
            await session.close()
            session = await box.session()
        await asyncio.sleep(draw.random() * 0.1)
    await session.close()


async def _attack(session: Session, record: Record, draw: random.Random) -> str:
    code = draw.choice(HOSTILE + FILLING)
    run = await session.run(code, _HOSTILE_SECONDS)
    record.cells[f"hostile {run.status}"] += 1
    record.late = max(record.late, (run.seconds - _HOSTILE_SECONDS, code))
    return code


async def _work(session: Session, record: Record, code: str, wanted: str) -> None:
    run = await session.run(code, _LEGITIMATE_SECONDS)
    record.cells["legitimate"] += 1
    if _right(run, wanted):
        return
    if run.status is not ToolStatus.OK and any(hint in run.output for hint in _FULL):
        record.cells["legitimate, session full"] += 1
    else:
        record.blame(code, run)


async def _draw_with_seed(box: ForkServerSandbox, record: Record, seed: int) -> None:
    session = await box.session(seed)
    run = await session.run(DRAW, _LEGITIMATE_SECONDS)
    await session.close()
    record.cells["drawn"] += 1
    if run.status is not ToolStatus.OK or record.drawn.setdefault(seed, run.output) != run.output:
        record.blame(f"seed {seed}", run)
    if len(set(record.drawn.values())) < len(record.drawn):
        record.blame("another seed, and the same numbers", run)


async def _stop(session: Session, record: Record, draw: random.Random) -> None:
    """A loop ends at its limit; on a host too busy for that the loss of its variables is said."""
    value = draw.randrange(10**6)
    stopped = await session.run(STOPPED.format(value=value), _HOSTILE_SECONDS)
    after = await session.run(KEPT, _LEGITIMATE_SECONDS)
    record.cells["stopped"] += 1
    record.late = max(record.late, (stopped.seconds - _HOSTILE_SECONDS, STOPPED))
    unreached = _IN_CELL not in stopped.output
    lost = unreached or "lost" in stopped.output or after.output.startswith(_RESTARTED)
    record.cells["stopped and lost"] += lost
    if stopped.status is not ToolStatus.TIMEOUT or not (lost or _right(after, str(value))):
        record.blame(f"{STOPPED!r}: {stopped.output[-300:]!r}", after)


def _right(run: ToolRun, wanted: str) -> bool:
    """A session that was lost before this cell says so in front of the output."""
    before = run.output.removesuffix(wanted)
    said = not before or (before.startswith(_RESTARTED) and before.count("\n") == 1)
    return run.status is ToolStatus.OK and run.output.endswith(wanted) and said


async def _watch(box: ForkServerSandbox, record: Record, until: float) -> None:
    started = time.monotonic()
    while time.monotonic() < until:
        zygote = await box.zygote_pid()
        record.snapshots.append(_snapshot(zygote, time.monotonic() - started))
        await asyncio.sleep(_PAUSE)


def _snapshot(zygote: int, second: float) -> ResourceSnapshot:
    base = Path(json.loads(Path(f"/proc/{zygote}/cmdline").read_bytes().split(b"\0")[-2])["base"])
    return ResourceSnapshot(
        second,
        _resident("self"),
        _resident(str(zygote)),
        sum(1 for _ in Path("/proc/self/fd").iterdir()),
        len(Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()),
        sum(1 for _ in base.iterdir()) if base.exists() else 0,
    )


def _resident(pid: str) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1_024


def main(argv: Sequence[str] | None = None) -> int:
    """Soak and print the record as JSON; status 1 if a legitimate cell was wrong or a hostile one late."""
    parser = OneLineParser(prog="python -m tools.soak", description=__doc__)
    parser.add_argument("--sessions", type=whole_number, default=64, metavar="N", help="sessions at a time")
    parser.add_argument("--seconds", type=positive_number, default=1_800.0, metavar="T", help="how long it runs")
    options = parser.parse_args(argv)
    record = asyncio.run(soak(options.sessions, options.seconds))
    names = ("controller_mb", "zygote_mb", "descriptors", "processes", "scratch_files")
    told = {
        "cells": dict(record.cells),
        "wrong": record.wrong,
        "latest_seconds": round(record.late[0], 3),
        "latest_cell": record.late[1],
        "growth": {name: round(record.growth(name), 1) for name in names},
        "first": asdict(record.snapshots[0]),
        "last": asdict(record.snapshots[-1]),
    }
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    return 1 if record.wrong or record.late[0] > _LATE else 0
