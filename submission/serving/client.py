"""Asks the worker for the answer to a problem, and gives up in time where none comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.errors import EngineError
from submission.protocol import (
    AllowanceGranted,
    LeadingAnswer,
    RequestSolved,
    SandboxTried,
    SetupChosen,
    SolveRequest,
    WorkerEvent,
    WorkerStarted,
    WorkerWarning,
)
from submission.serving.connection import WorkerConnection, WorkerLostError

_RESTARTS = 2  # at most, for one problem


@dataclass(slots=True)
class SolveResult:
    """The result of a problem: the voted answer (None where nobody voted), and why the problem was closed.

    `votes` says what the answer rests on, `warnings` what went wrong on the way, a short sentence each.
    """

    answer: int | None = None
    closed: str = ""
    votes: str = ""
    warnings: list[str] = field(default_factory=list)


class WorkerClient:
    """The worker as the predictor sees it. `clock` is in seconds and never goes back.

    A worker that has not begun with a problem `start_seconds` after it was asked, or is not done `grace_seconds` after
    the allowance that it granted, hangs: it is replaced, and the answer is the leader of its votes so far. `tell` is
    called with what the worker has chosen to run and how its first cell of Python went, `hear` with each event.
    """

    def __init__(
        self,
        connection: WorkerConnection,
        clock: Callable[[], float],
        *,
        start_seconds: float,
        grace_seconds: float = 20.0,
        tell: Callable[[str], None] = lambda text: None,
        hear: Callable[[WorkerEvent], None] = lambda event: None,
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._start_seconds = start_seconds
        self._grace_seconds = grace_seconds
        self._tell = tell
        self._hear = hear
        self._number = 0

    def wait_until_started(self) -> None:
        """Return once the worker can solve problems.

        Raises EngineError with the reason if it cannot, or has not started `start_seconds` from now.
        """
        warnings: list[str] = []
        deadline = self._clock() + self._start_seconds
        while (left := deadline - self._clock()) > 0:
            try:
                event = self._receive(left)
            except WorkerLostError as error:
                raise EngineError("; ".join([*warnings, str(error)])) from error
            match event:
                case WorkerWarning(why):
                    warnings.append(why)
                    self._tell(f"warning: {why}")
                case SetupChosen(text) | SandboxTried(text):
                    self._tell(text)
                case WorkerStarted(""):
                    return
                case WorkerStarted(failure):
                    raise EngineError(failure)
        raise EngineError("; ".join([*warnings, f"the worker has not started within {self._start_seconds:.0f} s"]))

    def solve(self, result: SolveResult, id_: str, text: str, *, problems_left: int, until: float) -> None:
        """Fill in the result of a problem, with `problems_left` to go, it included; return by `until` on the clock."""
        for start in range(_RESTARTS + 1):
            self._number += 1
            seconds = until - self._clock() - self._grace_seconds
            try:
                self._connection.send(SolveRequest(self._number, id_, text, problems_left, seconds))
                self._await_result(result, until)
                break
            except WorkerLostError as error:
                result.warnings.append(str(error))
            if start == _RESTARTS or not self._restart(result, until):
                result.closed = "worker lost"
                break

    def _await_result(self, result: SolveResult, until: float) -> None:
        deadline = min(until, self._clock() + self._start_seconds)
        while (left := deadline - self._clock()) > 0:
            match self._receive(left):
                case WorkerWarning(why):
                    result.warnings.append(why)
                case SetupChosen(text) | SandboxTried(text):
                    self._tell(text)
                case WorkerStarted(failure) if failure:
                    result.warnings.append(failure)
                case AllowanceGranted(self._number, seconds):
                    deadline = min(until, self._clock() + seconds + self._grace_seconds)
                case LeadingAnswer(self._number, answer, votes):
                    result.answer, result.votes = answer, votes
                case RequestSolved(self._number, answer, closed, votes):
                    if answer is not None:
                        result.answer, result.votes = answer, votes
                    result.closed = closed
                    return
                case _:  # silence, or an event about an earlier request
                    pass
        result.closed = "watchdog"
        result.warnings.append("the worker did not answer in time and was replaced")
        self._restart(result, until)

    def _receive(self, seconds: float) -> WorkerEvent | None:
        event = self._connection.receive(seconds)
        if event is not None:
            self._hear(event)
        return event

    def _restart(self, result: SolveResult, until: float) -> bool:
        """Replace the worker; return whether there is a new one and time left for it."""
        try:
            self._connection.restart()
        except WorkerLostError as error:
            result.warnings.append(str(error))
            return False
        return self._clock() < until
