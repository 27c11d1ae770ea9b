"""What a server says instead of tokens, as the error that follows from it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from agent.errors import (
    ContextExceededError,
    EngineError,
    EngineUnavailableError,
    RequestRefusedError,
    StreamBrokenError,
)

_LONGEST_QUOTE = 300
_LONGEST_CODE = 100
_LONGEST_WAIT = 3_600.0  # seconds that a server may ask for
_NOT_NOW = (408, 425, 429, 502, 503, 504, 520, 521, 522, 523, 524, 529, 530)
_FOR_GOOD = (401, 402, 403)  # whatever else the server says
_ABOUT_CONTEXT = (None, 400, 413, 422, 500)  # statuses whose text may tell of the context
_NEVER_SERVED = (501, 505)

_CONTEXT = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context|max(imum)?[ _]model[ _]len|max_seq_len"
    r"|(exceed|longer than|greater than|larger than|too (long|large|big|many)|not enough|beyond|overflow)[^.]*"
    r"(context|session[ _]len)|context[^.]*(exceed|overflow|not enough|too (small|short))"
    r"|`inputs`( tokens \+ `max_new_tokens`)? must (be <=|have less than)|(prompt|input)[^.]* (is )?too long"
    r"|reduce the length of the (messages|input|prompt)|input length[^.]*exceeds|max_tokens must be at least 1, got -",
    re.IGNORECASE,
)
# What a request calls the most tokens of its reply.
_LIMIT = r"(?:max(?:imum)?[ _]?(?:(?:completion|new|output|num|total|gen\w*)[ _]?)?tokens|n_predict)"
_TOO_MANY = re.compile(  # about the tokens asked for; words on a limit from below do not count
    rf"{_LIMIT}(?:[^.]|\.\d){{0,120}}?(?:too (?:large|big|high|long|many)|exceed|at most|above|out of range"
    r"|(?:valid|allowed|supported|permitted) (?:range|maximum)|\bbetween\b|in (?:the )?range"
    r"|(?:no|not|cannot|is|to) (?:be )?(?:more|greater|larger|higher|bigger) than (?!or|[01]\b)|limited to"
    r"|\d ?> ?\d|\[[01], ?\d{2,}\]|\d or (?:less|fewer|lower|smaller)|maximum (?:is|of|value|allowed)"
    r"|(?:less|smaller|lower) (?:than )?(?:or equal(?: to)? )?\W{0,3}(?:\d\d|(?:the )?(?:max|model|limit))"
    r"|(?:<=?|≤) ?\W{0,3}\d\d)"
    r"|(?:exceed\w*|too (?:large|big|high|many)|(?:not|cannot|is) (?:be )?(?:more|greater|larger) than)"
    rf"[^.]{{0,60}}{_LIMIT}"
    rf"|maximum (?:(?:allowed|value|for|of) )+\W?{_LIMIT}|too many tokens"
    r"|(?:total|number|sum|requested|input|prompt|output|completion)[^.]{0,40}\btokens?\b[^.]{0,80}"
    r"(?:exceed\w*|over|above|(?:more|greater|larger) than)\b[^.]{0,40}\b(?:limit|max\w*|allowed)",
    re.IGNORECASE,
)
_RATE = re.compile(r"\bper[ _-]?(?:second|sec|minute|min|hour|day|month)|\b[tr]p[mdh]\b|quota|\brate\b", re.IGNORECASE)
_SMALLEST_CONTEXT = 64  # tokens; a smaller number in a refusal is about something else
_NUMBER = r"(?<![\d.,])(\d{1,3}(?:[ ,._'\u00a0\u2009\u202f]\d{3})+(?!\d)|\d+)(?:[ -]?(k)i?\b)?"
_CONTEXT_TOKENS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\+ [\d,]+ > {_NUMBER}",
        rf"{_NUMBER}(?:[ -]tokens?)? maximum context",
        rf"{_NUMBER}[ -]tokens? context",
        rf"context (?:length|size|window|limit)(?: (?:is|of|to|only|limit|just|limited))*[ :(=`'\"\[]*{_NUMBER}",
        rf"max(?:imum)?[ _]model[ _]len(?:gth)?(?: (?:is|of))*[ :(=]*{_NUMBER}",
        rf"max(?:imum)?[ _]seq(?:uence)?[ _]len(?:gth)?(?: (?:is|of))*[ :(=]*{_NUMBER}",
        rf"max_(?:num|total)_tokens[ :(=]*{_NUMBER}",
        rf"\+ `max_new_tokens` must be <= {_NUMBER}",
        rf"maximum allowed length \({_NUMBER}",
        rf"longer than the context[^.\d]*{_NUMBER}",
    )
)
_TOTAL_TOKENS = tuple(  # which are those of the context only where it is no limit on the reply alone
    re.compile(pattern, re.IGNORECASE)
    for pattern in (rf"exceeds? (?:the )?(?:\w+ )?limit(?: of)?[ :(=]*{_NUMBER}", rf"> {_NUMBER} maximum")
)
_NOT_YET = re.compile(
    r"\bloading\b|overload|rate.?limit|too many (concurrent )?requests|at capacity|\bbusy\b|warming up|starting up"
    r"|try again (later|in\b)|temporar\w+ unavailable|service.?unavailable|unavailable_error|not ready"
    r"|no (available|healthy) (\w+ )?(server|worker|backend|upstream|instance|replica|channel)|queue is full"
    r"|(exceeds?|exceeded|over|insufficient|out of|no) capacity",
    re.IGNORECASE,
)
_NO_ENTRY = re.compile(  # whatever the status: some servers answer 200 or 500 to a wrong key
    r"(?:invalid|incorrect|wrong|bad|missing|unknown|expired|revoked|no)[ _-](?:api|access|auth\w*|secret)[ _-]?"
    r"(?:key|token|header|credential)|api[ _-]?key\b[^.]{0,40}\b(?:invalid|incorrect|wrong|missing|required|expired"
    r"|revoked|not (?:valid|found|provided|recognized)|disabled)|invalid[ _-](?:credentials|bearer)"
    r"|auth(?:entication|orization)?[ _-]?(?:error|failed|failure|required)|unauthori[sz]ed|unauthenticated"
    r"|not authenticated|permission_(?:error|denied)",
    re.IGNORECASE,
)
_NO_ENTRY_CODE = re.compile(r"\b40[123]\b")
_PAID_OUT = re.compile(r"insufficient_quota|insufficient (balance|credit|funds)|billing", re.IGNORECASE)


def refusal(
    where: str, status: int, body: str, headers: Mapping[str, str] | None = None, *, now: datetime | None = None
) -> EngineError:
    """The error for an answer whose HTTP status is none of success; `now` is the time for dates in its headers."""
    content = _json(body)
    sentence = quote(body)
    message = f"the engine at {where} answered {status}: {sentence}"
    wait = retry_after(headers or {}, now or datetime.now(UTC))
    return _error(message, status, _codes(content), sentence, _named_context(content), wait)


def error_event(where: str, event: Mapping[str, Any]) -> EngineError | None:
    """The error that an event of a stream tells of; None if it tells of none."""
    error = event.get("error")
    sentence = said(event)
    if not error and (event.get("choices") or not _is_error(event, sentence)):
        return None
    code = error.get("code") if isinstance(error, Mapping) else event.get("code")
    digits = str(code) if isinstance(code, int | str) else ""
    status = int(digits) if re.fullmatch(r"[45]\d\d", digits) else None
    sentence = sentence or "it gave no reason"
    message = f"the engine at {where} broke off its stream: {sentence}"
    return _error(message, status, _codes(event), sentence, _named_context(event), None)


def said(content: object) -> str:
    """The sentence in a server's JSON that says what is wrong; "" if there is none."""
    if _too_deep(content):
        return ""
    sentences = (" ".join(text.split())[:_LONGEST_QUOTE] for text in _sentences(content))
    return next(filter(None, sentences), "")


