"""How the questions that no integer answers are put to a model, and how its answers are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.answers import last_boxed
from agent.chat.prompts import Family, question_turn, system_turn
from agent.types import Problem
from tools.benchmark.reading.blocks import read_program
from tools.benchmark.reading.letter import read_letter


@dataclass(frozen=True, slots=True)
class PlainTask:
    """A task without tools.

    The model gets the `instructions` (None: those that its family has for mathematics); `reader` reads its answers.
    """

    instructions: str | None
    reader: Callable[[str], str | None]

    def prefix(self, family: Family, *, tools: bool) -> str:
        """The instructions."""
        return system_turn(family.instructions if self.instructions is None else self.instructions)

    def prompt(self, family: Family, problem: Problem, *, tools: bool) -> str:
        """The instructions, the question, and the start of the reply."""
        return self.prefix(family, tools=tools) + question_turn(problem.text, family.opening)

    def read(self, text: str) -> str | None:
        """The answer that a text gives."""
        return self.reader(text)


EXPRESSION = PlainTask(None, last_boxed)
CHOICE = PlainTask(
    'Reason step by step, then give your choice as JSON with nothing but its letter, as in {"answer": "C"}.',
    read_letter,
)
PROGRAM = PlainTask(
    "You solve programming problems in Python. Reason step by step, then give the whole program in one ```python block "
    "at the end of your reply.",
    read_program,
)
