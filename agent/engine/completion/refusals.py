"""What a server refuses: fields of a request, which it is asked again without, or all texts to complete."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from agent.errors import EngineError, RequestRefusedError, StreamBrokenError

# What a request can do without, the rarest first: a message may list the fields that the server does know.
_DISPENSABLE = (
    *("preserved_tokens", "no_stop_trim", "repetition_detection", "thinking_token_budget", "return_token_ids"),
    *("include_stop_str_in_output", "spaces_between_special_tokens", "skip_special_tokens", "add_special_tokens"),
    *("stop_token_ids", "repeat_penalty", "repetition_penalty", "min_p", "top_k", "top_p", "frequency_penalty"),
    *("presence_penalty", "parallel_tool_calls", "tool_choice", "stream_options", "logprobs", "seed"),
)
# With these values a field changes nothing, so it can be left out whatever is wrong with it. Other values are the
# user's, and a complaint about the value itself is for them to read.
_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "min_p": (0.0,),
    "top_k": (0, -1),
    "top_p": (1.0,),
    "frequency_penalty": (0.0,),
    "presence_penalty": (0.0,),
}
_UNKNOWN = re.compile(
    r"\b(?:unknown|unrecogni[sz]ed|unsupported|unexpected|undefined|unimplemented|additional|extra|forbidden)"
    r"|\bnot (?:be )?(?:\w+ )?(?:support|permit|allow|recogni[sz]|implement|accept|expect|available|known)"
    r"|n't (?:support|accept|recogni[sz]|know|allow)|\bno (?:such )?(?:field|parameter|argument|property|support)"
    r"|\b(?:invalid|not an?(?: valid)?) (?:field|parameter|argument|property|key)",
    re.IGNORECASE,
)

_NO_SUCH_PATH = (404, 405, 501)
_ABOUT_MODEL = re.compile(r"\bmodels?\b", re.IGNORECASE)
_CHATS = re.compile(
    r"chat[ /_.]*(?:completions?|models?)|completions?\b[^.]{0,40}\bnot (?:supported|available|implemented)",
    re.IGNORECASE,
)


class FieldRefusals:
    """The fields that one server has refused, and what is sent in their place.

    `report` is called with each field that mattered and is not sent any more.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._fields: set[str] = set()
        self._values: set[tuple[str, object]] = set()  # that change nothing; other values of these fields are sent

    def applied(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body without what the server has refused."""
        kept = {key: value for key, value in body.items() if key not in self._fields}
        if kept.get("top_k") == 0 and ("top_k", 0) in self._values:
            kept["top_k"] = -1  # which some servers take instead
        return {key: value for key, value in kept.items() if not (key in _NEUTRAL and (key, value) in self._values)}

    def learn(self, error: EngineError, sent: Mapping[str, Any]) -> bool:
        """Whether this error refuses a field of the request `sent`, which should be repeated without it.

        Another request may have been refused for the same field meanwhile.
        """
        field = _refused_field(error, sent)
        if field in _NEUTRAL and _is_neutral(field, sent[field]):
            self._values.add((field, sent[field]))
        elif field and field not in self._fields:
            self._fields.add(field)
            self._report(field)
        return bool(field)


def completes_nothing(error: EngineError) -> bool:
    """Whether a server that refused to complete a text has no such endpoint, or says that its models chat."""
    is_absent = error.status in _NO_SUCH_PATH and not _ABOUT_MODEL.search(error.about)
    return isinstance(error, RequestRefusedError) and bool(is_absent or _CHATS.search(error.about))


def _refused_field(error: EngineError, sent: Mapping[str, Any]) -> str:
    if not isinstance(error, RequestRefusedError | StreamBrokenError):
        return ""
    unknown = _UNKNOWN.search(error.about) is not None
    if isinstance(error, StreamBrokenError) and not unknown:
        return ""
    named = (field for field in _DISPENSABLE if field in sent and _is_named(field, error.about))
    return next((field for field in named if unknown or _is_neutral(field, sent[field])), "")


def _is_named(field: str, words: str) -> bool:
    return re.search(rf"(?<![\w-]){field}(?![\w-])", words) is not None


def _is_neutral(field: str, value: object) -> bool:
    return field not in _NEUTRAL or value in _NEUTRAL[field]
