"""A server process that we start, watch and end."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from agent.errors import EngineError, EngineUnavailableError

_QUOTED_LINES = 3
_TAIL_BYTES = 1 << 21  # behind the cause a dying server may write a traceback for each of its streams
_START_BYTES = 1 << 22
_MAX_QUOTE_CHARS = 400
_STAMP = re.compile(r"^[\d.]+ [A-Z] ")  # llama.cpp's line prefix: minutes.seconds.millis.micros and the level
# The cause of a failure: an error of llama.cpp, or the exception that ended a Python server.
_ERROR = re.compile(r"^[\d.]+ E (?P<llama>.*)|(?:^|\s)(?P<python>(?:[a-z_]+\.)*[A-Z]\w*(?:Error|Exception): .*)")
_LISTED_ERRORS = re.compile(r"ValidationError: \d+ validation errors? for ")  # what is wrong stands in the next line
# What vLLM says of the work of each interval, whatever other engines of it say; of an idle one it says nothing.
_WORK = re.compile(r"(?:\]|Engine 000:|Engines Aggregated:) Avg prompt throughput: ")
_LATE_REPORTS = 2  # such lines may follow a failure: of the work before it, and of the interval that had none
_GRACE_SECONDS = 15.0  # for a guardian to kill its server


class ServerProcess:
    """A server running in a session of its own, so that Ctrl-C in the terminal does not reach it.

    Its standard input is a pipe that closes when our process ends, however that happens. Its output is appended to the
    log.
    """

    def __init__(self, process: asyncio.subprocess.Process, log_path: Path, log_start: int, *, guarded: bool) -> None:
        self._process = process
        self._log_path = log_path
        self._log_start = log_start
        self._guarded = guarded

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        log_path: Path,
        defaults: Mapping[str, str],
        secrets: Mapping[str, str] | None = None,
        guarded: bool = False,
    ) -> ServerProcess:
        """Start the command; `defaults` are environment variables for it that our environment overrides.

        `secrets` are environment variables that override ours; unlike arguments, other users cannot read them.

        Use `guarded` for a server that does not watch its standard input, or has children: a guardian process kills it
        with all of them. Raises EngineError if it cannot be started.
        """
        if guarded:
            command = [sys.executable, "-m", "agent.engine.guardian", *command]
        try:
            log_path.parent.mkdir(parents=True, exist_ok=True)
            with log_path.open("ab") as log:
                start = log.tell()
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=log if guarded else asyncio.subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                    env={**defaults, **os.environ, **(secrets or {})},
                )
        except OSError as error:
            raise EngineError(f"the engine's server cannot be started: {error}") from error
        return cls(process, log_path, start, guarded=guarded)

    async def announced(self, seconds: float) -> str:
        """Return the first line printed by an unguarded server, which is its URL.

        Raises EngineError, quoting the log, if there is none after `seconds`, or if the process ends without it.
        """
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                line = await self._process.stdout.readline()
                if line:
                    return line.decode().strip()
                await self._process.wait()
        except TimeoutError:
            raise EngineError(f"the engine's server was not up after {seconds:g} s: {self.complaint()}") from None
        raise self.died("at its start")

    async def wait(self) -> None:
        """Return when the process has ended."""
        await self._process.wait()

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.returncode is None

    def died(self, when: str) -> EngineError:
        """Return the error for a process that has exited by itself."""
        return EngineError(
            f"the engine's server ended with status {self._process.returncode} {when}: {self.complaint()}"
        )

    async def end(self) -> None:
        """End the process and wait until it has exited. Idempotent."""
        if self.running and self._guarded:
            assert self._process.stdin is not None
            self._process.stdin.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(_GRACE_SECONDS):
                    await self._process.wait()
        if self.running:
            # Not `Process.kill`: if the process has just died, it reaps the status that asyncio waits for.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.communicate()

    def written(self) -> list[str]:
        """The lines that it has written into its log so far, at most so many bytes of them as tell of a start."""
        with self._log_path.open("rb") as log:
            log.seek(self._log_start)
            return log.read(_START_BYTES).decode("utf-8", "replace").splitlines()

    def complaint(self) -> str:
        """Quote the first error since it last worked, which is the cause of the others, or else its last lines."""
        lines = self._last_lines()
        quoted = _errors(lines)[:1] or [_STAMP.sub("", line).strip() for line in lines[-_QUOTED_LINES:]]
        cause = " / ".join(quoted)[:_MAX_QUOTE_CHARS] or "it wrote nothing"
        return f"{cause} (log: {self._log_path})"

    def errors(self) -> list[str]:
        """The errors in its log since it last worked, in their order."""
        return _errors(self._last_lines())

    def _last_lines(self) -> list[str]:
        """The end of its log: what it has written since it worked for certain, as errors before that did not end it."""
        with self._log_path.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = log.read().decode("utf-8", "replace").splitlines()
        worked = [place for place, line in enumerate(lines) if _WORK.search(line)][:-_LATE_REPORTS]
        return lines[worked[-1] + 1 :] if worked else lines


def _errors(lines: Sequence[str]) -> list[str]:
    """The lines that tell an error, each from the error on; one of pydantic with the line that has its details."""
    errors = []
    for place, line in enumerate(lines):
        found = _ERROR.search(line)
        if found and (error := found["llama"] or found["python"]):
            told = [error, *lines[place + 1 : place + 2]] if _LISTED_ERRORS.search(error) else [error]
            errors.append(" / ".join(each.strip() for each in told))
    return errors


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_port(port: int) -> None:
    """Raise EngineUnavailableError if a server cannot listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        # As servers do: lingering connections of an earlier one do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError as error:
            raise EngineUnavailableError(
                f"port {port} cannot be used ({error.strerror}): end the program that uses it, which may be an earlier "
                "server that is still shutting down, or set engine.port to another one or to 0 for any free one"
            ) from error
