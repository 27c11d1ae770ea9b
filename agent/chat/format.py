"""The one interface through which a family of models is spoken to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from agent.chat.box import breaks_off_in_box, first_box
from agent.chat.hints import Hint
from agent.chat.reply import Reply
from agent.chat.task import Task
from agent.types import Problem, Turn

OpenThing = Literal["", "call", "code", "box", "thinking"]
"""What a sample may break off in: a call of a tool, a block of code, a box, its thinking; "" where in none of them."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A closed call of Python: the code to run, and the offset after the call in the text fed so far.

    A call that cannot be read has a `refusal`, which tells the model so in place of an output; `code` is what it wrote.
    """

    code: str
    end: int
    refusal: str = ""


class ToolCallScanner(Protocol):
    """Finds the first closed tool call in a stream of text, however that is cut into pieces.

    It is fed each chunk of each lane: the cost of a character must be constant.
    """

    def feed(self, text: str) -> ToolCall | None:
        """Take the next piece of the text; the first closed call, or None while there is none."""

    @property
    def unrun(self) -> int:
        """How many calls have been passed over since they were not read as Python's, or are still open."""

    @property
    def end_mark(self) -> str:
        """The mark of an open call that the end of the model's turn closes, since servers may leave it out; else ""."""


@dataclass(frozen=True, slots=True)
class ForcedAnswer:
    """How an unfinished sample is made to answer (budget forcing).

    `inserted` is written after the sample; "" where it is answering already. `begun` is the start of its answer, which
    the model's reply continues. `closes` is the innermost thing in which the sample breaks off; "" where all is closed.
    """

    inserted: str
    begun: str
    closes: OpenThing = ""

    def answer_text(self, reply: str) -> str:
        """The answer that the reply completes, without what it says after that."""
        return first_box(self.begun + reply)


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of the assistant's turn as it is shown to people.

    It is Markdown of the model's (`thinking` and `answer`), what its code printed, or what else the agent wrote.
    """

    kind: Literal["thinking", "answer", "result", "agent"]
    text: str


class ChatFormat(Protocol):
    """How one family of models is prompted, calls tools and is made to answer, with tools or without.

    The text of a sample is one turn of the assistant: it begins with `opening`, where the prompt ends. What the agent
    inserts (results of tool calls, what forces the answer) continues that turn.
    """

    @property
    def opening(self) -> str:
        """The start of the assistant's turn, which the model continues; the prompt ends with it."""

    @property
    def think_close(self) -> str:
        """The mark without which no thinking ends; "" where the assistant's turn begins with its answer."""

    @property
    def answer_head(self) -> str:
        """What stands between the thinking and the answer, for servers that send the two apart and leave it out."""

    @property
    def hint(self) -> Hint | None:
        """The hint that a sample is given which has run no code; None where the family has none, or without tools."""

    @property
    def rethinks(self) -> bool:
        """Whether the model thinks again after the result of a tool call, whether or not it had finished thinking."""

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """What ends the assistant's turn, for the server to stop at: no more than four, as some servers take."""

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """What is read in the model's text and may be a control token, which a server may leave out of the text."""

    @property
    def turn_marks(self) -> tuple[str, ...]:
        """All that ends the assistant's turn where it shows in the text, the stop strings included."""

    def prefix(self, task: Task) -> str:
        """What the prompts of all problems of the task begin with."""

    def prompt(self, task: Task, problem: Problem) -> str:
        """The prompt of all samples of a problem, up to where the assistant's turn is continued."""

    def next_prompt(self, prompt: str, written: str) -> str:
        """The prompt that continues a sample of which this was written after this prompt, a result at its end.

        Both as they are, but for what the family leaves out of the turns before.
        """

    def call_scanner(self, *, has_called: bool = False) -> ToolCallScanner:
        """A scanner for the tool calls of one stretch of text; `has_called` says whether the sample has run code."""

    def tool_result(self, output: str) -> str:
        """What is written after a tool call that printed `output`, with nothing in it that could be more than that."""

    def after_result(self, calls_left: int) -> str:
        """What follows the result of a tool call after which so many are left, where the family was trained on it."""

    def behind_result(self, inserted: str) -> str:
        """What the agent wrote after the result of a tool call, the result left out."""

    def force_answer(self, said: str, *, ended: bool = False) -> ForcedAnswer:
        """What makes a sample that has said this after the opening give its answer: close what is open, open the box.

        `ended` says that the model had ended its turn, so that nothing of it is continued. Budget forcing as in s1
        (Muennighoff et al., 2025); the model then needs about 20 tokens.
        """

    def reply(self, text: str, *, thinking: bool) -> Reply:
        """The thinking and the answer text of a stretch that began within the thinking, or (False) after it."""

    def shown(self, text: str) -> str:
        """A stretch of the assistant's turn as Markdown for people, as it was written but for the dialect's marks."""

    def passages(self, turn: str) -> Iterator[Passage]:
        """The assistant's turn, or the end of it, cut into passages, without the marks between them."""


def broken_off(written: str, *, code: bool, thinking: bool) -> OpenThing:
    """The innermost thing in which a sample outside of calls breaks off: a block of `code`, a box, its `thinking`."""
    return "code" if code else "box" if breaks_off_in_box(written) else "thinking" if thinking else ""


def turn_start(chat: ChatFormat, before: Sequence[Turn]) -> str:
    """What a sample's turn after these begins with, in which a call of Python may be open: the opening, or a hint."""
    if not before:
        return chat.opening
    return chat.hint.call_open if before[-1].hint_at and chat.hint else ""
