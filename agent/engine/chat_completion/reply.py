"""Reads the events of a chat stream into the text of the assistant's turn, as it stands in a prompt.

Thinking that comes apart from the answer is put in tags, with the control tokens in it broken up: one that stands there
is only mentioned, and ends no turn. A call of a function is written as a model writes it. The text is the same however
the reply is cut into events.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from agent.chat.box import BOX_OPEN, first_box
from agent.chat.messages.conversation import THINK_CLOSE
from agent.chat.task import plain_question
from agent.chat.thinking import think_open
from agent.engine.base import Chunk, SamplingParams
from agent.engine.chat_completion.calls import CallWriter
from agent.engine.chat_completion.manner import THINKING_FIELDS, ChatManner
from agent.engine.wire import ReplyReader

_LONG = 16  # characters; a piece with more is not one token
_CHARS_PER_TOKEN = 4
_INTEGER = re.compile(r"[\s*$]*(-?\d[\d,]*)[\s*$.]*")


class ChatReply(ReplyReader):
    """Reads one reply to a chat request; what it shows of the server is noted in `manner`.

    `thinks` is whether the turn stands within its thinking when the reply begins. `seam` is put before its first text.
    """

    def __init__(self, params: SamplingParams, manner: ChatManner, *, thinks: bool = False, seam: str = "") -> None:
        super().__init__(params.answer_head)
        self._manner = manner
        self._tag = think_open(THINK_CLOSE) if THINK_CLOSE in params.answer_head else ""
        self._tag_is_open = thinks
        self._thinking = thinks and bool(manner.thinking)  # a server that sends thinking apart may leave it out
        self._seam = seam
        self._mark = ""  # the end of a thinking with which a control token may begin
        self._calls = CallWriter()
        self._in_call = False  # whether the text ends with calls
        self._grown = 0  # characters of the last event
        self._has_usage = False

    def read(self, event: Mapping[str, Any]) -> Chunk:
        """Return what an event adds, with the calls closed at the end of the message."""
        self._has_usage = self._has_usage or bool(event.get("usage"))
        chunk = super().read(event)
        return self._with_end(chunk) if chunk.finish is not None else chunk

    def end(self, *, blank_is_none: bool = False) -> Chunk | None:
        """Finish at the end of the body, as `ReplyReader`."""
        chunk = super().end(blank_is_none=blank_is_none)
        if not self._has_usage:
            self._manner.reported_nothing()
        return chunk and self._with_end(chunk)

    @property
    def _has_content(self) -> bool:
        return self._calls.is_open or super()._has_content

    def _with_end(self, chunk: Chunk) -> Chunk:
        rest, self._mark = self._mark, ""
        rest = self._whole(rest + self._call_text(self._calls.close(ended=True, cut=chunk.finish == "length"), rest))
        self._pieces.append(rest)
        tokens = 0 if self._has_usage else len(rest) // _CHARS_PER_TOKEN
        self._counted += tokens
        return chunk._replace(text=chunk.text + rest, tokens=chunk.tokens + tokens)

    def _text(self, choice: Mapping[str, Any]) -> str:
        delta = choice.get("delta") or choice.get("message")
        thought, said, calls = self._parts(delta if isinstance(delta, Mapping) else {})
        text = self._thought(self._unmarked(thought, more=not (said or calls))) + self._said(said)
        called = self._calls.feed(calls)
        text += self._call_text(called, text)
        self._grown = len(text)
        if text and self._seam:
            text, self._seam = self._seam + text, ""
        return text

    def _parts(self, delta: Mapping[str, Any]) -> tuple[str, str, object]:
        """Thinking, answer and calls of a message or of a piece of one."""
        content, thought = delta.get("content") or delta.get("refusal"), ""
        if isinstance(content, list):  # parts, of which Mistral's name themselves thinking
            inner = [part["thinking"] for part in content if isinstance(part, Mapping) and part.get("thinking")]
            thought = "".join(map(_joined, inner))
            content = [part for part in content if isinstance(part, Mapping) and not part.get("thinking")]
        elif content and not isinstance(content, str):
            raise ValueError(f"its text is not a string but of type {type(content).__name__}")
        if not thought:
            field = next((name for name in THINKING_FIELDS if delta.get(name)), None)
            thought = _joined(delta.get(field)) if field else ""
            if thought and field:
                self._manner.sends_thinking_in(field)
        return thought, _joined(content), delta.get("tool_calls") or _older_call(delta.get("function_call"))

    def _unmarked(self, text: str, *, more: bool) -> str:
        """A piece of the thinking with its control tokens broken up; a last `<` is held where `more` may come."""
        text, self._mark = self._mark + text, ""
        if more and text.endswith("<"):
            text, self._mark = text[:-1], "<"
        return plain_question(text)

    def _is_nothing(self, text: str) -> bool:
        """Whether a piece of the message is empty, or white space between the pieces of a call."""
        return not text or (self._calls.is_open and not text.strip())

    def _thought(self, text: str) -> str:
        if self._is_nothing(text):
            return ""
        head = self._call_text(self._calls.close())
        self._in_call = False
        if self._tag and not self._tag_is_open:
            head += f"{self._tag}\n"
        self._tag_is_open = self._thinking = True
        return head + text

    def _said(self, text: str) -> str:
        if self._is_nothing(text):
            return ""
        head = self._call_text(self._calls.close()) + (self._answer_head if self._thinking else "")
        self._in_call = False
        self._tag_is_open = self._tag_is_open and not self._thinking
        self._thinking = False
        return head + text

    def _call_text(self, called: str, before: str = "") -> str:
        """The text of calls, which begins with a line of its own, and after the thinking."""
        if not called or self._in_call:
            return called
        self._in_call = True
        if self._thinking:
            self._thinking = self._tag_is_open = False
            return self._answer_head + called
        before = before or next((piece for piece in reversed(self._pieces) if piece), "\n")
        return called if before.endswith("\n") else f"\n{called}"

    def _new_tokens(self, usage: object, seen: int) -> int:
        """As `ReplyReader`; a long piece counts by its characters while the server has not reported the total."""
        estimated = self._grown // _CHARS_PER_TOKEN if self._grown > _LONG else min(1, self._grown)
        return super()._new_tokens(usage, max(seen, estimated))


class ForcedReply(ChatReply):
    """Reads a message of its own that gives a forced answer, into what completes a box that was begun with `begun`."""

    def __init__(self, params: SamplingParams, manner: ChatManner, begun: str) -> None:
        super().__init__(params, manner)
        self._begun = begun
        self._message = ""

    def _text(self, choice: Mapping[str, Any]) -> str:
        delta = choice.get("delta") or choice.get("message")
        thought, said, _ = self._parts(delta if isinstance(delta, Mapping) else {})
        self._message += said
        self._grown = len(thought) + len(said)
        return ""

    @property
    def _has_content(self) -> bool:
        return bool(self._message)

    def _with_end(self, chunk: Chunk) -> Chunk:
        text = self._whole(self._completed())
        self._pieces.append(text)
        return chunk._replace(text=text)

    def _completed(self) -> str:
        """The rest of the box, nothing where it contradicts the beginning; the message itself where it holds none."""
        answer = self._message.rpartition(THINK_CLOSE)[2]
        if answer.lstrip().startswith(think_open(THINK_CLOSE)):
            return ""
        box = answer.rpartition(BOX_OPEN)[2] if BOX_OPEN in answer else ""
        number = _INTEGER.fullmatch(answer)
        content = first_box(BOX_OPEN + box)[len(BOX_OPEN) :] if box else f"{number[1]}}}" if number else ""
        if content.endswith("}"):
            return content.removeprefix(self._begun) if content.startswith(self._begun) else ""
        return answer.strip() if "}" not in answer else ""


def _joined(value: object) -> str:
    """A text, or the texts of its parts; "" for anything else, as servers send what they like beside the text."""
    if isinstance(value, list):
        return "".join(_joined(part.get("text")) for part in value if isinstance(part, Mapping))
    return value if isinstance(value, str) else ""


def _older_call(value: object) -> object:
    """A `function_call` of the protocol's first version, as the only one of the calls."""
    return [{"index": 0, "function": value}] if isinstance(value, Mapping) else None
