"""Solve the visitors' questions one at a time, each as a run of its own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from agent.agent import Agent
from agent.errors import AgentError, InputError
from agent.events import Listener
from agent.journal.journal import JOURNAL_FILE
from agent.journal.run_directory import RunDirectory
from agent.policy.budget import grant
from agent.solver import solve_problem
from agent.types import Problem, StopReason
from tools.demo.state import Question

MOST_CHARS = 4_000  # in a problem
MOST_WAITING = 20
FRAME_SECONDS = 0.4  # between two frames: what a browser can draw with many lanes
LEFT = "Withdrawn: there is no answer."
ENGINE_FAILED = (
    "The engine failed while it worked on this question. It will be restarted for the next one: please ask again."
)


class QuestionQueue:
    """Questions waiting for the engine, first come, first served. Call all methods on the engine's event loop.

    Questions share only the engine and the sandbox: each is recorded as `question-N` in `directory`, a run of one
    problem with the full time limit of the agent's configuration. `listeners` are given the events of all of them.
    """

    def __init__(
        self, agent: Agent, directory: Path, clock: Callable[[], float], listeners: Sequence[Listener] = ()
    ) -> None:
        self.config = agent.config
        self.checked = agent.checked
        self.directory = directory
        self._agent = agent
        self._clock = clock
        self._listeners = listeners
        self._turn = asyncio.Lock()
        self._queue: list[Question] = []
        self._visits: dict[str, tuple[Question, asyncio.Task[None]]] = {}
        self._owners: dict[str, str] = {}  # by the ids of their questions
        self._asked = 0

    async def ask(self, visitor: str, text: str, owner: str = "") -> AsyncGenerator[Question]:
        """Solve a problem, yielding the same question again and again until it is closed.

        `visitor` is the open page, which has one question at a time; `owner` the secret of its browser, which may fetch
        the journal. Closing the generator cancels the question: its lanes end at once. Raises InputError for a text
        that is not accepted.
        """
        text = self._checked(visitor, text)
        question = Question(Problem(self._next_id(), text), self.config, self._clock)
        self._owners[question.problem.id] = owner
        self._queue.append(question)
        solving = asyncio.create_task(self._solve(question))
        self._visits[visitor] = question, solving
        try:
            while not solving.done():
                question.place = self._queue.index(question)
                yield question
                await asyncio.wait({solving}, timeout=FRAME_SECONDS)
            if not solving.cancelled():
                solving.result()  # raises what was not foreseen
            yield question
        finally:
            del self._visits[visitor]
            solving.cancel()
            await asyncio.gather(solving, return_exceptions=True)

    def answer_now(self, visitor: str) -> None:
        """Answer the visitor's question with the votes so far, or withdraw it if it is still waiting."""
        if visitor not in self._visits:
            return
        question, _ = self._visits[visitor]
        question.answer_now.set()
        if question.begun is None:
            self.leave(visitor)

    def leave(self, visitor: str) -> None:
        """Withdraw the question of a visitor who has left."""
        if visitor in self._visits:
            question, solving = self._visits[visitor]
            question.failure = LEFT
            solving.cancel()

    def show_event(self, text: str) -> None:
        """Show an engine event with the question that is being solved."""
        if self._queue:
            self._queue[0].engine_event = text

    def journal(self, name: str, owner: str) -> Path | None:
        """Return the path of a question's journal, None if it has none or somebody else asked it."""
        asker = self._owners.get(name, "")
        if not asker or not secrets.compare_digest(asker.encode(), owner.encode()):
            return None
        path = self.directory / name / JOURNAL_FILE
        return path if path.is_file() else None

    def _checked(self, visitor: str, text: str) -> str:
        if not text.strip():
            raise InputError("The problem is empty: type one, or click an example.")
        if len(text) > MOST_CHARS:
            raise InputError(f"The problem has {len(text):,} characters: please ask in at most {MOST_CHARS:,}.")
        if visitor in self._visits:
            raise InputError("You already have a question in progress: please wait for it, or stop it.")
        if len(self._queue) > MOST_WAITING:
            raise InputError(f"{len(self._queue)} questions are waiting already: please come back later.")
        return text.strip()

    def _next_id(self) -> str:
        self._asked += 1
        while (self.directory / f"question-{self._asked}").exists():  # left by an earlier demo in this directory
            self._asked += 1
        return f"question-{self._asked}"

    async def _solve(self, question: Question) -> None:
        try:
            async with self._turn:
                await self._agent.engine.start()  # if it has died since, fail before anything is recorded
                await self._record(question)
        except AgentError as error:
            question.failure = str(error)
        finally:
            self._queue.remove(question)

    async def _record(self, question: Question) -> None:
        directory = self.directory / question.problem.id
        recorded = RunDirectory(directory, [question.problem])
        with self._agent.begin([question, *self._listeners], directory=recorded) as run:
            # The budget's rule may save lanes for later problems; here each question gets all that are configured.
            allowance = replace(grant(self.config.time_limit_seconds, 1, self.config), lanes=None)
            question.directory = directory
            run.tell_start()
            solution = await solve_problem(question.problem, run.runtime, allowance, answer_now=question.answer_now)
        if solution.stop is StopReason.ENGINE_ERROR:
            question.engine_event = ENGINE_FAILED
