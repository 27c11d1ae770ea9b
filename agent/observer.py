"""What a run tells those who watch it: the journal, the live view, tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agent.types import Problem, Sample, Solution, ToolRun


class Observer(Protocol):
    """Receives the events of a run in the order in which they happen. Methods return quickly."""

    def problem_started(self, problem: Problem, prompt: str, allowance: float, lanes: int) -> None:
        """`lanes` samples of a problem start, with `allowance` seconds granted."""

    def tokens_received(self, problem_id: str, index: int, tokens: int) -> None:
        """A running sample has generated `tokens` more tokens."""

    def text_written(self, problem_id: str, index: int, text: str, *, inserted: bool) -> None:
        """The text of a running sample has grown by what it has generated, or by what the agent has inserted.

        The pieces of a sample, joined, are its `Sample.text`.
        """

    def tool_ran(self, problem_id: str, index: int, tool_run: ToolRun) -> None:
        """A running sample has run a code block."""

    def sample_ended(self, sample: Sample) -> None:
        """A sample has ended, for whatever reason."""

    def problem_solved(self, solution: Solution) -> None:
        """A problem is closed."""

    def engine_noticed(self, text: str, at: float) -> None:
        """Something befell the engine, told in a sentence, `at` seconds after the run began."""


class Observers:
    """Passes each event on to several observers, in order."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def problem_started(self, problem: Problem, prompt: str, allowance: float, lanes: int) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.problem_started(problem, prompt, allowance, lanes)

    def tokens_received(self, problem_id: str, index: int, tokens: int) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.tokens_received(problem_id, index, tokens)

    def text_written(self, problem_id: str, index: int, text: str, *, inserted: bool) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.text_written(problem_id, index, text, inserted=inserted)

    def tool_ran(self, problem_id: str, index: int, tool_run: ToolRun) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.tool_ran(problem_id, index, tool_run)

    def sample_ended(self, sample: Sample) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.sample_ended(sample)

    def problem_solved(self, solution: Solution) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.problem_solved(solution)

    def engine_noticed(self, text: str, at: float) -> None:
        """Pass on."""
        for observer in self._observers:
            observer.engine_noticed(text, at)
