"""Many sessions at once, hostile and legitimate cells mixed: what grows, what is wrong, what is late.

Run it only inside a throw-away jail or container: its hostile cells try to harm the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from agent.sandbox.base import Limits, Session
from agent.sandbox.forkserver import ForkServerSandbox
from agent.types import ToolRun, ToolStatus

_PAUSE = 1.0  # seconds between two looks
_LEGITIMATE_SECONDS = 60.0
_HOSTILE_SECONDS = 0.5
_LATE = 6.0
_HOSTILE_SHARE = 0.3
_CLOSE_SHARE = 0.05
_LIMITS = Limits(memory_bytes=192 << 20, total_memory_bytes=3 << 30, output_bytes=2 << 20, scratch_bytes=8 << 20)
_HOSTILE = (
    "while True: pass",
    "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
    "sum(range(10**13))",
    "import time; time.sleep(60)",
    "x = []\nwhile True: x.append('y' * 10**6)",
    "bytearray(10**12)",
    "import ctypes; ctypes.string_at(8)",
    "import os; os._exit(1)",
    "import os\nwhile True: os.fork()",
    "import os; os.kill(-1, 9)",
    "import os; os.closerange(0, 100)",
    "while True: print('z' * 10_000)",
    "import threading\ndef f():\n  while True: pass\nfor _ in range(5): threading.Thread(target=f).start()",
    "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(99,)).start()",
    "import builtins\nbuiltins.print = builtins.len = None",
    "import sys\nsys.addaudithook(lambda *a: 1 / 0)",
    "import os; os.write(3, b'nonsense')",
    "import sys\nsys.setrecursionlimit(10**9)\ndef f(): return [f()]\nf()",
    "import socket; socket.create_connection(('127.0.0.1', 50051))",
)
# These fill the session's own scratch directory, so what comes after them in it may rightly fail.
_FILLING = ("for i in range(10**6): open(str(i), 'w').write('x')", "open('f', 'wb').write(b'x' * 10**8)")


@dataclass(frozen=True, slots=True)
class Look:
    """What the controller and its family held at one time: memory, descriptors, processes, files."""

    second: float
    controller_mb: float
    zygote_mb: float
    descriptors: int
    processes: int
    scratch_files: int


@dataclass(slots=True)
class Record:
    """What a soak has seen so far."""

    cells: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    late: tuple[float, str] = (0.0, "")
    looks: list[Look] = field(default_factory=list)

    def growth(self, name: str) -> float:
        """How much more of a figure there was in the last quarter than in the second, at the median."""
        values = [getattr(look, name) for look in self.looks]
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
        if draw.random() < _HOSTILE_SHARE:
            code = draw.choice(_HOSTILE + _FILLING)
            run = await session.run(code, _HOSTILE_SECONDS)
            record.cells[f"hostile {run.status}"] += 1
            record.late = max(record.late, (run.seconds - _HOSTILE_SECONDS, code))
        else:
            code, wanted = _legitimate(draw)
            run = await session.run(code, _LEGITIMATE_SECONDS)
            record.cells["legitimate"] += 1
            if not _right(run, wanted):
                record.wrong.append(f"{code!r}: {run.status} {run.output[-300:]!r}")
        if code in _FILLING or draw.random() < _CLOSE_SHARE:
            await session.close()
            session = await box.session()
        await asyncio.sleep(draw.random() * 0.1)
    await session.close()


def _legitimate(draw: random.Random) -> tuple[str, str]:
    a, b = draw.randrange(2, 10**6), draw.randrange(2, 10**6)
    return draw.choice(
        (
            (f"print({a} * {b})", str(a * b)),
            (f"x = {a}\ndef f(y): return x + y\nf({b})", str(a + b)),
            (f"import sympy; sympy.expand((sympy.Symbol('t') + {a})**2).subs('t', {b})", str((a + b) ** 2)),
            (f"import numpy; int(numpy.arange({b % 1000}).sum())", str(sum(range(b % 1000)))),
            (f"open('note', 'w').write('{a}'); open('note').read()", repr(str(a))),
        )
    )


def _right(run: ToolRun, wanted: str) -> bool:
    """A session that died between two cells says so in front of the output."""
    return run.status is ToolStatus.OK and run.output.rpartition("\n")[2] == wanted


async def _watch(box: ForkServerSandbox, record: Record, until: float) -> None:
    started = time.monotonic()
    while time.monotonic() < until:
        zygote = await box.nursery_pid()
        record.looks.append(_look(zygote, time.monotonic() - started))
        await asyncio.sleep(_PAUSE)


def _look(zygote: int, second: float) -> Look:
    base = Path(json.loads(Path(f"/proc/{zygote}/cmdline").read_bytes().split(b"\0")[-2])["base"])
    return Look(
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


def main() -> int:
    """Soak and print the record as JSON; status 1 if a legitimate cell was wrong or a hostile one late."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1_800.0)
    options = parser.parse_args()
    record = asyncio.run(soak(options.sessions, options.seconds))
    names = ("controller_mb", "zygote_mb", "descriptors", "processes", "scratch_files")
    told = {
        "cells": dict(record.cells),
        "wrong": record.wrong,
        "latest_seconds": round(record.late[0], 3),
        "latest_cell": record.late[1],
        "growth": {name: round(record.growth(name), 1) for name in names},
        "first": asdict(record.looks[0]),
        "last": asdict(record.looks[-1]),
    }
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    return 1 if record.wrong or record.late[0] > _LATE else 0


if __name__ == "__main__":
    sys.exit(main())
