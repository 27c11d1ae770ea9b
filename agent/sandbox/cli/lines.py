"""Drives the sandbox from outside: JSON lines in, one for each cell, JSON lines out, one for each result."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.errors import InputError, SandboxError
from agent.sandbox.forkserver import ForkServerSandbox, ForkServerSession

MAX_LINE = 16 << 20
MAX_TIMEOUT = 86_400.0
_OPEN_SESSIONS = 64  # more than these are closed, the longest unused first
_PENDING = 1_024  # requests read ahead
_KEYS = ("session", "code", "timeout", "reset")
_MOST_DIGITS = 1_000
_SHOWN = 40  # characters of a key that no request has
_STOPPED = "The sandbox was told to end before the cell had ended."
_EVICTED = "The session had long been unused and was restarted: variables, functions and imports are lost.\n"


@dataclass(frozen=True, slots=True)
class LineRequest:
    """One line: run `code` (None: nothing) in `session`, which is first started afresh if `reset`.

    `fault` is the answer to a line that can only be refused.
    """

    session: str | int
    code: str | None
    timeout: float | None
    reset: bool
    fault: str = ""


@dataclass(slots=True)
class _Lane:
    session: ForkServerSession | None = None
    evicted: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


def parse_line(line: bytes) -> LineRequest:
    """The request in a line. Raises InputError, whose sentence is the answer."""
    data = _object(line)
    session, code, timeout = data.get("session"), data.get("code"), data.get("timeout")
    reset = data.get("reset", False)
    if not isinstance(session, str | int) or isinstance(session, bool):
        raise InputError('"session" must be a string or a whole number')
    if not isinstance(reset, bool):
        raise InputError('"reset" must be true or false')
    if not isinstance(code, str) and not (code is None and reset):
        raise InputError('"code" must be a string')
    if code is not None:
        _check_text(code)
    if timeout is not None:
        _check_timeout(timeout)
    return LineRequest(session, code, timeout, reset)


def _object(line: bytes) -> dict[str, Any]:
    """The object in a line, which has the keys of a request and no others."""
    if len(line.rstrip(b"\n")) > MAX_LINE:
        raise InputError(f"the line is too long: at most {MAX_LINE} bytes ({MAX_LINE >> 20} MiB) are read")
    try:
        data: Any = json.loads(line, parse_int=_whole, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the line is not JSON ({error}): send one object a line") from None
    if not isinstance(data, dict):
        raise InputError('the line is not an object: send {"session": ..., "code": ..., "timeout": ...}')
    for key in data:
        if key not in _KEYS:
            raise InputError(f"{_quoted(key)} is not a key of a request: those are {_listed(_KEYS)}")
    return data


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise InputError(f"the line holds a number of {len(digits)} characters: send at most {_MOST_DIGITS}")
    return int(digits)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in pairs:
        if key in data:
            raise InputError(f"the line holds {_quoted(key)} twice: send each key once")
        data[key] = value
    return data


def _quoted(key: str) -> str:
    return json.dumps(key if len(key) <= _SHOWN else key[:_SHOWN] + "...")


def _listed(keys: tuple[str, ...]) -> str:
    *first, last = map(_quoted, keys)
    return f"{', '.join(first)} and {last}"


def _check_text(code: str) -> None:
    try:
        code.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(code[error.start]):04x}"
        raise InputError(
            f'"code" holds half a character, {half}, after {error.start} characters: '
            "send both halves (a surrogate pair), or none"
        ) from None


def _check_timeout(timeout: object) -> None:
    number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not number or not 0 < timeout <= MAX_TIMEOUT:  # type: ignore[operator]
        raise InputError(f'"timeout" must be a number of seconds above 0 and at most {MAX_TIMEOUT:.0f}')


class LineServer:
    """Answers lines: sessions run side by side, the cells of one session in the order of their lines."""

    def __init__(self, sandbox: ForkServerSandbox, write: Callable[[str], None]) -> None:
        self._sandbox = sandbox
        self._write = write
        self._lanes: dict[str | int, _Lane] = {}
        self._busy = asyncio.Semaphore(_OPEN_SESSIONS)
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, line: bytes) -> None:
        """Accept a line; the answer comes when it is there."""
        if not line.strip():
            return
        try:
            request = parse_line(line)
        except InputError as error:
            name = _session_of(line)
            if name is None:
                self._answer(None, "error", str(error), 0.0)
                return
            request = LineRequest(name, None, None, reset=False, fault=str(error))
        try:
            while len(self._tasks) >= _PENDING:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._answer(request.session, "killed", _STOPPED, 0.0)
            raise
        lane = self._lanes.setdefault(request.session, _Lane())
        lane.waiting += 1
        task = asyncio.get_running_loop().create_task(self._serve(request, lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Wait until every line is answered."""
        while tasks := set(self._tasks):
            await asyncio.gather(*tasks)
            self._tasks -= tasks  # see ForkServerSandbox.close

    async def stop(self) -> None:
        """End all cells and answer every line that was taken."""
        await asyncio.sleep(0)  # a task that has not begun would end without an answer
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, request: LineRequest, lane: _Lane) -> None:
        try:
            async with lane.lock, self._busy:
                status, output, seconds = await self._result(request, lane)
                lane.waiting -= 1
        except asyncio.CancelledError:  # see stop
            self._answer(request.session, "killed", _STOPPED, 0.0)
            return
        # Most recently used last.
        self._lanes.pop(request.session)
        self._lanes[request.session] = lane
        self._answer(request.session, status, output, seconds)
        await self._evict()

    async def _result(self, request: LineRequest, lane: _Lane) -> tuple[str, str, float]:
        try:
            return await self._run(request, lane)
        except SandboxError as error:
            return "killed", str(error), 0.0
        except Exception as error:  # noqa: BLE001 - a fault of the service is no reason to leave a line unanswered
            return "killed", f"The sandbox failed: {type(error).__name__}: {error}", 0.0

    async def _run(self, request: LineRequest, lane: _Lane) -> tuple[str, str, float]:
        if request.fault:
            return "error", request.fault, 0.0
        if request.reset:
            lane.evicted = False
            if lane.session is not None:
                session, lane.session = lane.session, None
                await session.close()
        if request.code is None:
            return "ok", "", 0.0
        if lane.session is None:
            lane.session = await self._sandbox.session(_seed(request.session))
        note, lane.evicted = _EVICTED if lane.evicted else "", False
        run = await lane.session.run(request.code, request.timeout)
        return run.status.value, note + run.output, run.seconds

    async def _evict(self) -> None:
        idle = [lane for lane in self._lanes.values() if lane.session is not None and not lane.waiting]
        open_now = sum(lane.session is not None for lane in self._lanes.values())
        for lane in idle[: max(0, open_now - _OPEN_SESSIONS)]:
            session, lane.session, lane.evicted = lane.session, None, True
            if session is not None:
                await session.close()

    def _answer(self, session: str | int | None, status: str, output: str, seconds: float) -> None:
        answer = {"session": session, "status": status, "output": output, "seconds": round(seconds, 6)}
        self._write(json.dumps(answer) + "\n")


def _seed(session: str | int) -> int:
    """The seed of a session: its random numbers are the same in each run, and not those of another session."""
    return int.from_bytes(hashlib.sha256(repr(session).encode()).digest()[:4], "big")


def _session_of(line: bytes) -> str | int | None:
    """The session that a line which is no request means, so that its sender can tell whose answer it is."""
    if len(line) > MAX_LINE:
        return None
    with contextlib.suppress(ValueError, RecursionError):
        data = json.loads(line, parse_int=lambda digits: int(digits) if len(digits) <= _MOST_DIGITS else None)
        if isinstance(data, dict) and isinstance(data.get("session"), str | int):
            session: str | int = data["session"]
            return session
    return None
