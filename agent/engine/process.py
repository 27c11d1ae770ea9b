"""A server process of ours: started, watched, ended."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from agent.errors import EngineError

_QUOTED_LINES = 3
_TAIL_BYTES = 8_192
_STAMP = re.compile(r"^[\d.]+ [A-Z] ")  # of a line of llama.cpp: minutes.seconds.millis.micros and the level
_ERROR = re.compile(r"^[\d.]+ E ")


class ServerProcess:
    """A running server in a session of its own, so that Ctrl-C in the terminal does not reach it.

    Its standard input is a pipe from us that closes when we end, however we end. `url` is the first line it printed.
    """

    def __init__(self, process: asyncio.subprocess.Process, url: str, log_path: Path, log_start: int) -> None:
        self._process = process
        self._log_path = log_path
        self._log_start = log_start
        self.url = url

    @classmethod
    async def start(
        cls, command: Sequence[str], *, log_path: Path, seconds: float, defaults: Mapping[str, str]
    ) -> ServerProcess:
        """Start the command and wait for the line with its URL; its standard error is appended to the log.

        `defaults` are environment variables that it gets where ours does not set them.
        Raises EngineError, quoting the log, if that has not come after `seconds`, or if the process ends without it.
        """
        try:
            log_path.parent.mkdir(parents=True, exist_ok=True)
            with log_path.open("ab") as log:
                start = log.tell()
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                    env={**defaults, **os.environ},
                )
        except OSError as error:
            raise EngineError(f"the engine's server cannot be started: {error}") from error
        server = cls(process, "", log_path, start)
        try:
            server.url = await server._announced(seconds)
        except BaseException:
            await server.end()
            raise
        return server

    async def end(self) -> None:
        """Kill the process and wait until it is gone. May be called twice."""
        if self._process.returncode is None:
            # Not `Process.kill`: of a process that has just died it takes the status that asyncio waits for.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.communicate()

    async def _announced(self, seconds: float) -> str:
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                line = await self._process.stdout.readline()
                if line:
                    return line.decode().strip()
                status = await self._process.wait()
        except TimeoutError:
            raise EngineError(f"the engine's server was not up after {seconds:g} s: {self._complaint()}") from None
        raise EngineError(f"the engine's server ended with status {status} at its start: {self._complaint()}")

    def _complaint(self) -> str:
        """The first error in its log, which is the cause of the others, else its last lines."""
        with self._log_path.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = log.read().decode("utf-8", "replace").splitlines()
        errors = [line for line in lines if _ERROR.match(line)]
        quoted = errors[:1] or lines[-_QUOTED_LINES:]
        cause = " / ".join(_STAMP.sub("", line).strip() for line in quoted) or "it wrote nothing"
        return f"{cause} (log: {self._log_path})"
