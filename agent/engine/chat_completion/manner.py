"""How one server takes a conversation: what its kind can do, what its replies show, and what it has refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from agent.engine.completion.fields import Server, ServerKind
from agent.engine.server_errors import is_models_call
from agent.errors import EngineError, RequestRefusedError, StreamBrokenError

_BY_HOST = ("api.mistral.ai", "api.deepseek.com")  # each documents `prefix`, DeepSeek for the URL that ends with /beta
_TOOLS = re.compile(r"\btools?\b|\bfunction[ _]?call", re.IGNORECASE)
_PREFIX = re.compile(
    r"continue_final_message|add_generation_prompt|\bprefix\b|\bprefill|final message|template|jinja"
    r"|\blast (?:role|message)|assistant messages?\b",
    re.IGNORECASE,
)
_EMPTY = re.compile(
    r"\bnon-?empty|\b(?:not|cannot|can't) be (?:empty|blank)|\bempty (?:content|text|string)", re.IGNORECASE
)
# Words of a refusal, without which an error in the server is taken for a passing one.
_REFUSES = re.compile(
    r"\b(?:un)?support|\brequire|\bincompatible|\bexpect(?:ed|s)\b|\bpermitted|\ballowed|\bmust\b|\bdoes not\b"
    r"|\bunknown\b|\bunrecogni[sz]ed|\binvalid\b|\bjinja\b|\btemplate (?:error|exception)|\brender",
    re.IGNORECASE,
)
_LENGTHS = ("max_tokens", "max_completion_tokens")
THINKING_FIELDS = ("reasoning_content", "reasoning", "thinking")
"""The fields of messages in which servers send thinking apart."""


class Prefix(Enum):
    """How a request says that the last message, the assistant's, is to be continued."""

    NONE = "it cannot"
    CONTINUED = "continue_final_message"
    FLAGGED = "prefix"
    LAST = "by its place"


@dataclass(slots=True)
class ChatManner:
    """What the messages to one server look like; `say` is called with what it turns out to refuse.

    `thinking` is the field in which it sends thinking apart, and in which that is sent back: "" until it has sent any,
    None once it has refused it. `blank` is the text of a message that only calls: None, once the server has refused "".
    """

    say: Callable[[str], None]
    tools: bool = True
    prefix: Prefix = Prefix.NONE
    thinking: str | None = ""
    blank: str | None = ""
    length: str = _LENGTHS[0]
    counts: bool = True

    def sends_thinking_in(self, field: str) -> None:
        """Note the field of a reply that holds thinking."""
        if self.thinking == "":
            self.thinking = field

    def reported_nothing(self) -> None:
        """Note a reply that ended without a count of its tokens."""
        if self.counts:
            self.counts = False
            self.say("reports no usage: the tokens of its replies are estimated from their text")

    def learn(self, error: EngineError, sent: Mapping[str, Any]) -> bool:
        """Whether the error refuses something of the request `sent` that it can do without, or can have otherwise."""
        if not isinstance(error, RequestRefusedError | StreamBrokenError) or is_models_call(error.about):
            return False
        words = error.about
        if isinstance(error, StreamBrokenError) and not _REFUSES.search(words):
            return False
        if _LENGTHS[0] in sent and _LENGTHS[1] in words:
            self.length = _LENGTHS[1]
        elif _EMPTY.search(words) and any("tool_calls" in each and each["content"] == "" for each in sent["messages"]):
            self.blank = None
        elif _names_thinking(words, sent["messages"]):
            self._drop_thinking()
        elif sent["messages"][-1]["role"] == "assistant" and _PREFIX.search(words):
            self._drop_prefix()
        elif "tools" in sent and _TOOLS.search(words):
            self._drop_tools(str(error))
        else:
            return False
        return True

    def _drop_thinking(self) -> None:
        if self.thinking is not None:
            self.thinking = None
            self.say("takes no thinking back: earlier thinking is left out of its messages")

    def _drop_prefix(self) -> None:
        if self.prefix is not Prefix.NONE:
            self.prefix = Prefix.NONE
            self.say("continues no message of the assistant's: it is asked to by one of the user's")

    def _drop_tools(self, error: str) -> None:
        if self.tools:
            self.tools = False
            self.say(
                f"takes no tools ({error}): calls are described in words; sample.family = 'chat-fenced' asks for "
                "fenced code instead"
            )


def _names_thinking(words: str, messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the words name the field in which these messages have thinking, as one of its two names if it has two."""
    sent = {field.removesuffix("_content") for field in THINKING_FIELDS for each in messages if field in each}
    return any(re.search(rf"\b{field}(?:_content)?\b", words) for field in sent)


def prefix_of(server: Server, url: str) -> Prefix:
    """How the server at a URL is known to continue a message of the assistant's."""
    if server.takes_stop_ids:  # vLLM and SGLang
        return Prefix.CONTINUED
    if server.kind is ServerKind.LLAMA_CPP:
        return Prefix.LAST
    return Prefix.FLAGGED if urlsplit(url).hostname in _BY_HOST else Prefix.NONE
