"""A model's reply, its thinking apart from its answer text, and the answer that it gives."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.chat.box import boxed, ends_with_box, has_box
from agent.chat.task import Task
from agent.chat.thinking import is_doubted, near_its_end

_SEPARATOR = re.compile(r"[, \u2009\u202f]")  # between thousands
_NUMBER = re.compile(r"-?\d+(?:[, \u2009\u202f]\d{3})*(?:\.\d+|\s*[/^]\s*\{?\d+)*")


@dataclass(frozen=True, slots=True)
class Reply:
    """The text of a turn: its thinking ("" where there is none), and what the model answers after it.

    The marks between them are in neither. `answer_text` is None while the thinking is open.
    """

    thinking: str
    answer_text: str | None


def finished_answer(task: Task, reply: Reply) -> int | str | None:
    """The answer of a reply that has ended by itself.

    What follows the thinking counts. Where it holds no box, one near the end of the thinking does, unless the reply
    denies it or names other numbers. None while the thinking is open: a box in it may be a guess that is dropped later.
    """
    behind = reply.answer_text
    if behind is None:
        return None
    answer = task.read(behind)
    if answer is not None or has_box(behind):
        return answer
    thought = thinking_answer(task, reply.thinking)
    numbers = _NUMBER.findall(behind)
    same = all(task.read(boxed(re.sub(_SEPARATOR, "", number))) == thought for number in numbers)
    return thought if same and not is_doubted(behind) else None


def settled_answer(task: Task, reply: Reply) -> int | None:
    """The answer of a reply whose stream broke, where it lacked nothing but its end: it ends with the box."""
    answer = finished_answer(task, reply)
    return answer if isinstance(answer, int) and ends_with_box(reply.answer_text or "") else None


def thinking_answer(task: Task, thinking: str) -> int | str | None:
    """The answer that a closed thinking ends with."""
    tail = near_its_end(thinking)
    return task.read(tail) if tail else None
