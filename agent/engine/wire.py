"""What the servers of the OpenAI completions protocol write on their streams, read into chunks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import aiohttp

from agent.engine.base import Chunk


async def events(content: aiohttp.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """The JSON objects of a stream of server-sent events. Raises ValueError on anything else."""
    async for line in content:
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            return
        event = json.loads(data)
        if not isinstance(event, dict):
            raise ValueError(f"unexpected event {data[:80]!r}")
        if "error" in event:
            raise ValueError(f"the server says {str(event['error'])[:300]}")
        yield event


def chunk(event: dict[str, Any], counted: int) -> Chunk:
    """What one event adds, given the tokens counted before it. Raises ValueError if it is not of the protocol.

    Without token ids a piece of text counts as one token until the server says how many there were in all.
    """
    try:
        choice = (event.get("choices") or [{}])[0]
        text = choice.get("text") or ""
        if not text.isascii():
            text = text.encode("utf-8", "replace").decode("utf-8")
        ids = _integers(choice.get("token_ids"))
        usage = event.get("usage") or {}
        tokens = int(usage["completion_tokens"]) - counted if usage else len(ids) or int(bool(text))
        spelled, logprobs = _logprobs(choice.get("logprobs"))
        return Chunk(
            text,
            tokens,
            choice.get("finish_reason"),
            token_ids=ids,
            logprobs=logprobs,
            # The last chunk may hold the token that ends the turn, which is no part of the text.
            aligned=bool(ids) and bool(text) and spelled == text and choice.get("finish_reason") != "stop",
            prompt_ids=_integers(choice.get("prompt_token_ids")),
            prompt_tokens=usage.get("prompt_tokens"),
            cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        )
    except (AttributeError, KeyError, TypeError, IndexError, OverflowError) as error:
        raise ValueError(f"unexpected event {str(event)[:120]}") from error


def _integers(values: Iterable[Any] | None) -> tuple[int, ...]:
    return tuple(int(value) for value in values or ())


def _logprobs(entry: dict[str, Any] | None) -> tuple[str, tuple[float, ...]]:
    """What the tokens spell, and the log-probability of each."""
    if not entry or "tokens" not in entry:
        return "", ()
    return "".join(entry["tokens"]), tuple(float(value) for value in entry["token_logprobs"])