def quote(body: str) -> str:
    """What an answer says, in a sentence: that of its JSON, or its own text."""
    return said(_json(body)) or _plain(body) or "it gave no reason"


def asks_to_wait(text: str) -> bool:
    """Whether a text says that the server is loading its model, or has too much to do."""
    return _NOT_YET.search(text) is not None


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that the server asks to wait, at most an hour; None where it does not say so in a way that is one."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1_000, _LONGEST_WAIT)
    value = headers.get("Retry-After", "").strip()
    seconds = _number(value)
    if seconds is None and value:
        try:
            date = parsedate_to_datetime(value)
            seconds = max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds())
        except (ValueError, OverflowError):
            return None
    return None if seconds is None else min(seconds, _LONGEST_WAIT)


def _error(
    message: str, status: int | None, codes: str, sentence: str, context: int | None, wait: float | None
) -> EngineError:
    words = codes + sentence
    if status == 413 or (status in _ABOUT_CONTEXT and _is_too_long(words)):
        tokens = context or _context_in(words) or 0
        return ContextExceededError(message, context_tokens=tokens if tokens >= _SMALLEST_CONTEXT else None)
    not_yet = asks_to_wait(words)
    told = codes if status in _NOT_NOW else words
    no_entry = not not_yet and (_NO_ENTRY.search(told) or _NO_ENTRY_CODE.search(codes))
    if status in _FOR_GOOD or no_entry or _PAID_OUT.search(words):
        return RequestRefusedError(message)
    if status in _NOT_NOW or not_yet:
        return EngineUnavailableError(message, retry_after=wait, answered=True)
    if status is None or (status >= 500 and status not in _NEVER_SERVED):
        return StreamBrokenError(message)
    return RequestRefusedError(message)


