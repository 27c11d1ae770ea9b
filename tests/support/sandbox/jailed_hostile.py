"""Runs inside a jail: sets up a world worth attacking, drives the sandbox with cells, tells what was amiss.

Standard input is a JSON list of cells (those of a hostile suite); each line of the output is
`{"name": ..., "amiss": [sentences], "status": ..., "seconds": ...}`, the last one that of the whole world.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

SECRETS = ("SEKRIT-from-the-environment", "SEKRIT-from-a-file")
CANARY = Path("/tmp/canary/file.txt")
LANES = 2
LATE = 6.0
LONG = 10.0  # a limit from which on a cell that is starved of CPU time gets up to three times as long
PARENT_GROWTH = 300 << 20


class Driver:
    """The sandbox's command line as a black box, for several threads."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent.sandbox", "run", *sys.argv[2:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=sys.argv[1],
        )
        self._answers: dict[str, queue.Queue[dict[str, Any]]] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def ask(self, session: str, **request: Any) -> dict[str, Any]:
        """Send a line, wait for its answer."""
        answers = self._answers.setdefault(session, queue.Queue())
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"session": session, **request}) + "\n")
        self.process.stdin.flush()
        return answers.get(timeout=60)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            answer = json.loads(line)
            self._answers[answer["session"]].put(answer)

    def resident(self) -> int:
        """Bytes of memory of the controller."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class World:
    """What hostile cells would like to reach; `amiss` tells what they did."""

    def __init__(self) -> None:
        CANARY.parent.mkdir(mode=0o755)
        CANARY.write_text("intact")
        keys = Path.home() / ".kaggle"
        keys.mkdir()
        (keys / "kaggle.json").write_text(json.dumps({"key": SECRETS[1]}))
        self.reached: list[str] = []
        self._large = large_files()  # Python's own files may lie in /tmp
        self._listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 50555))
        self._listen(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 50555))
        self._listen(socket.AF_UNIX, socket.SOCK_STREAM, "\0gatewayx")

    def _listen(self, family: int, kind: int, address: Any) -> None:
        listener = socket.socket(family, kind)
        listener.bind(address)
        if kind == socket.SOCK_STREAM:
            listener.listen()
        threading.Thread(target=self._wait, args=(listener, kind, address), daemon=True).start()

    def _wait(self, listener: socket.socket, kind: int, address: Any) -> None:
        while True:
            if kind == socket.SOCK_STREAM:
                listener.accept()
            else:
                listener.recv(100)
            self.reached.append(f"{address!r} was reached")

    def amiss(self) -> list[str]:
        """Sentences about everything that is not as it was."""
        found = list(self.reached)
        if not CANARY.exists() or CANARY.read_text() != "intact" or CANARY.parent.stat().st_mode & 0o777 != 0o755:
            found.append("the canary was touched")
        found += [f"{path} appeared" for path in Path("/tmp").glob("PWN*")]
        found += [f"{path} was left" for path in Path("/dev/shm").iterdir()]
        found += [f"{path} is large" for path in large_files() - self._large]
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", 50051)) == 0:
                found.append("something listens on port 50051")
        return found


def large_files() -> set[str]:
    """Files over 64 MiB in /tmp; by find, which trees deeper than Python's recursion or a path's length do not stop.

    Not in the repository, should it lie there: that cannot be written to, and to search it once a cell takes long.
    """
    repository = ["-path", sys.argv[1], "-prune", "-o"]
    found = subprocess.run(
        ["find", "/tmp", "-ignore_readdir_race", *repository, "-type", "f", "-size", f"+{64 << 10}k", "-print"],
        stdout=subprocess.PIPE,
        check=False,  # a cell may still be at work there
        text=True,
    )
    return set(found.stdout.splitlines())


def processes() -> dict[int, str]:
    """Ids and commands of all processes in the jail, zombies included."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = (entry / "comm").read_text().strip()
            except OSError:
                continue
    return found


def cpu_ticks() -> dict[int, int]:
    """CPU time of each process so far, in clock ticks."""
    found = {}
    for pid in processes():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[pid] = int(fields[11]) + int(fields[12])
    return found


