"""Harmony behind the agent's interface: prompts, outputs, forced answers, and what is shown of a turn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from agent.chat.box import BOX_OPEN, has_box, open_box
from agent.chat.family import Family
from agent.chat.fences import fence_is_open
from agent.chat.format import ForcedAnswer, OpenThing, Passage, broken_off
from agent.chat.harmony.calls import CallScanner
from agent.chat.harmony.messages import (
    ANALYSIS,
    CALL,
    CHANNEL,
    CONTROL_MARKS,
    END,
    FINAL,
    MESSAGE,
    RETURN,
    START,
    Header,
    Message,
    TurnReader,
    code_of,
    read_header,
    read_turn,
)
from agent.chat.output_text import defused, rendered
from agent.chat.reply import Reply
from agent.chat.task import Task, plain_question
from agent.types import Problem

_CHANNELS = "# Valid channels: analysis, commentary, final. Channel must be included for every message."
_STOPS = (RETURN, "<|endoftext|>")
# Messages that are not the assistant's: whatever follows their beginning has been made up.
_OTHERS = tuple(f"{START}{role}" for role in ("user", "system", "developer", "python", "tool", "functions."))
_ASSISTANT = f"{START}assistant"
_OUTPUT_HEAD = f"{START}python to=assistant{CHANNEL}{ANALYSIS}{MESSAGE}"
_OUTPUT_TAIL = f"{END}{_ASSISTANT}"
_FINAL_HEAD = f"{CHANNEL}{FINAL}{MESSAGE}"
_BOX = f"**Final Answer**\n\n{BOX_OPEN}"
_TICKS = re.compile("`+")


@dataclass(frozen=True, slots=True)
class Harmony:
    """A `ChatFormat` of gpt-oss, with the built-in tool python or without tools.

    The analysis channel is the thinking, the final channel the answer. A turn that ends with an analysis is taken to
    have answered with it.
    """

    family: Family
    tools: bool

    @property
    def opening(self) -> str:
        """What the family's turns start with, after `<|start|>assistant`."""
        return self.family.turn_opening(tools=self.tools)

    @property
    def think_close(self) -> str:
        """The header of the final channel, in which no analysis follows."""
        return f"{CHANNEL}{FINAL}"

    @property
    def answer_head(self) -> str:
        """The end of the analysis and the header of the final message."""
        return f"{END}{_ASSISTANT}{_FINAL_HEAD}"

    @property
    def hint(self) -> None:
        """None: the models of this dialect were trained to call Python from their thinking."""
        return None

    @property
    def rethinks(self) -> bool:
        """No: the analysis continues after an output, and ends where the answer begins."""
        return False

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """The end of the turn. A call ends no turn."""
        return _STOPS

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """Harmony's marks, and the end of a text."""
        return (*CONTROL_MARKS, *_STOPS[1:])

    @property
    def turn_marks(self) -> tuple[str, ...]:
        """These, and the beginnings of messages that are not the assistant's."""
        return (*_STOPS, *_OTHERS)

    def prefix(self, task: Task) -> str:
        """The system turn with the family's reasoning effort and its tool, and the developer's with the instructions.

        The date in it is the family's: a prompt that changed from day to day could not be drawn or replayed again.
        """
        family = self.family
        tools = ("# Tools", family.tool_system) if self.tools else ()
        parts = (family.system, f"Reasoning: {family.reasoning_effort}", *tools, _CHANNELS)
        system = "\n\n".join(filter(None, parts))
        usual = family.tool_instructions if self.tools else family.instructions
        return _turn("system", system) + _turn("developer", f"# Instructions\n\n{task.instructions(usual)}\n\n")

    def prompt(self, task: Task, problem: Problem) -> str:
        """The prefix, the problem, and the start of the assistant's turn."""
        return f"{self.prefix(task)}{_turn('user', plain_question(problem.text))}{_ASSISTANT}{self.opening}"

    def next_prompt(self, prompt: str, written: str) -> str:
        """Both: the template keeps the analysis until a final message was written."""
        return prompt + written

    def call_scanner(self, *, has_called: bool = False) -> CallScanner:
        """A scanner for messages to python."""
        return CallScanner()

    def tool_result(self, output: str) -> str:
        """The output as a message of python's, with every mark in it broken, and the start of the next message."""
        return f"{_OUTPUT_HEAD}{defused(rendered(output).strip(chr(10)))}{_OUTPUT_TAIL}"

    def after_result(self, calls_left: int) -> str:
        """Nothing: harmony says nothing of it."""
        return ""

    def behind_result(self, inserted: str) -> str:
        """What follows that message."""
        return inserted.partition(_OUTPUT_TAIL)[2] if inserted.startswith(_OUTPUT_HEAD) else inserted

    def force_answer(self, said: str, *, ended: bool = False) -> ForcedAnswer:
        """Close the open message, then open the final channel and the box; a box that is open is continued."""
        turn = self._read(self.opening + said, ANALYSIS)
        last = turn.messages[-1] if turn.is_open else None
        if last is None:
            inserted = f"{_ASSISTANT}{_FINAL_HEAD}" if turn.header is None else _rest_of_header(turn.header)
        elif last.is_code:
            inserted = f"{CALL}{_ASSISTANT}{_FINAL_HEAD}"
        else:
            begun = None if ended else open_box(last.content)
            if begun is not None:
                return ForcedAnswer("", BOX_OPEN + begun)
            close_fence = "\n```" if fence_is_open(last.content) else ""
            is_final = last.header.channel == FINAL
            inserted = close_fence + ("\n\n" if is_final else self.answer_head)
        return ForcedAnswer(inserted + _BOX, BOX_OPEN, _broken_off(turn))

    def reply(self, text: str, *, thinking: bool) -> Reply:
        """The analysis and what stands in the final channel.

        Of several answers it is the last one with a box. The answer is "" where an analysis is the last that was
        written: the box with which it ends then counts, once the turn has ended.
        """
        messages = self._read(text, ANALYSIS if thinking else FINAL).messages
        said = [message for message in messages if not (message.header.is_output or message.is_code)]
        answers = [message.content for message in said if message.header.channel == FINAL]
        thought = "\n\n".join(message.content for message in said if message.header.channel != FINAL)
        if answers or not thinking:
            return Reply(thought, next(filter(has_box, reversed(answers)), "\n\n".join(answers)))
        ends_in_analysis = bool(said) and said[-1] is messages[-1] and said[-1].header.channel in (ANALYSIS, "")
        return Reply(thought, "" if ends_in_analysis else None)

    def passages(self, turn: str) -> Iterator[Passage]:
        """Analysis, calls, outputs and answer, each message by itself."""
        for message in self._read(turn, ANALYSIS).messages:
            if message.header.is_output:
                yield Passage("result", message.content)
            else:
                yield Passage("answer" if message.header.channel == FINAL else "thinking", _shown(message))

    def shown(self, text: str) -> str:
        """The messages without their marks, calls as blocks of code."""
        return "".join(map(_shown, self._read(text, ANALYSIS).messages))

    @staticmethod
    def _read(text: str, channel: str) -> TurnReader:
        return read_turn(text, Header(channel=channel))


