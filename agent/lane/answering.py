"""Detects that a sample has answered: where its thinking closes, how its turns end, what its code printed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.chat.box import boxed
from agent.chat.format import ChatFormat, OpenThing, turn_start
from agent.chat.reply import finished_answer, settled_answer, thinking_answer
from agent.chat.task import Task, vote
from agent.chat.thinking import near_its_end
from agent.lane.turn import TurnWriter
from agent.types import SampleEnd, ToolRun, ToolStatus, Turn

_INTEGER = re.compile(r"-?(?:\d{1,18}|\d{1,3}(?:,\d{3}){1,5})")


class AnswerWatch:
    """The answer of one sample, as soon as it has one of its own.

    `at_close` says that a thinking which closes on a box has answered. `thinks` is whether the thinking is open.
    """

    def __init__(self, task: Task, chat: ChatFormat, *, at_close: bool) -> None:
        self._task = task
        self._chat = chat
        self._close = chat.think_close
        self._at_close = at_close
        self._thought = False  # whether the thinking was open when the turn began
        self._forced = False
        self.thinks = bool(chat.think_close)
        self.answer: int | None = None

    def begin_turn(self) -> None:
        """Begin a turn."""
        self._thought = self.thinks

    def result_came(self) -> None:
        """Note that the result of a tool call was written, after which some models think again."""
        self.thinks = self.thinks or self._chat.rethinks

    def force(self) -> None:
        """Take what is written from now on for a forced answer, which is none of the sample's own."""
        self.thinks, self._forced = False, True

    def ended(self, writer: TurnWriter) -> SampleEnd:
        """Decide how a turn ends that the model ended by itself."""
        if self._forced:
            return SampleEnd.NO_ANSWER
        return self._take(finished_answer(self._task, self._chat.reply(writer.text, thinking=self._thought)))

    def is_settled(self, writer: TurnWriter) -> bool:
        """Whether a turn whose stream broke lacks nothing but its end: after the thinking it ends with its box."""
        if self._forced or not self._close or self.thinks:
            return False
        reply = self._chat.reply(writer.text, thinking=self._thought)
        return self._take(settled_answer(self._task, reply)) is SampleEnd.ANSWERED

    def grown(self, writer: TurnWriter, by: int) -> SampleEnd | None:
        """Look at the last `by` characters of the turn: ANSWERED where its thinking has closed on an answer."""
        if not self.thinks or self._close not in writer.tail(by + len(self._close)):
            return None
        reply = self._chat.reply(writer.text, thinking=True)
        self.thinks = reply.answer_text is None
        if self.thinks or not self._at_close:
            return None
        answered = self._take(thinking_answer(self._task, reply.thinking))
        return answered if answered is SampleEnd.ANSWERED else None

    def printed(self, tool_run: ToolRun) -> bool:
        """Whether a tool run printed an answer, perhaps with commas between its thousands, and nothing else."""
        output = tool_run.output.strip()
        if tool_run.status is ToolStatus.OK and _INTEGER.fullmatch(output):
            self.answer = vote(self._task, boxed(output))
        return self.answer is not None

    def _take(self, answer: int | str | None) -> SampleEnd:
        self.answer = answer if isinstance(answer, int) else None
        return SampleEnd.NO_ANSWER if answer is None else SampleEnd.ANSWERED


def own_end(chat: ChatFormat, turns: Sequence[Turn], closes: OpenThing, *, tools: bool) -> SampleEnd:
    """How a sample without an answer has ended whose model ended its turn: INCOMPLETE in the middle of something.

    That is what a forced answer `closes`, but for a thinking that ends on its box, which lacks a tag alone. With
    `tools` it is also a call at the turn's end that was not run: it waits for a result.
    """
    last = turn_start(chat, turns[:-1]) + turns[-1].text if turns else ""
    lacks_tag = closes == "thinking" and near_its_end(last)
    incomplete = (closes and not lacks_tag) or (tools and _ends_with_call(chat, last))
    return SampleEnd.INCOMPLETE if incomplete else SampleEnd.NO_ANSWER


def _ends_with_call(chat: ChatFormat, text: str) -> bool:
    while call := chat.call_scanner().feed(text):
        text = text[call.end :]
        if not text.strip():
            return True
    return False
