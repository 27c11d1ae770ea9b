"""The kinds of questions that a run can ask."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from agent.answers import extract_answer
from agent.chat.prompts import Family, build_prompt, prompt_prefix
from agent.chat.thinking import ends_with_box, has_box, is_doubted, near_its_end, thinking_end
from agent.types import Edition, Problem

_SEPARATOR = re.compile(r"[, \u2009\u202f]")  # between thousands
_NUMBER = re.compile(r"-?\d+(?:[, \u2009\u202f]\d{3})*(?:\.\d+|\s*[/^]\s*\{?\d+)*")


class Task(Protocol):
    """A kind of question: how it is put to a model, and how an answer to it is read."""

    def prefix(self, family: Family, *, tools: bool) -> str:
        """What the prompts of all problems begin with."""

    def prompt(self, family: Family, problem: Problem, *, tools: bool) -> str:
        """The prompt of all samples of a problem, up to where the assistant's turn is continued."""

    def read(self, text: str) -> int | str | None:
        """The answer that a text gives, None where it gives none. Only integers are voted on."""


@dataclass(frozen=True, slots=True)
class CompetitionTask:
    """Problems of an edition, answered by an integer in a box."""

    edition: Edition

    def prefix(self, family: Family, *, tools: bool) -> str:
        """Instructions, the edition's rule for answers, and the family's examples."""
        return prompt_prefix(family, self.edition, tools=tools)

    def prompt(self, family: Family, problem: Problem, *, tools: bool) -> str:
        """The prefix, the problem, and the start of the reply."""
        return build_prompt(family, problem, self.edition, tools=tools)

    def read(self, text: str) -> int | None:
        """The integer in the last box, if the edition allows it."""
        return extract_answer(text, self.edition)


def finished_answer(task: Task, text: str, think_close: str) -> int | str | None:
    """The answer of a reply that has ended by itself; `think_close` ends its thinking ("" where it does not think).

    What stands behind the thinking counts. Where no box stands there, one that stands near the end of the thinking
    does, unless the reply denies it or names other numbers. None while the thinking is open: a box in it may be a guess
    that is dropped later.
    """
    if not think_close:
        return task.read(text)
    end = thinking_end(text, think_close)
    if end is None:
        return None
    behind = text[end + len(think_close) :]
    answer = task.read(behind)
    if answer is not None or has_box(behind):
        return answer
    thought = thinking_answer(task, text[:end])
    numbers = _NUMBER.findall(behind)
    same = all(task.read(f"\\boxed{{{re.sub(_SEPARATOR, '', number)}}}") == thought for number in numbers)
    return thought if same and not is_doubted(behind) else None


def settled_answer(task: Task, text: str, think_close: str) -> int | None:
    """The answer of a reply whose stream broke, where it lacked nothing but its end: it ends with the box."""
    answer = finished_answer(task, text, think_close)
    return answer if isinstance(answer, int) and ends_with_box(text) else None


def thinking_answer(task: Task, thinking: str) -> int | str | None:
    """The answer that a closed thinking ends with."""
    tail = near_its_end(thinking)
    return task.read(tail) if tail else None


def vote(task: Task, text: str) -> int | None:
    """The answer that a text gives, if it is one that is voted on."""
    answer = task.read(text)
    return answer if isinstance(answer, int) else None
