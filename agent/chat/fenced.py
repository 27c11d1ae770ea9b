"""Turns whose tool calls are fenced blocks of Python: their output follows in a fenced block, in the same turn.

The turns are ChatML's or R1's, whose system prompt is part of the user's turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from agent.chat.box import BOX_OPEN, boxed, open_box
from agent.chat.family import Family, WorkedExample
from agent.chat.fences import FenceScanner, fence_is_open
from agent.chat.format import ForcedAnswer, Passage, ToolCallScanner, broken_off
from agent.chat.hints import Hint
from agent.chat.output_text import defused, rendered
from agent.chat.reply import Reply
from agent.chat.task import Task, plain_question
from agent.chat.thinking import think_open, thinking_end
from agent.types import Problem

END_OF_TURN = "<|im_end|>"
_TURN_ENDS = (END_OF_TURN, "<|im_start|>", "<|endoftext|>")  # nothing that follows one is the model's reply
# Further ones that are not sent as stop strings, of which some servers take no more than four: the ends of other
# families' turns, and of a next question that a model invents where the server swallows the template's own tokens.
_TURN_MARKS = (
    *_TURN_ENDS,
    *("<|eot_id|>", "<|end_of_text|>", "<|fim_pad|>", "<\uff5cend\u2581of\u2581sentence\uff5c>"),
    *("\nuser\n", "\n\nHuman:"),
)
CODE_OPEN = "```python\n"
OUTPUT_HEAD = "\n```output\n"
OUTPUT_TAIL = "\n```\n"
_R1_USER, _R1_ASSISTANT = "<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>"
_R1_BEGIN, _R1_END = "<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>"
_R1_STOPS = (_R1_END, _R1_USER, _R1_ASSISTANT)
_RESULT = r"(?:^|\n)```output\n(?P<result>.*?)(?:\n?```\n|\Z)"


@dataclass(frozen=True, slots=True)
class FencedChatML:
    """A `ChatFormat` of the families that write ```` ```python ```` blocks, with tools or without."""

    family: Family
    tools: bool

    @property
    def opening(self) -> str:
        """What the family's turns start with."""
        return self.family.turn_opening(tools=self.tools)

    @property
    def think_close(self) -> str:
        """The family's tag."""
        return self.family.think_close

    @property
    def answer_head(self) -> str:
        """The tag on a line of its own."""
        return f"\n{self.think_close}\n\n" if self.think_close else "\n\n"

    @property
    def hint(self) -> Hint | None:
        """The family's, with tools."""
        table = self.family.hint if self.tools else None
        return Hint(call_open=self._call_open, **dict(table)) if table else None

    @property
    def rethinks(self) -> bool:
        """No: a result is part of the thinking or of the answer in which the call stands."""
        return False

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """ChatML's control tokens."""
        return _TURN_ENDS

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """These, and the tags around the thinking."""
        return _with_tags(self.stop_strings, self.think_close)

    @property
    def turn_marks(self) -> tuple[str, ...]:
        """These, the ends of other families' turns, and the head of an invented question."""
        return _TURN_MARKS

    def prefix(self, task: Task) -> str:
        """The instructions, and with tools the family's examples."""
        told = task.instructions(self.family.tool_instructions if self.tools else self.family.instructions)
        worked = "".join(map(self._worked, self.family.examples if self.tools else ()))
        if self.family.instructions_in == "user":
            return f"{chatml_turn('system', self._tool_section)}{worked}<|im_start|>user\n{told}\n\n"
        return chatml_turn("system", told + self._tool_section) + worked

    def prompt(self, task: Task, problem: Problem) -> str:
        """The prefix, the problem, and the start of the assistant's turn."""
        head = "" if self.family.instructions_in == "user" else "<|im_start|>user\n"
        question = f"{head}{plain_question(problem.text)}{END_OF_TURN}\n"
        return f"{self.prefix(task)}{question}<|im_start|>assistant\n{self.opening}"

    def next_prompt(self, prompt: str, written: str) -> str:
        """Both: a result belongs to the turn, which goes on."""
        return prompt + written

    def call_scanner(self, *, has_called: bool = False) -> ToolCallScanner:
        """A scanner for fenced blocks."""
        return FenceScanner()

    def tool_result(self, output: str) -> str:
        """The output in a block of its own, as in the examples, with every mark in it broken."""
        return f"{OUTPUT_HEAD}{defused(rendered(output).strip(chr(10)))}{OUTPUT_TAIL}"

    def after_result(self, calls_left: int) -> str:
        """The family's words."""
        if not calls_left:
            return self.family.no_calls_left
        return self.family.calls_left.replace("{calls_left}", str(calls_left))

    def behind_result(self, inserted: str) -> str:
        """What follows the block."""
        return inserted.rpartition(OUTPUT_TAIL)[2]

    def force_answer(self, said: str, *, ended: bool = False) -> ForcedAnswer:
        """Close an open block of code and the thinking, then open the box; a box that is open is continued."""
        written = self.opening + said
        begun = None if ended else open_box(written)
        if begun is not None:
            return ForcedAnswer("", BOX_OPEN + begun)
        close_fence = "\n```" if fence_is_open(written) else ""
        thinks = bool(self.think_close) and thinking_end(written, self.think_close) is None
        close_thinking = f"\n{self.think_close}" if thinks else ""
        closes = broken_off(written, code=bool(close_fence), thinking=thinks)
        return ForcedAnswer(f"{close_fence}{close_thinking}\n\n**Final Answer**\n\n{BOX_OPEN}", BOX_OPEN, closes)

    def reply(self, text: str, *, thinking: bool) -> Reply:
        """The text before and after the tag that closes the thinking; a tag in code closes nothing."""
        if not (thinking and self.think_close):
            return Reply("", text)
        end = thinking_end(text, self.think_close)
        thought = without_start(text[:end], think_open(self.think_close))
        return Reply(thought, None if end is None else text[end + len(self.think_close) :])

    def shown(self, text: str) -> str:
        """The text itself, which is Markdown."""
        return text

    def passages(self, turn: str) -> Iterator[Passage]:
        """Thinking and answer, and the blocks of output in them; a block may be cut at either end."""
        reply = self.reply(turn.removeprefix(self.opening) if self.think_close else turn, thinking=True)
        if self.think_close:
            yield from self._cut("thinking", reply.thinking)
        if reply.answer_text is not None:
            yield from self._cut("answer", reply.answer_text)

    def _cut(self, kind: Literal["thinking", "answer"], text: str) -> Iterator[Passage]:
        """The stretch, with what the agent wrote in passages of their own."""
        start = 0
        told = (self.family.calls_left, self.family.no_calls_left, f"{self.hint.text}\n" if self.hint else "")
        for found in _written_by_agent(told).finditer(text):
            yield Passage(kind, text[start : found.start()])
            if found.lastgroup == "result":
                yield Passage("result", found["result"])
            else:
                yield Passage("agent", re.sub(r"^```.*\n?", "", found["agent"], flags=re.MULTILINE).strip("\n"))
            start = found.end()
        yield Passage(kind, text[start:])

    @property
    def _call_open(self) -> str:
        """What begins a call of Python."""
        return CODE_OPEN

    @property
    def _tool_section(self) -> str:
        """What the system turn says of tools after the instructions."""
        return ""

    def _worked(self, example: WorkedExample) -> str:
        """A question, and the turn in which it was answered with Python."""
        return chatml_turn("user", example.question) + chatml_turn("assistant", self._solution(example))

    def _solution(self, example: WorkedExample) -> str:
        """What the assistant writes in it, and the output."""
        return f"{CODE_OPEN}{example.code}\n```{OUTPUT_HEAD}{example.output}{OUTPUT_TAIL}{answer_sentence(example)}"


