"""What the servers of the OpenAI protocols write on their streams, read into chunks.

A count, an id or a log-probability that makes no sense is unknown; the text beside it is kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from agent.engine.base import Chunk

# What servers call the end of a model's turn, and that of the tokens asked for, as `_named` spells it.
_FINISHES = {
    "repetition": "repetition",
    **dict.fromkeys(
        ("stop", "eos", "eos_token", "stop_token", "stop_sequence", "stop_str", "end_turn", "completed", "complete"),
        "stop",
    ),
    **dict.fromkeys(
        ("finished", "done", "tool_calls", "function_call", "stopped", "matched_stop", "turn_complete", "stop_string"),
        "stop",
    ),
    **dict.fromkeys(("end_of_text", "endoftext", "eog", "end_of_sequence", "im_end", "eot_id", "eos_token_id"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_length", "max_output_tokens", "model_length"), "length"),
}
_NO_REASON = ("none", "null")  # as some servers spell the JSON null
_LONGEST_REASON = 80  # characters
_ROUNDING = 1e-3  # by which a log-probability may be above 0
_THINK_CLOSE = "\n</think>\n\n"  # stands between thinking and answer where a server sends them apart


class ReplyReader:
    """Reads the events of one reply, of at most `max_tokens` tokens, into chunks.

    What follows the reason for its end adds only counts: a server may continue with a question of its own invention.
    Without token ids a piece of text counts as one token until the server says how many there were in all.
    """

    def __init__(self, max_tokens: int) -> None:
        self.finish: str | None = None  # how it ended, None while it has not
        self._pieces: list[str] = []
        self._max_tokens = max_tokens
        self._counted = 0
        self._odd_reason: str | None = None  # the last one that is no natural end
        self._held = ""  # the first half of a character that was cut in two
        self._thinking = False
        self._gap = False  # text came without ids, so that later ids would not join those before it

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join(self._pieces)

    def read(self, event: Mapping[str, Any]) -> Chunk:
        """What an event adds. Raises ValueError if its text cannot be read."""
        choice = _first_choice(event.get("choices")) if self.finish is None else {}
        text = self._whole(self._text(choice))
        self._pieces.append(text)
        finish = self._finish(choice.get("finish_reason"))
        usage = _mapping(event.get("usage"))
        ids = _ids(choice.get("token_ids"))
        spelled, logprobs = _logprobs(choice.get("logprobs"))
        self._gap = self._gap or (bool(text) and not ids)
        aligned = bool(ids and text) and not self._gap and len(spelled) == len(ids) and all(spelled)
        tokens = self._new_tokens(usage, len(ids) or int(bool(text)))
        return Chunk(
            text,
            tokens,
            finish,
            token_ids=() if self._gap else ids,
            logprobs=logprobs,
            aligned=aligned and "".join(spelled) == text,
            prompt_ids=_ids(choice.get("prompt_token_ids")),
            prompt_tokens=_count(usage.get("prompt_tokens")),
            cached_tokens=_count(_mapping(usage.get("prompt_tokens_details")).get("cached_tokens")),
        )

    @property
    def blank(self) -> bool:
        """Whether all that was told of its end is an empty reason."""
        return self.finish is None and self._odd_reason == ""

    def end(self, *, done: bool, blank_is_none: bool = False) -> Chunk | None:
        """The body is at its end, `done` if it said so; the chunk that is still owed then, if one is.

        `blank_is_none` says that an empty reason is this server's way to write none. Raises ValueError where that is
        no natural end of the reply.
        """
        if self.finish is not None:
            return None
        lenient = done and blank_is_none and self.blank
        if self._odd_reason is not None and not lenient:
            raise ValueError(f"it ended early, for the reason {self._odd_reason[:_LONGEST_REASON]!r}")
        if not done or not (self.text or lenient):
            raise ValueError("it ended early")
        self.finish = "stop"
        return Chunk("", 0, "stop")

    def _text(self, choice: Mapping[str, Any]) -> str:
        """The text of a choice of either protocol, in which thinking may come apart from the rest."""
        if choice.get("text"):
            return _string(choice["text"])
        delta = _mapping(choice.get("delta")) or _mapping(choice.get("message"))
        thought = _string(delta.get("reasoning_content") or delta.get("reasoning"))
        said = _string(delta.get("content"))
        closed = self._thinking or bool(thought)
        self._thinking = closed and not said
        return thought + _THINK_CLOSE + said if closed and said else thought + said

    def _whole(self, text: str) -> str:
        """The text without lone surrogates; one half of a character waits for the other."""
        if text.isascii() and not self._held:
            return text
        text, self._held = self._held + text, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._held = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _finish(self, reason: object) -> str | None:
        """The reason by its name here, where it is the first natural one."""
        if isinstance(reason, list) and len(reason) == 1:
            reason = reason[0]
        if isinstance(reason, Mapping):
            reason = reason.get("type")
        if reason is None or (isinstance(reason, str) and reason.lower() in _NO_REASON):
            return None
        finish = _FINISHES.get(_named(reason)) if isinstance(reason, str) else None
        if finish is None:
            self._odd_reason = reason if isinstance(reason, str) else type(reason).__name__
        elif self.finish is None:
            self.finish = finish
            return finish
        return None

    def _new_tokens(self, usage: Mapping[str, Any], seen: int) -> int:
        """Tokens that an event adds to those counted: `seen` of them, unless the server tells how many it has made."""
        told = _count(usage.get("completion_tokens"))
        if told is None or told > self._max_tokens or (not told and self._counted + seen):
            told = self._counted + seen
        tokens, self._counted = told - self._counted, told
        return tokens


def _named(reason: str) -> str:
    """A reason's words alone, without the frame of a special token or the name of the field."""
    words = "_".join(re.findall(r"[a-z0-9]+", reason[:_LONGEST_REASON].lower()))
    return re.sub(r"^finish_?reason_", "", words)


def _first_choice(choices: object) -> Mapping[str, Any]:
    if not choices:
        return {}
    if not isinstance(choices, list):
        raise ValueError(f"its choices are no list but of type {type(choices).__name__}")
    ours = (choice for choice in choices if isinstance(choice, Mapping) and choice.get("index") in (None, 0, "0"))
    return next(ours, {})


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _string(value: object) -> str:
    """The text, which may come in parts. Raises ValueError for anything else."""
    if isinstance(value, list):
        parts = [_mapping(part).get("text") for part in value]
        return "".join(part for part in parts if isinstance(part, str))
    if value and not isinstance(value, str):
        raise ValueError(f"its text is no text but of type {type(value).__name__}")
    return str(value or "")


def _count(value: object) -> int | None:
    """A number of tokens, None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if value >= 0 and value == int(value) else None


def _ids(values: object) -> tuple[int, ...]:
    """Token ids, none where one of them is unknown."""
    if not isinstance(values, list) or not all(type(value) is int and value >= 0 for value in values):
        return ()
    return tuple(values)


def _logprobs(entry: object) -> tuple[list[str], tuple[float, ...]]:
    """What each token spells, and the log-probability of each; empty where one is unknown."""
    entry = _mapping(entry)
    spelled, values = entry.get("tokens"), entry.get("token_logprobs")
    if not isinstance(spelled, list) or not all(isinstance(token, str) for token in spelled):
        return [], ()
    if not isinstance(values, list) or len(values) != len(spelled) or not all(map(_is_logprob, values)):
        return spelled, ()
    return spelled, tuple(min(0.0, float(value)) for value in values)


def _is_logprob(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value <= _ROUNDING  # type: ignore[arg-type, operator]
