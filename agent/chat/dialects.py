"""The dialects in which models are spoken to, by the names that the files of their families give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from agent.chat.family import Family, load_family
from agent.chat.fenced import FencedChatML, FencedR1
from agent.chat.format import ChatFormat
from agent.chat.harmony.dialect import Harmony
from agent.chat.messages.fenced_turns import FencedTurns
from agent.chat.tool_tags.function_calls import FunctionCalls
from agent.chat.tool_tags.tagged_code import TaggedCode

DIALECTS: Mapping[str, Callable[[Family, bool], ChatFormat]] = {
    "chatml-fenced": FencedChatML,
    "chatml-fenced-turns": FencedTurns,
    "chatml-calls": FunctionCalls,
    "chatml-tagged": TaggedCode,
    "harmony": Harmony,
    "r1-fenced": FencedR1,
}
"""What makes the chat format of a family, with tools (True) or without."""


@cache
def chat_format(family: str, *, tools: bool, max_rounds: int | None = None) -> ChatFormat:
    """How the family of that name, or of the TOML file at that path, is spoken to.

    `max_rounds` is how many tool runs a sample has, for families whose prompts say so; the family's own number where it
    is None. Raises ConfigError for what is no family.
    """
    found = load_family(family)
    calls = found.max_rounds if max_rounds is None else max_rounds
    told = found.tool_instructions.replace("{max_rounds}", str(calls))
    return DIALECTS[found.dialect](found.model_copy(update={"tool_instructions": told}), tools)
