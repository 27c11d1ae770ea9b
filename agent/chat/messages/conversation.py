"""Reads a prompt in ChatML back into the messages that it stands for.

No message can be forged: a problem's text and what code printed have every control token in them broken up, and a turn
of the model's ends where it writes one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from agent.chat.fenced import END_OF_TURN
from agent.chat.thinking import think_open, thinking_end
from agent.chat.tool_tags.function_calls import RESPONSE_HEAD, RESPONSE_TAIL, TOOL_SECTION
from agent.chat.tool_tags.scanner import last_call

Role = Literal["system", "user", "assistant", "tool"]

THINK_CLOSE = "</think>"
_START = "<|im_start|>"
_ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """What one side has said. A `text` of the assistant's that ends with a call of Python, which has its result in the
    next message, leaves that out: `call` is what the call encloses."""

    role: Role
    text: str
    call: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages up to the assistant's turn, and what of that is written already.

    `tools` is whether Python is described to the model, which is left out of the messages.
    """

    messages: tuple[ChatMessage, ...]
    begun: str
    tools: bool

    @property
    def thinks(self) -> bool:
        """Whether the turn that is written stands within the thinking."""
        return self.begun.lstrip().startswith(think_open(THINK_CLOSE)) and thinking_end(self.begun, THINK_CLOSE) is None


def read_conversation(prompt: str) -> Conversation:
    """The conversation that a prompt stands for; one that is no ChatML is a question.

    What is left of a prompt whose middle was cut out is a conversation too: an answer to no call is the user's.
    """
    turns = list(_turns(prompt))
    begun = ""
    if turns[-1].role == "assistant" and not prompt.rstrip("\n").endswith(END_OF_TURN):
        begun = turns.pop().text
    head, *rest = turns or [ChatMessage("user", "")]
    tools = head.role == "system" and head.text.endswith(TOOL_SECTION)
    told = replace(head, text=head.text.removesuffix(TOOL_SECTION)) if tools else head
    return Conversation(tuple(_with_results([told, *rest])), begun, tools)


def split_thinking(text: str) -> tuple[str, str]:
    """The thinking of an assistant's turn, "" where it has none, and what follows it.

    A thinking that is not closed is no thinking: nothing follows it.
    """
    opened = text.lstrip().startswith(think_open(THINK_CLOSE))
    inner = text.lstrip().removeprefix(think_open(THINK_CLOSE)).lstrip("\n") if opened else text
    end = thinking_end(inner, THINK_CLOSE)
    if end is None:
        return "", inner
    return inner[:end].strip("\n"), inner[end + len(THINK_CLOSE) :].lstrip("\n")


def _turns(prompt: str) -> Iterator[ChatMessage]:
    """The turns as they stand. Text between two is what is left of an assistant's turn whose start was cut out."""
    before, *pieces = prompt.split(_START)
    if before.strip() or not pieces:
        yield ChatMessage("user", before.replace(END_OF_TURN, ""))
    for piece in pieces:
        name, line_end, rest = piece.partition("\n")
        role = _ROLES.get(name) if line_end else None
        text, *others = (rest if role else piece).split(END_OF_TURN)
        yield ChatMessage(role or "assistant", text)
        yield from (ChatMessage("assistant", other) for other in others if other.strip())


def _with_results(turns: list[ChatMessage]) -> Iterator[ChatMessage]:
    """The turns, with calls and their results told apart from what is said."""
    called = False
    for turn, following in zip(turns, [*turns[1:], None], strict=True):
        if called:
            called = False
            yield ChatMessage("tool", turn.text.removeprefix(RESPONSE_HEAD).removesuffix(RESPONSE_TAIL))
            continue
        found = last_call(turn.text) if turn.role == "assistant" and following and _is_response(following) else None
        called = found is not None
        yield turn if found is None else ChatMessage("assistant", *found)


def _is_response(turn: ChatMessage) -> bool:
    return turn.role == "user" and turn.text.startswith(RESPONSE_HEAD) and turn.text.endswith(RESPONSE_TAIL)
