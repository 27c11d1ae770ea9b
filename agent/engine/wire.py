"""Read the events of OpenAI-protocol streams into chunks.

An invalid count, id or log-probability is treated as unknown; the text next to it is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from agent.engine.base import Chunk

# The finish reasons of servers, as `_named` normalizes them.
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
    # What a service withholds once it withholds again.
    **dict.fromkeys(("content_filter", "content_filtered", "safety", "moderation"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_length", "max_output_tokens", "model_length"), "length"),
}
_NO_REASON = ("none", "null")  # some servers' spelling of the JSON null
_LONGEST_REASON = 80  # characters
_LONGEST_REPLY = 10_000_000  # tokens; a service may bill more than it was asked for, as for hidden thinking
_MAX_NUMBER = 1 << 53  # beyond which nothing is a count, an id or a log-probability
_ROUNDING = 1e-3  # by which a log-probability may exceed 0


class ReplyReader:
    """Reads the events of one reply into chunks.

    `answer_head` is put in between thinking and answer, where the server sends them apart and leaves out what the model
    wrote there.
    Events after the finish reason add only counts: a server may continue with a question of its own invention.
    Without token ids a piece of text counts as one token until the server reports the total.
    """

    def __init__(self, answer_head: str = "\n\n") -> None:
        self.finish: str | None = None  # how the reply ended, None while it has not
        self.marked = False  # whether the server's mark of the end was seen, which whoever reads the body knows
        self._pieces: list[str] = []
        self._answer_head = answer_head
        self._counted = 0
        self._odd_reason: str | None = None  # the last finish reason that is not a natural end
        self._held = ""  # the first half of a character that was split
        self._thinking = False
        self._gap = False  # some text had no ids, so that later ids do not continue the earlier ones

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join(self._pieces)

    def read(self, event: Mapping[str, Any]) -> Chunk:
        """Return what an event adds. Raises ValueError if its text is invalid."""
        choice = _first_choice(event.get("choices")) if self.finish is None else {}
        text = self._text(choice)
        if self._held or not text.isascii():
            text = self._whole(text)
        self._pieces.append(text)
        reason, usage, prompt_ids = choice.get("finish_reason"), event.get("usage"), choice.get("prompt_token_ids")
        finish = None if reason is None else self._finish(reason)
        ids = _ids(choice.get("token_ids"))
        decoded, logprobs = _logprobs(choice.get("logprobs"))
        self._gap = self._gap or (bool(text) and not ids)
        aligned = bool(ids and text) and not self._gap and len(decoded) == len(ids) and all(decoded)
        tokens = self._new_tokens(usage, len(ids) or int(bool(text)))
        prompt, cached = _prompt_counts(usage) if usage else (None, None)
        return Chunk(
            text,
            tokens,
            finish,
            () if self._gap else ids,
            logprobs,
            aligned and "".join(decoded) == text,
            _ids(prompt_ids) if prompt_ids else (),
            prompt,
            cached,
        )

    @property
    def blank(self) -> bool:
        """Whether the only finish reason so far is an empty one."""
        return self.finish is None and self._odd_reason == ""

    def end(self, *, blank_is_none: bool = False) -> Chunk | None:
        """Finish at the end of the body; return the last chunk if one is missing.

        `blank_is_none` says that this server sends an empty finish reason for none. Raises ValueError if the reply was
        cut off.
        """
        if self.finish is not None:
            return None
        lenient = self.marked and blank_is_none and self.blank
        if self._odd_reason is not None and not lenient:
            raise ValueError(f"it ended early, for the reason {self._odd_reason[:_LONGEST_REASON]!r}")
        if not self.marked or not (self._has_content or lenient):
            raise ValueError("it ended early")
        self.finish = "stop"
        return Chunk("", 0, "stop")

    @property
    def _has_content(self) -> bool:
        """Whether anything has been said."""
        return bool(self.text)

    def _text(self, choice: Mapping[str, Any]) -> str:
        """Return the text of a choice of either protocol, in which thinking may be separate from the rest."""
        if choice.get("text"):
            return _string(choice["text"])
        delta = _mapping(choice.get("delta")) or _mapping(choice.get("message"))
        thought = _string(delta.get("reasoning_content") or delta.get("reasoning"))
        said = _string(delta.get("content"))
        closed = self._thinking or bool(thought)
        self._thinking = closed and not said
        return thought + self._answer_head + said if closed and said else thought + said

    def _whole(self, text: str) -> str:
        """Return the text without lone surrogates; the first half of a character waits for the second."""
        text, self._held = self._held + text, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._held = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _finish(self, reason: object) -> str | None:
        """Normalize a finish reason; return it if it is the first natural one."""
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

    def _new_tokens(self, usage: object, seen: int) -> int:
        """Return the tokens that an event adds: `seen` of them, unless the server reports the total."""
        total = _count(_mapping(usage).get("completion_tokens")) if usage else None
        if total is None or total > _LONGEST_REPLY or (not total and self._counted + seen):
            total = self._counted + seen
        tokens, self._counted = total - self._counted, total
        return tokens


def _named(reason: str) -> str:
    """Return only the words of a finish reason, without the brackets of a special token or the field's name."""
    words = "_".join(re.findall(r"[a-z0-9]+", reason[:_LONGEST_REASON].lower()))
    return re.sub(r"^finish_?reason_", "", words)


def _first_choice(choices: object) -> Mapping[str, Any]:
    if not choices:
        return {}
    if not isinstance(choices, list):
        raise ValueError(f"its choices are not a list but of type {type(choices).__name__}")
    for choice in choices:
        if isinstance(choice, dict) and choice.get("index") in (None, 0, "0"):
            return choice
    return {}


def _mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a JSON object, an empty one otherwise."""
    return value if isinstance(value, dict) else {}


def _string(value: object) -> str:
    """Return the text, which may be a list of parts. Raises ValueError for anything else."""
    if isinstance(value, list):
        parts = [_mapping(part).get("text") for part in value]
        return "".join(part for part in parts if isinstance(part, str))
    if value and not isinstance(value, str):
        raise ValueError(f"its text is not a string but of type {type(value).__name__}")
    return str(value or "")


def _count(value: object) -> int | None:
    """Return a number of tokens, None if the value is invalid."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MAX_NUMBER:
        return None
    return int(value) if value == int(value) else None


def _prompt_counts(usage: object) -> tuple[int | None, int | None]:
    """Return the tokens of the prompt, and how many of them were cached."""
    counts = _mapping(usage)
    details = _mapping(counts.get("prompt_tokens_details"))
    return _count(counts.get("prompt_tokens")), _count(details.get("cached_tokens"))


def _ids(values: object) -> tuple[int, ...]:
    """Return token ids, none if one of them is invalid."""
    if not isinstance(values, list):
        return ()
    for value in values:
        if type(value) is not int or not 0 <= value < _MAX_NUMBER:
            return ()
    return tuple(values)


def _logprobs(entry: object) -> tuple[list[str], tuple[float, ...]]:
    """Return the decoded tokens and their log-probabilities; empty if one is invalid."""
    entry = _mapping(entry)
    decoded, values = entry.get("tokens"), entry.get("token_logprobs")
    if not isinstance(decoded, list):
        return [], ()
    for token in decoded:
        if not isinstance(token, str):
            return [], ()
    if not isinstance(values, list) or len(values) != len(decoded):
        return decoded, ()
    for value in values:
        if (type(value) is not float and type(value) is not int) or not -_MAX_NUMBER < value <= _ROUNDING:
            return decoded, ()
    return decoded, tuple([min(0.0, float(value)) for value in values])