def judge(driver: Driver, world: World, cell: dict[str, Any]) -> dict[str, Any]:
    """Run one cell and all that its expectations ask for."""
    session, limit = cell["name"], cell["timeout"]
    before = driver.resident()
    started = time.monotonic()
    answer = driver.ask(session, code=cell["code"], timeout=limit)
    seconds = time.monotonic() - started
    output, amiss = answer["output"], []
    if answer["status"] not in cell["expect"]:
        amiss.append(f"it ended as {answer['status']}: {output[-300:]}")
    if seconds > limit + LATE and not (limit >= LONG and is_busy() and seconds < 3 * limit + LATE):
        amiss.append(f"it took {seconds:.1f} s")
    if len(output) > 2_000_000:
        amiss.append("its output is too long")
    amiss += unlike(output, cell, "")
    later = [(name, key) for name, key in ((session, "then"), (f"{session}-fresh", "fresh")) if key in cell]
    cells = [(name, cell[key], cell, f"{key}_") for name, key in later]
    for name, code, wanted, prefix in (*cells, (session, "print(6*7)", {"out": "42"}, "")):
        follow = driver.ask(name, code=code, timeout=5)
        output += follow["output"]
        amiss += [f"{code[-200:]!r} then: {sentence}" for sentence in unlike(follow["output"], wanted, prefix)]
    if cell.get("differs") and driver.ask(f"{session}-fresh", code=cell["code"])["output"] == answer["output"]:
        amiss.append(f"another session printed {answer['output'][:200]!r}, too")
    if cell.get("quiet"):
        amiss += burning(driver)
    amiss += [f"it told {secret}" for secret in SECRETS if secret in output]
    if driver.resident() - before > PARENT_GROWTH:
        amiss.append("the controller has grown")
    driver.ask(session, reset=True)
    driver.ask(f"{session}-fresh", reset=True)
    amiss += world.amiss()
    return {"name": cell["name"], "amiss": amiss, "status": answer["status"], "seconds": round(seconds, 3)}


def unlike(output: str, cell: dict[str, Any], prefix: str) -> list[str]:
    """In what an output differs from what the cell's keys with this prefix say of it."""
    wanted, unwanted, exact = (cell.get(f"{prefix}{key}", []) for key in ("out", "notout", "shown"))
    amiss = [f"{text!r} is not in {output[:200]!r}" for text in _listed(wanted) if text not in output]
    amiss += [f"{text!r} is in {output[:200]!r}" for text in _listed(unwanted) if text in output]
    return amiss + [f"it shows {output[:200]!r}, not {text[:200]!r}" for text in _listed(exact) if text != output]


def _listed(texts: str | list[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else texts


def is_busy() -> bool:
    """Whether others than these cells want the CPUs of this host, and more of them than there are."""
    return os.getloadavg()[0] > max(LANES, os.cpu_count() or 1) + 1


def burning(driver: Driver) -> list[str]:
    """Processes that use the CPU though no cell of theirs runs; only right while a single lane works.

    One that is ending, or begins anew, may use it for a moment: whoever burns it still does at a second look.
    """
    found = _busy(driver)
    return [f"process {pid} burns the CPU" for pid in sorted(found and found & _busy(driver))]


def _busy(driver: Driver) -> set[int]:
    before = cpu_ticks()
    time.sleep(0.5)
    after = cpu_ticks()
    mine = (os.getpid(), driver.process.pid)
    return {pid for pid, ticks in before.items() if pid in after and pid not in mine and after[pid] - ticks > 10}


def tell(verdict: dict[str, Any]) -> None:
    """One line of the output."""
    sys.stdout.write(json.dumps(verdict) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Judge all cells, several at a time but for those that want quiet."""
    cells = sorted(json.load(sys.stdin), key=lambda cell: -cell["timeout"])  # the lanes end at about the same time
    world, driver = World(), Driver()
    driver.ask("first", code="1", timeout=5)
    driver.ask("first", reset=True)
    waiting: queue.Queue[dict[str, Any]] = queue.Queue()
    alone = [cell for cell in cells if cell.get("quiet")]
    for cell in cells:
        if cell not in alone:
            waiting.put(cell)

    def lane() -> None:
        while True:
            try:
                cell = waiting.get_nowait()
            except queue.Empty:
                return
            tell(judge(driver, world, cell))

    lanes = [threading.Thread(target=lane) for _ in range(LANES)]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join()
    for cell in alone:
        tell(judge(driver, world, cell))
    driver.process.stdin.close()  # type: ignore[union-attr]
    code = driver.process.wait(timeout=30)
    left = [f"{name} ({pid}) is left" for pid, name in processes().items() if pid not in (1, os.getpid())]
    left = [line for line in left if not line.startswith(("bwrap", "sh "))]
    if code:
        left.append(f"the sandbox ended with status {code}")
    left += [f"{path} is left" for path in Path("/tmp").glob("sandbox-*")]
    tell({"name": "the world", "amiss": left + world.amiss(), "status": "", "seconds": 0})


if __name__ == "__main__":
    main()
