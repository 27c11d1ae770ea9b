"""How the questions that no integer answers are put to a model, and how its answers are read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from agent.answers import last_boxed
from agent.prompts import Family, question_turn, system_turn
from agent.types import Problem
from tools.benchmark_code import read_program

_LETTER = re.compile(
    r""" "answer"\s*:\s*"?\s*\(?([A-D])\b   # as QwQ's guide asks for it
       | \\boxed\{\s*(?:\\text\w*\s*\{\s*)?\(?([A-D])\b   # as models do that were taught to answer mathematics""",
    re.VERBOSE,
)


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


def read_letter(text: str) -> str | None:
    r"""The letter that a text chooses: the last `"answer": "C"`, or the last box with a letter in it.

    >>> read_letter('So the second one: "answer": "B"')
    'B'
    """
    letters = [match[1] or match[2] for match in _LETTER.finditer(text)]
    return letters[-1] if letters else None


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