class FencedR1(FencedChatML):
    """The same in the turns of DeepSeek-R1 and the models distilled from it.

    They were trained without a system prompt, so the instructions stand before the question, as their authors advise.
    """

    __slots__ = ()

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """R1's control tokens."""
        return _R1_STOPS

    @property
    def turn_marks(self) -> tuple[str, ...]:
        """These, and the ends of other families' turns."""
        return (*_R1_STOPS, *_TURN_MARKS)

    def prefix(self, task: Task) -> str:
        """With tools the family's examples, then the instructions."""
        usual = self.family.tool_instructions if self.tools else self.family.instructions
        examples = self.family.examples if self.tools else ()
        worked = "".join(
            f"{_R1_USER}{example.question}{_R1_ASSISTANT}{self._solution(example)}{_R1_END}" for example in examples
        )
        return f"{_R1_BEGIN}{worked}{_R1_USER}{task.instructions(usual)}\n\n"

    def prompt(self, task: Task, problem: Problem) -> str:
        """The prefix, the problem, and the start of the assistant's turn."""
        return f"{self.prefix(task)}{plain_question(problem.text)}{_R1_ASSISTANT}{self.opening}"


@cache
def _written_by_agent(told: tuple[str, ...]) -> re.Pattern[str]:
    """Finds outputs of code, and what else the agent may have written, with any number of calls left."""
    texts = "|".join(re.escape(text).replace(re.escape("{calls_left}"), r"\d+") for text in told if text)
    return re.compile(rf"{_RESULT}|(?P<agent>{texts or '(?!)'})", re.DOTALL)


def without_start(text: str, tag: str) -> str:
    """The text without the tag that it may begin with, which some models write where the prompt has it already."""
    return _starts(tag).sub("", text)


@cache
def _starts(tag: str) -> re.Pattern[str]:
    """Finds the tag at the start of a text, however often it stands there."""
    return re.compile(rf"\A(?:\s*{re.escape(tag)}\n?)+")


def answer_sentence(example: WorkedExample) -> str:
    """How the answer to a worked example is given."""
    return f"So the answer is {boxed(example.output)}."


@cache  # asked for at every turn
def _with_tags(tokens: tuple[str, ...], think_close: str) -> tuple[str, ...]:
    """The tokens, and the tags around the thinking where there are any."""
    return (*tokens, *filter(None, (think_open(think_close), think_close)))


def chatml_turn(role: str, content: str) -> str:
    """A whole turn."""
    return f"<|im_start|>{role}\n{content}{END_OF_TURN}\n"
