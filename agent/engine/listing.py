"""What servers tell of themselves: their models, and how long a context is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from agent.engine.connection import FAULTS, Connection
from agent.engine.refusals import asks_to_wait, error_event, quote
from agent.errors import EngineError, EngineUnavailableError, RequestRefusedError, StreamBrokenError

# By vLLM and SGLang, and by hosted services. What a model was trained for ("n_ctx_train") is not what is served.
_CONTEXT_KEYS = ("max_model_len", "n_ctx", "context_window", "context_length", "max_context_length")


async def ask_models(server: Connection, *, seconds: float) -> list[Mapping[str, Any]]:
    """The models that a server lists. Raises EngineUnavailableError or RequestRefusedError."""
    try:
        return _models(server, await server.page("GET", "/models", seconds=seconds))
    except StreamBrokenError as error:
        raise EngineUnavailableError(str(error), answered=True) from error
    except FAULTS as error:
        raise server.unreached(error) from error


def _models(server: Connection, page: str) -> list[Mapping[str, Any]]:
    try:
        listing = json.loads(page)
    except (ValueError, RecursionError):
        listing = None
    error = error_event(server.shown, listing) if isinstance(listing, Mapping) else None
    if error is not None:
        raise server.clean(error)
    data = listing.get("data") if isinstance(listing, Mapping) else listing
    if isinstance(data, list):
        models = [model for model in data if isinstance(model, Mapping) and isinstance(model.get("id"), str)]
        if models or not data or data is not listing:  # a bare list of other things is some other page
            return models
    said = server.scrubbed(quote(page))
    if asks_to_wait(said) and "<" not in page:
        raise EngineUnavailableError(f"the engine at {server.shown} is not ready: {said}", answered=True)
    raise RequestRefusedError(
        f"the server at {server.shown} lists no models, but says: {said}; give the --url of an engine that speaks the "
        "OpenAI protocol"
    )


async def ask(server: Connection, method: str, url: str, body: dict[str, Any] | None, *, seconds: float) -> Any:
    """The JSON that a server tells of itself, None where it tells none. Never raises."""
    try:
        return await server.json(method, url, body, seconds=seconds)
    except (*FAULTS, EngineError):
        return None


def context_of(listed: Iterable[Mapping[str, Any]], name: str | None) -> int | None:
    """The context of the model of that name, or of the only one; None where that is not told."""
    entries = list(listed)
    ours = [model for model in entries if model["id"] == name] or entries
    if len(ours) != 1:
        return None
    meta = ours[0].get("meta")
    sources = [ours[0], meta if isinstance(meta, Mapping) else {}]
    return next((value for key in _CONTEXT_KEYS for source in sources if (value := _tokens(source.get(key)))), None)


def context_of_props(props: object) -> int | None:
    """The context of one slot, from an answer of llama.cpp's /props; None if it is none."""
    settings = props.get("default_generation_settings") if isinstance(props, Mapping) else None
    return _tokens(settings.get("n_ctx")) if isinstance(settings, Mapping) else None


def token_count(answer: object) -> int | None:
    """How many tokens an answer of /tokenize holds; None if it is none."""
    if not isinstance(answer, Mapping):
        return None
    count, ids = answer.get("count"), answer.get("tokens")
    if type(count) is int and count >= 0:
        return count
    return len(ids) if isinstance(ids, list) else None


def _tokens(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None
