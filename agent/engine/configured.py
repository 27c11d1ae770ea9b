"""The engine that a configuration names."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from agent.config import Config, override_config
from agent.engine.api_key import USUAL_VARIABLE, read_key
from agent.engine.base import Engine, OnEvent
from agent.engine.http import HttpEngine, api_url, complete_one_token
from agent.engine.llamacpp.embedded import EmbeddedEngine
from agent.engine.vllm.server import VllmEngine
from agent.errors import EngineError, RequestRefusedError
from agent.hardware.detect import check_profile, find_gpus

_MOST_SLOTS = 16  # in the embedded engine, each with its own context in memory; lanes beyond wait for one
_ALIAS_SECONDS = 30.0  # for a server to refuse a model that it does not know


def open_engine(config: Config, fetch: Callable[[str], Path], log: Path, on_event: OnEvent) -> Engine:
    """Create the engine of a configuration, without starting it.

    `fetch` returns the file of a model by its name (it may download for minutes); `log` is the log file of a server
    that we start; `on_event` is called when something happens to it. Raises ModelError for an unknown model,
    ConfigError if the profile does not fit the GPUs found or the API key's variable is not set.
    """
    engine = config.engine
    if engine.kind == "http":
        return HttpEngine(
            api_url(engine.url),
            model=engine.model or None,
            stall_seconds=engine.stall_seconds,
            api_key=read_key(engine.api_key_env, os.environ, usual=USUAL_VARIABLE),
            proxied=True,
            on_event=on_event,
        )
    if engine.kind == "vllm":
        check_profile(config, find_gpus())
        key = read_key(engine.api_key_env, os.environ)
        return VllmEngine(engine, config.vllm, log_path=log, on_event=on_event, api_key=key)
    return EmbeddedEngine(
        fetch(engine.model),
        slots=min(config.sample.count * config.problems_in_flight, _MOST_SLOTS),
        streams=engine.streams or None,
        context_tokens=engine.context_tokens,
        port=engine.port,
        start_seconds=engine.start_seconds,
        stall_seconds=engine.stall_seconds,
        log_path=log,
    )


async def settle_model(config: Config, engine: Engine) -> Config:
    """Return the configuration with the model that the server at a URL serves; the engine must be ready.

    If none was named, that is the one selected by the engine. A name that the server does not list may be an alias, so
    one token is requested with it; errors other than a refusal are left to the first sample. Raises RequestRefusedError
    if the server knows no such model.
    """
    if not isinstance(engine, HttpEngine):
        return config
    named = config.engine.model
    if not named:
        return override_config(config, {"engine.model": engine.model or ""})
    if named not in engine.listed:
        try:
            async with asyncio.timeout(_ALIAS_SECONDS):
                await complete_one_token(engine)
        except RequestRefusedError as error:
            listed = ", ".join(engine.listed[:5]) or "none"
            raise RequestRefusedError(
                f"the model {named!r} is refused ({error}); the server lists {listed}: name one of these with --model"
            ) from error
        except (EngineError, TimeoutError):
            pass
    return config
