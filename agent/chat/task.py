"""The kinds of questions that a run can ask."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from agent.answers import extract_answer
from agent.types import Edition


class Task(Protocol):
    """A kind of question: the instructions for it, and how an answer to it is read."""

    def instructions(self, usual: str) -> str:
        """Return the instructions before the question; `usual` are those of the family for mathematics."""

    def read(self, text: str) -> int | str | None:
        """The answer that a text gives, None where it gives none. Only integers are voted on."""


@dataclass(frozen=True, slots=True)
class CompetitionTask:
    """Problems of an edition, answered by an integer in a box."""

    edition: Edition

    def instructions(self, usual: str) -> str:
        """Return the family's instructions with the edition's rule for answers."""
        return f"{usual} {answer_rule(self.edition)}"

    def read(self, text: str) -> int | None:
        """The integer in the last box, if the edition allows it."""
        return extract_answer(text, self.edition)


def answer_rule(edition: Edition) -> str:
    """The edition's rule for answers, in a sentence."""
    if edition.modulus is not None:
        return f"The answer is an integer; give it modulo {edition.modulus}, from 0 to {edition.max_answer}."
    return f"The answer is an integer from 0 to {edition.max_answer}."


def vote(task: Task, text: str) -> int | None:
    """The answer that a text gives, if it is one that is voted on."""
    answer = task.read(text)
    return answer if isinstance(answer, int) else None


def plain_question(text: str) -> str:
    """The text with all control tokens broken up, so that nobody's text can speak as another role."""
    return re.sub(r"<(?=[|\uff5c])", "< ", text)
