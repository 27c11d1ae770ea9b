"""Tasks without integer answers: how their questions are presented to a model, and how its answers are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.answers import last_boxed
from tools.benchmark.reading.blocks import read_program
from tools.benchmark.reading.letter import read_letter


@dataclass(frozen=True, slots=True)
class PlainTask:
    """A task without tools.

    The model gets `own_instructions` (None: those that its family has for mathematics); `reader` reads its answers.
    """

    own_instructions: str | None
    reader: Callable[[str], str | None]

    def instructions(self, usual: str) -> str:
        """The task's own instructions, or the default ones."""
        return usual if self.own_instructions is None else self.own_instructions

    def read(self, text: str) -> str | None:
        """Return the answer in a text."""
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
