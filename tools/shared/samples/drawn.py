"""What every source is read into: the samples of problems, each with an answer and a length."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from agent.answers import last_boxed
from agent.errors import InputError
from agent.latex.integer import parse_integer

TokenCounter = Callable[[str], int]
"""Counts the tokens of a text."""


@dataclass(frozen=True, slots=True)
class DrawnSample:
    """One sample of a problem: its answer (None: it gave none), its generated tokens, whether a limit cut it off.

    `place` is where it stands in its file. `disputed` says that it states the true answer and was graded wrong.
    """

    place: str
    problem_id: str
    gold: str
    answer: str | None
    tokens: int
    truncated: bool = False
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class SampleFile:
    """What a file holds: samples of one task by one model.

    `failed` counts those that ended with an error, left out. `kind` says what the file was recognised as.
    """

    task: str
    model: str
    samples: tuple[DrawnSample, ...]
    failed: int = 0
    kind: str = "lines of your own"


@dataclass(frozen=True, slots=True)
class ReadingRules:
    """How files are read: what counts tokens where a file does not say, and whose grades to follow.

    `grader` names a scorer of Inspect or a filter of lm-eval; None where a file has one alone.
    """

    counter: TokenCounter | None = None
    grader: str | None = None

    def tokens(self, place: str, text: str) -> int:
        """Count the tokens of a text, at least 1. Raises InputError where nothing was given that counts them."""
        if self.counter is None:
            raise InputError(
                f"{place}: the number of generated tokens is not in the file: give the model's tokenizer to "
                "tools.convert with --tokenizer, to count them"
            )
        return max(1, self.counter(text))

    def chosen(self, names: Iterable[str], place: str, kind: str) -> str:
        """Choose a grader from those of a file. Raises InputError for none, or for several where none was named."""
        known = sorted(set(names))
        if self.grader is not None and self.grader in known:
            return self.grader
        if self.grader is None and len(known) == 1:
            return known[0]
        problem = f"has no {kind} {self.grader!r}" if self.grader else f"has several {kind}s"
        raise InputError(f"{place} {problem}: name one of {', '.join(known)} with --graded-by of tools.convert")


def plain_answer(value: object) -> str:
    """Return an answer as equal ones are written alike: an integer in digits, anything else as its text."""
    text = str(value).strip()
    integer = parse_integer(text)
    return text if integer is None else str(integer)


def stated_answer(text: str) -> str | None:
    """The content of a text's last box, None where there is none or it was cut off."""
    boxed = last_boxed(text)
    return None if boxed is None or not boxed.strip() else plain_answer(boxed)


def read_answer(read: str, reply: str) -> str | None:
    """The answer that a scorer or filter read out of a reply, None where that is none.

    Many give the whole reply, in small letters at times; then it is the content of its last box, or the reply itself
    where that is an integer.
    """
    whole = _bare(read) == _bare(reply)
    text = reply if whole else read
    stated = stated_answer(text)
    if whole and stated is None and parse_integer(text.strip()) is None:
        return None
    return stated or plain_answer(text)


def _bare(text: str) -> str:
    return " ".join(text.split()).casefold()


def graded(answer: str | None, gold: str, *, right: bool | None) -> tuple[str | None, bool]:
    """Return the answer that a graded sample votes for, and whether the grade contradicts what it states.

    One that is right votes for the true answer, however it writes it. One that states the true answer and was graded
    wrong has no vote. `right` is None where there is no grade.
    """
    if right:
        return gold, False
    if right is False and answer == gold:
        return None, True
    return answer, False