def _broken_off(turn: TurnReader) -> OpenThing:
    """What a turn breaks off in; it is in its thinking as long as no final message has begun."""
    if turn.header is not None and read_header(turn.header).is_call:
        return "call"
    last = turn.messages[-1] if turn.messages else None
    if last is not None and turn.is_open and last.is_code:
        return "call"
    written = last.content if last is not None and turn.is_open else ""
    thinks = last is None or last.header.channel != FINAL
    return broken_off(written, code=fence_is_open(written), thinking=thinks)


def _turn(role: str, content: str) -> str:
    return f"{START}{role}{MESSAGE}{content}{END}"


def _rest_of_header(header: str) -> str:
    """What makes a header that has been begun one of the final channel, or else ends its message and begins another."""
    parts = ("assistant", CHANNEL, FINAL, MESSAGE)
    begun = header.strip()
    for first in (0, 1):
        for end in range(first, len(parts)):
            if begun == "".join(parts[first:end]):
                return "".join(parts[end:])
    return f"{MESSAGE}{END}{_ASSISTANT}{_FINAL_HEAD}"


def _shown(message: Message) -> str:
    """A message as Markdown, with an empty line after it once it has ended."""
    if not message.is_code:
        return message.content + ("\n\n" if message.end else "")
    code = code_of(message.content)
    fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(code)), default=0))
    return f"\n{fence}python\n{code.strip(chr(10))}\n{fence}\n"
