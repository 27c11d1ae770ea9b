"""Query a server about itself: its models and their context length."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.engine.connection import TRANSPORT_ERRORS, ServerConnection
from agent.engine.server_errors import event_error, is_temporary, response_message
from agent.errors import EngineError, EngineUnavailableError, RequestRefusedError, StreamBrokenError

# Used by vLLM, SGLang and hosted services. What a model was trained for ("n_ctx_train") is not what is served.
_CONTEXT_KEYS = ("max_model_len", "n_ctx", "context_window", "context_length", "max_context_length")


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What a server tells of its model: the chat template, "" where it tells none, and all that the model is called."""

    template: str
    names: tuple[str, ...]


async def fetch_models(server: ServerConnection, *, seconds: float) -> list[Mapping[str, Any]]:
    """Return the models that a server lists. Raises EngineUnavailableError or RequestRefusedError."""
    try:
        return _models(server, await server.page("GET", "/models", seconds=seconds))
    except StreamBrokenError as error:
        raise EngineUnavailableError(str(error), answered=True) from error
    except TRANSPORT_ERRORS as error:
        raise server.unreachable_error(error) from error


def _models(server: ServerConnection, page: str) -> list[Mapping[str, Any]]:
    try:
        listing = json.loads(page)
    except (ValueError, RecursionError):
        listing = None
    error = event_error(server.shown, listing) if isinstance(listing, Mapping) else None
    if error is not None:
        raise server.clean(error)
    data = listing.get("data") if isinstance(listing, Mapping) else listing
    if isinstance(data, list):
        models = [model for model in data if isinstance(model, Mapping) and isinstance(model.get("id"), str)]
        if models or not data or data is not listing:  # a bare list of other things is some other page
            return models
    message = server.scrubbed(response_message(page))
    if is_temporary(message) and "<" not in page:
        raise EngineUnavailableError(f"the engine at {server.shown} is not ready: {message}", answered=True)
    raise RequestRefusedError(
        f"the server at {server.shown} lists no models, but says: {message}; give the --url of an engine that "
        "speaks the OpenAI protocol"
    )


async def fetch_served_model(server: ServerConnection, name: str, *, seconds: float) -> ServedModel:
    """Ask a server what it serves under a name: vLLM tells the model's path or name on the Hub, SGLang too, llama.cpp
    the path and the chat template. Never raises; a server need not know any of these requests."""
    listing = await fetch_json(server, "/models", seconds=seconds)
    props = await fetch_json(server, f"{server.root}/props", seconds=seconds)
    info = await fetch_json(server, f"{server.root}/get_model_info", seconds=seconds)
    listed = listing.get("data") if isinstance(listing, Mapping) else listing
    entries = [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
    ours = next((each for each in entries if each.get("id") == name), None)
    told = (_text(ours, "root"), _text(props, "model_path"), _text(info, "model_path"))
    return ServedModel(_text(props, "chat_template"), (name, *filter(None, told)))


async def fetch_json(server: ServerConnection, url: str, *, seconds: float) -> Any:
    """Return a server's JSON response, None where there is none. Never raises."""
    try:
        return await server.json("GET", url, seconds=seconds)
    except (*TRANSPORT_ERRORS, EngineError):
        return None


def context_of(listed: Iterable[Mapping[str, Any]], name: str | None) -> int | None:
    """Return the context length of the model of that name, or of the only model; None if it is not listed."""
    entries = list(listed)
    ours = [model for model in entries if model["id"] == name] or entries
    if len(ours) != 1:
        return None
    meta = ours[0].get("meta")
    sources = [ours[0], meta if isinstance(meta, Mapping) else {}]
    return next((value for key in _CONTEXT_KEYS for source in sources if (value := _tokens(source.get(key)))), None)


def context_of_props(props: object) -> int | None:
    """Return the context length of a slot from a response of llama.cpp's /props; None if it has none."""
    settings = props.get("default_generation_settings") if isinstance(props, Mapping) else None
    return _tokens(settings.get("n_ctx")) if isinstance(settings, Mapping) else None


def token_count(answer: object) -> int | None:
    """Return the number of tokens in a response of /tokenize; None for any other response."""
    if not isinstance(answer, Mapping):
        return None
    count, ids = answer.get("count"), answer.get("tokens")
    if type(count) is int and count >= 0:
        return count
    return len(ids) if isinstance(ids, list) else None


def _text(table: object, key: str) -> str:
    value = table.get(key) if isinstance(table, Mapping) else None
    return value if isinstance(value, str) else ""


def _tokens(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None
