"""A server process of ours: started, watched, ended."""

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
_TAIL_BYTES = 1 << 16
_LONGEST_QUOTE = 400
_STAMP = re.compile(r"^[\d.]+ [A-Z] ")  # begins llama.cpp's lines: minutes.seconds.millis.micros and the level
# The cause of a failure: an error of llama.cpp, or the exception that a Python server ended with.
_ERROR = re.compile(r"^[\d.]+ E (?P<llama>.*)|(?:^|\s)(?P<python>(?:[a-z_]+\.)*[A-Z]\w*(?:Error|Exception): .*)")
_GRACE_SECONDS = 15.0  # for a guardian to end its server


class ServerProcess:
    """A running server in a session of its own, so that Ctrl-C in the terminal does not reach it.

    Its standard input is a pipe from us that closes when we end, however we end. Its output is appended to the log.
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
        """Start the command; `defaults` are environment variables that it gets where ours does not set them.

        `secrets` are variables for what nobody may read from its arguments; they count before ours.

        A `guarded` server is one that does not watch its standard input, or has children: a guardian process ends it
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
        """The first line that an unguarded server prints, which is its URL.

        Raises EngineError, quoting the log, if that has not come after `seconds`, or if the process ends without it.
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
        """What to raise for a process that has ended by itself."""
        return EngineError(
            f"the engine's server ended with status {self._process.returncode} {when}: {self.complaint()}"
        )

    async def end(self) -> None:
        """End the process and wait until it is gone. May be called twice."""
        if self.running and self._guarded:
            assert self._process.stdin is not None
            self._process.stdin.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(_GRACE_SECONDS):
                    await self._process.wait()
        if self.running:
            # Not `Process.kill`: of a process that has just died it takes the status that asyncio waits for.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.communicate()

    def complaint(self) -> str:
        """The first error in its log, which is the cause of the others, else its last lines."""
        with self._log_path.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = log.read().decode("utf-8", "replace").splitlines()
        errors = [found["llama"] or found["python"] for line in lines if (found := _ERROR.search(line))]
        quoted = errors[:1] or [_STAMP.sub("", line) for line in lines[-_QUOTED_LINES:]]
        cause = " / ".join(line.strip() for line in quoted)[:_LONGEST_QUOTE] or "it wrote nothing"
        return f"{cause} (log: {self._log_path})"


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens at just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_port(port: int) -> None:
    """Raises EngineUnavailableError if a server cannot listen at this port of 127.0.0.1."""
    with socket.socket() as probe:
        # As servers do: connections of a former one that still linger do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError as error:
            raise EngineUnavailableError(
                f"port {port} cannot be used ({error.strerror}): end the program that holds it, which may be a former "
                "server that is still ending, or set engine.port to another one or to 0 for any free one"
            ) from error
