"""The notebook's end of the worker protocol, over the standard streams of the worker's process."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

from agent.errors import AgentError
from submission.protocol import SolveRequest, WorkerEvent, decode_event, encode_request

_EXIT_SECONDS = 5.0


class WorkerLostError(AgentError):
    """The worker has exited or cannot be reached."""


class WorkerConnection(Protocol):
    """A connection to a worker that can be restarted."""

    def send(self, request: SolveRequest) -> None:
        """Send a request. Raises WorkerLostError if there is no worker."""

    def receive(self, seconds: float) -> WorkerEvent | None:
        """The worker's next event, None after `seconds` without one. Raises WorkerLostError once it is gone."""

    def restart(self) -> None:
        """End the worker, whatever state it is in, and start a new one. Raises WorkerLostError if that fails."""


class WorkerProcess:
    """A connection to a worker in a process of its own; what it writes to standard error goes to `log`.

    `command` makes the command line anew at each start, because it holds how much time has gone.
    """

    def __init__(self, command: Callable[[], Sequence[str]], log: Path, environment: Mapping[str, str]) -> None:
        self._command = command
        self._log = log
        self._environment = dict(environment)
        self._process: subprocess.Popen[str] | None = None
        self._inbox: queue.Queue[WorkerEvent | None] = queue.Queue()

    def send(self, request: SolveRequest) -> None:
        """Write a line. Raises WorkerLostError if the worker is gone."""
        if self._process is None or self._process.stdin is None:
            raise WorkerLostError("the worker is not running")
        try:
            self._process.stdin.write(encode_request(request) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise WorkerLostError(f"the worker is gone ({self._status()})") from error

    def receive(self, seconds: float) -> WorkerEvent | None:
        """The next event. Raises WorkerLostError once the worker is gone and all its events have been read."""
        try:
            event = self._inbox.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None
        if event is None:
            self._inbox.put(None)
            raise WorkerLostError(f"the worker is gone ({self._status()})")
        return event

    def restart(self) -> None:
        """Kill the worker (its engine ends with it) and start a new one."""
        self.close()
        self._inbox = queue.Queue()
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=self._environment,
                    text=True,
                    encoding="utf-8",
                    start_new_session=True,
                )
        except OSError as error:
            raise WorkerLostError(f"the worker cannot be started: {error}") from error
        assert self._process.stdout is not None
        threading.Thread(target=_read, args=(self._process.stdout, self._inbox), daemon=True).start()

    def close(self) -> None:
        """End the worker and all that it runs, such as a pip that is still installing. May be called twice."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):  # a failing machine may hold it for long
            process.wait(_EXIT_SECONDS)
        if process.stdin is not None:
            with suppress(OSError):  # data that nobody read cannot be flushed
                process.stdin.close()

    def _status(self) -> str:
        if self._process is None:
            return "it was ended"
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1.0)
        return f"exit status {self._process.returncode}; see {self._log}"


def _read(stream: IO[str], inbox: queue.Queue[WorkerEvent | None]) -> None:
    """Put each event into the inbox, and None once the worker has closed its end."""
    with stream:
        for line in stream:
            if (event := decode_event(line)) is not None:
                inbox.put(event)
    inbox.put(None)
