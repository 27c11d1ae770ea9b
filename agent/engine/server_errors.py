"""Map error responses and error events of servers to typed errors."""

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

_MAX_MESSAGE_CHARS = 300
_MAX_CODE_CHARS = 100
_MAX_RETRY_AFTER = 3_600.0  # seconds that a server may ask for
_TEMPORARY = (408, 425, 429, 502, 503, 504, 520, 521, 522, 523, 524, 529, 530)
_PERMANENT = (401, 402, 403)  # whatever else the server says
_MAYBE_CONTEXT = (None, 400, 413, 422, 500)  # statuses whose message may be about the context length
_UNSUPPORTED = (501, 505)

_CONTEXT = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context|max(imum)?[ _]model[ _]len|max_seq_len"
    r"|(exceed|longer than|greater than|larger than|too (long|large|big|many)|not enough|beyond|overflow)[^.]*"
    r"(context|session[ _]len)|context[^.]*(exceed|overflow|not enough|too (small|short))"
    r"|`inputs`( tokens \+ `max_new_tokens`)? must (be <=|have less than)|(prompt|input)[^.]* (is )?too long"
    r"|reduce the length of the (messages|input|prompt)|input length[^.]*exceeds|max_tokens must be at least 1, got -",
    re.IGNORECASE,
)
# The names of the limit on the tokens of a reply.
_LIMIT = r"(?:max(?:imum)?[ _]?(?:(?:completion|new|output|num|total|gen\w*)[ _]?)?tokens|n_predict)"
_TOO_MANY = re.compile(  # too many tokens requested; lower limits do not count
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
_SMALLEST_CONTEXT = 64  # tokens; a smaller number in an error is about something else
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
_TOTAL_TOKENS = tuple(  # the context length, unless the limit is on the reply alone
    re.compile(pattern, re.IGNORECASE)
    for pattern in (rf"exceeds? (?:the )?(?:\w+ )?limit(?: of)?[ :(=]*{_NUMBER}", rf"> {_NUMBER} maximum")
)
_NOT_READY = re.compile(
    r"\bloading\b|overload|rate.?limit|too many (concurrent )?requests|at capacity|\bbusy\b|warming up|starting up"
    r"|try again (later|in\b)|temporar\w+ unavailable|service.?unavailable|unavailable_error|not ready"
    r"|no (available|healthy) (\w+ )?(server|worker|backend|upstream|instance|replica|channel)|queue is full"
    r"|(exceeds?|exceeded|over|insufficient|out of|no) capacity",
    re.IGNORECASE,
)
_UNAUTHORIZED = re.compile(  # whatever the status: some servers answer 200 or 500 to a wrong key
    r"(?:invalid|incorrect|wrong|bad|missing|unknown|expired|revoked|no)[ _-](?:api|access|auth\w*|secret)[ _-]?"
    r"(?:key|token|header|credential)|api[ _-]?key\b[^.]{0,40}\b(?:invalid|incorrect|wrong|missing|required|expired"
    r"|revoked|not (?:valid|found|provided|recognized)|disabled)|invalid[ _-](?:credentials|bearer)"
    r"|auth(?:entication|orization)?[ _-]?(?:error|failed|failure|required)|unauthori[sz]ed|unauthenticated"
    r"|not authenticated|permission_(?:error|denied)",
    re.IGNORECASE,
)
_UNAUTHORIZED_CODE = re.compile(r"\b40[123]\b")
# What the model wrote, and not what was asked, is at fault, though some servers answer 400 to it.
_MODELS_CALL = re.compile(
    r"tool_use_failed|failed_generation|failed to (?:call a function|parse (?:tool[ _]call|function[ _]call|input at))"
    r"|model (?:has )?(?:called|generated) an? |tool[ _]call[ _]validation",
    re.IGNORECASE,
)
_OUT_OF_CREDIT = re.compile(r"insufficient_quota|insufficient (balance|credit|funds)|billing", re.IGNORECASE)


def response_error(
    where: str, status: int, body: str, headers: Mapping[str, str] | None = None, *, now: datetime | None = None
) -> EngineError:
    """Return the error for a response with an error status; `now` is the reference for dates in its headers."""
    content = _json(body)
    text = response_message(body)
    message = f"the engine at {where} answered {status}: {text}"
    wait = retry_after(headers or {}, now or datetime.now(UTC))
    error = _error(message, status, _codes(content), text, _named_context(content), wait)
    error.status = status
    return error


def event_error(where: str, event: Mapping[str, Any]) -> EngineError | None:
    """Return the error in an event of a stream; None if there is none."""
    error = event.get("error")
    if not error and event.get("choices"):  # almost all of them: no time is spent on what else they hold
        return None
    text = error_message(event)
    if not error and not _is_error(event, text):
        return None
    code = error.get("code") if isinstance(error, Mapping) else event.get("code")
    digits = str(code) if isinstance(code, int | str) else ""
    status = int(digits) if re.fullmatch(r"[45]\d\d", digits) else None
    text = text or "it gave no reason"
    message = f"the engine at {where} broke off its stream: {text}"
    return _error(message, status, _codes(event), text, _named_context(event), None)


def error_message(content: object) -> str:
    """Return the error message in a server's JSON; "" if there is none."""
    if _too_deep(content):
        return ""
    texts = (" ".join(text.split())[:_MAX_MESSAGE_CHARS] for text in _texts(content))
    return next(filter(None, texts), "")


def is_models_call(text: str) -> bool:
    """Whether a message says that the model called a function as the server cannot read or does not allow."""
    return _MODELS_CALL.search(text) is not None


def response_message(body: str) -> str:
    """Return the message of a response: that in its JSON, or its plain text."""
    return error_message(_json(body)) or _plain(body) or "it gave no reason"


def is_temporary(text: str) -> bool:
    """Whether a message says that the server is loading its model or is overloaded."""
    return _NOT_READY.search(text) is not None


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that the server asks to wait, at most an hour; None without a valid header."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1_000, _MAX_RETRY_AFTER)
    value = headers.get("Retry-After", "").strip()
    seconds = _number(value)
    if seconds is None and value:
        try:
            date = parsedate_to_datetime(value)
            seconds = max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds())
        except (ValueError, OverflowError):
            return None
    return None if seconds is None else min(seconds, _MAX_RETRY_AFTER)


