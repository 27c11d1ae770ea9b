"""The events of chat streams, and what is read of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from agent.chat.dialects import chat_format
from agent.engine.base import SamplingParams
from agent.engine.chat_completion.manner import ChatManner
from agent.engine.chat_completion.reply import ChatReply

CHAT = chat_format("chat", tools=True)
PARAMS = SamplingParams(100_000, answer_head=CHAT.answer_head)
Delta = dict[str, Any]
CUTS = st.lists(st.integers(1, 9), max_size=60)
"""The lengths of pieces that a text is cut into."""


def manner(**keys: Any) -> ChatManner:
    """What is known of a server."""
    return ChatManner(lambda text: None, **keys)


def event(delta: Delta | None, finish: str | None = None) -> Delta:
    """An event with a piece of the message."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def text_of(deltas: Iterable[Delta], finish: str = "stop", reply: ChatReply | None = None) -> str:
    """The text of a reply in these pieces, which is that of its chunks."""
    reply = reply or ChatReply(PARAMS, manner())
    chunks = [reply.read(event(delta)) for delta in deltas]
    chunks.append(reply.read(event({}, finish)))
    chunks.append(reply.read({"choices": [], "usage": {"completion_tokens": 7, "prompt_tokens": 9}}))
    reply.marked = True
    assert reply.end() is None
    assert reply.text == "".join(chunk.text for chunk in chunks)
    assert sum(chunk.tokens for chunk in chunks) == 7 and chunks[-1].prompt_tokens == 9
    return reply.text


def call(name: str | None, arguments: object, index: int | None = 0, ident: str | None = None) -> Delta:
    """The delta of a call, or of a piece of one."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    piece: Delta = {"type": "function", "function": function}
    piece |= {} if index is None else {"index": index}
    return {"tool_calls": [piece | ({} if ident is None else {"id": ident})]}


def code_in(text: str) -> str | None:
    """The code of the first call, as a lane reads it: it closes a whole call at the end of the turn itself."""
    scanner = CHAT.call_scanner()
    found = scanner.feed(text)
    found = found or (scanner.feed(scanner.end_mark) if scanner.end_mark else None)
    return found.code if found else None


def cut(text: str, lengths: list[int]) -> list[str]:
    """The text in pieces of these lengths, and the rest."""
    pieces = []
    for length in lengths:
        pieces.append(text[:length])
        text = text[length:]
    return [*pieces, text]
