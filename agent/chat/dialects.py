"""The dialects in which models are spoken to, by the names that the files of their families give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from agent.chat.family import Family, load_family
from agent.chat.fenced import FencedChatML, FencedR1
from agent.chat.format import ChatFormat
from agent.chat.harmony.dialect import Harmony

DIALECTS: Mapping[str, Callable[[Family, bool], ChatFormat]] = {
    "chatml-fenced": FencedChatML,
    "harmony": Harmony,
    "r1-fenced": FencedR1,
}
"""What makes the chat format of a family, with tools (True) or without."""


@cache
def chat_format(family: str, *, tools: bool) -> ChatFormat:
    """How the family of that name, or of the TOML file at that path, is spoken to.

    Raises ConfigError for what is no family.
    """
    found = load_family(family)
    return DIALECTS[found.dialect](found, tools)