def _error(
    message: str, status: int | None, codes: str, text: str, context: int | None, wait: float | None
) -> EngineError:
    error = _typed_error(message, status, codes, text, context, wait)
    error.about = codes + text
    return error


def _typed_error(
    message: str, status: int | None, codes: str, text: str, context: int | None, wait: float | None
) -> EngineError:
    words = codes + text
    if status == 413 or (status in _MAYBE_CONTEXT and _is_too_long(words)):
        tokens = context or _context_in(words) or 0
        return ContextExceededError(message, context_tokens=tokens if tokens >= _SMALLEST_CONTEXT else None)
    not_yet = is_temporary(words)
    evidence = codes if status in _TEMPORARY else words
    unauthorized = not not_yet and (_UNAUTHORIZED.search(evidence) or _UNAUTHORIZED_CODE.search(codes))
    if status in _PERMANENT or unauthorized or _OUT_OF_CREDIT.search(words):
        return RequestRefusedError(message)
    if status in _TEMPORARY or not_yet:
        return EngineUnavailableError(message, retry_after=wait, answered=True)
    if status is None or is_models_call(words) or (status >= 500 and status not in _UNSUPPORTED):
        return StreamBrokenError(message)
    return RequestRefusedError(message)


def _is_error(event: Mapping[str, Any], text: str) -> bool:
    """Whether an event without an `error` field is itself an error."""
    return "error" in (event.get("object"), event.get("type")) or bool(_UNAUTHORIZED.search(text))


def _texts(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    if isinstance(content, list):
        for item in content[:3]:
            yield from _texts(item)
    if isinstance(content, Mapping):
        for key in ("error", "message", "msg", "detail", "errors", "error_message", "title"):
            yield from _texts(content.get(key))
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
    """Return the error's type and code, and the request field that it is about, joined by spaces."""
    if not isinstance(content, Mapping):
        return ""
    inner = content.get("error")
    sources = (content, inner) if isinstance(inner, Mapping) else (content,)
    codes = (str(source[key]) for source in sources for key in ("type", "code", "param") if _is_plain(source.get(key)))
    message = content.get("message")  # Mistral's has the details in it
    details = message.get("detail") if isinstance(message, Mapping) else content.get("detail")
    return "".join(f"{code[:_MAX_CODE_CHARS]} " for code in codes) + _place(details)


def _place(details: object) -> str:
    """Return the location of the first validation error in the request."""
    first = details[0] if isinstance(details, list) and details else None
    place = first.get("loc") if isinstance(first, Mapping) else None
    return (
        "".join(f"{step} " for step in place if isinstance(step, str))[:_MAX_CODE_CHARS]
        if isinstance(place, list)
        else ""
    )


def _named_context(content: object) -> int | None:
    """Return the context length from a field of its own, as llama.cpp's server sends it."""
    if not isinstance(content, Mapping):
        return None
    inner = content.get("error")
    for source in (inner, content):
        value = source.get("n_ctx") if isinstance(source, Mapping) else None
        if type(value) is int and value > 0:
            return value
    return None


def _is_too_long(words: str) -> bool:
    """Whether a request was refused because of its number of tokens, existing or requested."""
    return bool(_CONTEXT.search(words) or (_TOO_MANY.search(words) and not _RATE.search(words)))


def _context_in(words: str) -> int | None:
    """Return the context length named in a message; None where there is none, or only a limit on the reply."""
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
    """Return a body that is not JSON as one line without HTML tags."""
    return " ".join(re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", body, flags=re.DOTALL).split())[
        :_MAX_MESSAGE_CHARS
    ]


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