def _is_error(event: Mapping[str, Any], sentence: str) -> bool:
    """Whether an event without an error of its own is one as a whole."""
    return "error" in (event.get("object"), event.get("type")) or bool(_NO_ENTRY.search(sentence))


def _sentences(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    if isinstance(content, list):
        for item in content[:3]:
            yield from _sentences(item)
    if isinstance(content, Mapping):
        for key in ("error", "message", "msg", "detail", "errors", "error_message", "title"):
            yield from _sentences(content.get(key))
        if isinstance(content.get("error"), Mapping):
            yield ", ".join(f"{key}: {value}" for key, value in content["error"].items() if _is_plain(value))


def _too_deep(value: object, levels: int = 8) -> bool:
    if not isinstance(value, list | Mapping):
        return False
    inner = value.values() if isinstance(value, Mapping) else value
    return levels == 0 or any(_too_deep(item, levels - 1) for item in inner)


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _codes(content: object) -> str:
    """The error's type and code, and the field of the request that it is about, which are words too."""
    if not isinstance(content, Mapping):
        return ""
    inner = content.get("error")
    sources = (content, inner) if isinstance(inner, Mapping) else (content,)
    codes = (str(source[key]) for source in sources for key in ("type", "code", "param") if _is_plain(source.get(key)))
    return "".join(f"{code[:_LONGEST_CODE]} " for code in codes) + _place(content.get("detail"))


def _place(details: object) -> str:
    """Where in the request the first fault is that a validation found."""
    first = details[0] if isinstance(details, list) and details else None
    place = first.get("loc") if isinstance(first, Mapping) else None
    return (
        "".join(f"{step} " for step in place if isinstance(step, str))[:_LONGEST_CODE]
        if isinstance(place, list)
        else ""
    )


def _named_context(content: object) -> int | None:
    """The context's tokens in a field of their own, as llama.cpp's server gives them."""
    if not isinstance(content, Mapping):
        return None
    inner = content.get("error")
    for source in (inner, content):
        value = source.get("n_ctx") if isinstance(source, Mapping) else None
        if type(value) is int and value > 0:
            return value
    return None


def _is_too_long(words: str) -> bool:
    """Whether a request is refused for the tokens that it has or asks for."""
    return bool(_CONTEXT.search(words) or (_TOO_MANY.search(words) and not _RATE.search(words)))


def _context_in(words: str) -> int | None:
    """The tokens of the context that a text names; None where it names none, or only a limit on the reply."""
    of_reply = re.search(_LIMIT, words, re.IGNORECASE) and not re.search(r"\b(prompt|inputs?|total|sum)\b", words, re.I)
    patterns = _CONTEXT_TOKENS if of_reply else _CONTEXT_TOKENS + _TOTAL_TOKENS
    found = next((match for pattern in patterns if (match := pattern.search(words))), None)
    digits = re.sub(r"\D", "", found[1]) if found else ""
    return int(digits) * (1_024 if found and found[2] else 1) if 0 < len(digits) < 10 else None


def _json(body: str) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _plain(body: str) -> str:
    """A body that is no JSON, in one line and without the tags of HTML."""
    return " ".join(re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", body, flags=re.DOTALL).split())[:_LONGEST_QUOTE]


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
