"""The engine that a configuration names."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from agent.chat.family import AUTO, load_family
from agent.chat.recognize import recognized_family
from agent.config import Config, EngineConfig, override_config
from agent.engine.api_key import USUAL_VARIABLE, read_key
from agent.engine.base import Engine, OnEvent
from agent.engine.completion.refusals import completes_nothing
from agent.engine.connection import ServerConnection
from agent.engine.http import HttpEngine, api_url, complete_one_token
from agent.engine.llamacpp.embedded import EmbeddedEngine
from agent.engine.server_info import fetch_served_model
from agent.engine.vllm.server import VllmEngine
from agent.errors import ConfigError, EngineError, ModelError, RequestRefusedError
from agent.events import EngineStarted
from agent.hardware.detect import check_profile, find_gpus
from agent.models.chat_template import family_of_model, family_of_served
from agent.models.own_file import HUB_PREFIX

_MOST_SLOTS = 16  # in the embedded engine, each with its own context in memory; lanes beyond wait for one
_CHAT_FAMILY = "chat"  # fits any model whose template the server applies
_MESSAGE_DIALECTS = "chatml-"  # what their names begin with: ChatML is read back as messages
_PATHS = ("/", "./", "../")  # how a model's name begins that can be nothing but a path
_INFO_SECONDS = 30.0  # for a server to tell what it serves
_ALIAS_SECONDS = 30.0  # for a server to refuse a model that it does not know


def open_engine(config: Config, fetch: Callable[[str], Path] | None, log: Path, on_event: OnEvent) -> Engine:
    """Create the engine of a configuration, without starting it.

    `fetch` returns the file of a model by its name, where it is not the usual way, which may download it for minutes;
    `log` is the log file of a server that we start; `on_event` is called when something happens to it. Raises
    ModelError for an unknown model, ConfigError if the profile does not fit the GPUs found or the API key's variable is
    not set.
    """
    engine = config.engine
    if engine.kind == "http":
        return _engine_at_url(config, on_event)
    if engine.kind == "vllm":
        engine = engine.model_copy(update={"model": str(model_path(engine, fetch))})
        check_profile(config.model_copy(update={"engine": engine}), find_gpus())
        key = read_key(engine.api_key_env, os.environ)
        return VllmEngine(engine, config.vllm, log_path=log, on_event=on_event, api_key=key)
    return EmbeddedEngine(
        Path(model_path(engine, fetch)),
        slots=min(config.sample.count * config.problems_in_flight, _MOST_SLOTS),
        streams=engine.streams or None,
        context_tokens=engine.context_tokens,
        port=engine.port,
        start_seconds=engine.start_seconds,
        stall_seconds=engine.stall_seconds,
        log_path=log,
    )


def settle_hub_model(config: Config) -> Config:
    """Return the configuration with a model of the Hugging Face Hub that we serve ourselves fetched, and named exactly.

    Its name then has the digest of the file or the commit of the repository, whatever it was given with, so that what
    is stored means this very model. Raises ModelError if it cannot be had.
    """
    engine = config.engine
    if engine.kind == "http" or not engine.model.startswith(HUB_PREFIX):
        return config
    from agent.models.store import exact_name  # as `_fetch_model`

    return override_config(config, {"engine.model": exact_name(engine.model, directory=engine.kind == "vllm")})


def model_path(engine: EngineConfig, fetch: Callable[[str], Path] | None) -> Path | str:
    """Where an engine of ours finds its model; vLLM is given any name as it is, but for one with our prefix.

    `fetch` is that of `open_engine`. Raises ModelError for a path at which there is nothing.
    """
    if engine.kind == "vllm" and not engine.model.startswith(HUB_PREFIX):
        if engine.model.startswith(_PATHS) and not Path(engine.model).exists():
            raise ModelError(
                f"there is no model at {engine.model}: give a directory that is there, or hf:owner/repository for one "
                "on the Hugging Face Hub"
            )
        return engine.model
    return (fetch or _fetch_model)(engine.model)


def _engine_at_url(config: Config, on_event: OnEvent) -> HttpEngine:
    engine = config.engine
    opened: Callable[..., HttpEngine] = HttpEngine
    if engine.protocol != "completions":
        # Not needed where a server of ours completes texts, as in a notebook.
        from agent.engine.chat_completion.engine import ChatEngine

        opened = partial(ChatEngine, probes=engine.protocol == "auto")
    return opened(
        api_url(engine.url),
        model=engine.model or None,
        stall_seconds=engine.stall_seconds,
        api_key=_url_key(config),
        proxied=True,
        on_event=on_event,
    )


def _fetch_model(name: str) -> Path:
    from agent.models.store import fetch_model  # not where there is no network: a notebook does without it

    return fetch_model(name)


def settle_family(config: Config, fetch: Callable[[str], Path] | None) -> Config:
    """Return the configuration with the family of a model that we serve ourselves, where that is left to be found.

    `fetch` is that of `open_engine`. Raises ConfigError, saying what to set, if the model's chat template and name do
    not tell its family, ModelError if the model cannot be read.
    """
    engine = config.engine
    if config.sample.family != AUTO or engine.kind == "http":
        return config
    if not engine.model:
        family = recognized_family("", own=config.sample.own_families)
    else:
        family = family_of_model(Path(model_path(engine, fetch)), config.sample.own_families)
    return override_config(config, {"sample.family": family})


def start_of(engine: Engine) -> EngineStarted | None:
    """How an engine came up, where it is a server of ours that tells it."""
    return engine.started if isinstance(engine, VllmEngine) else None


async def settle_model(config: Config, engine: Engine) -> Config:
    """Return the configuration with the model that the server at a URL serves, and its family where that is left to be
    found; the engine must be ready.

    If none was named, that is the one selected by the engine. A name that the server does not list may be an alias, so
    one token is requested with it; errors other than a refusal are left to the first sample. Raises RequestRefusedError
    if the server knows no such model, ConfigError if what it tells of the model does not show the family.
    """
    if not isinstance(engine, HttpEngine):
        return config
    named = config.engine.model
    if not named:
        config = override_config(config, {"engine.model": engine.model or ""})
    elif named not in engine.listed:
        await _check_alias(engine, named)
    if engine.chats:
        return _with_family_of_messages(config)
    return config if config.sample.family != AUTO else await _with_served_family(config)


def _with_family_of_messages(config: Config) -> Config:
    """The configuration with a family whose prompts can be sent as messages: the model's template is the server's."""
    family = config.sample.family
    if family == AUTO:
        return override_config(config, {"sample.family": _CHAT_FAMILY})
    from agent.chat.messages.conversation import THINK_CLOSE  # as `ChatEngine`
    from agent.chat.tool_tags.scanner import OPEN

    known = load_family(family)
    if config.sample.tools and OPEN in known.turn_opening(tools=True):
        raise ConfigError(
            f"the engine at {config.engine.url} is sent messages, in which no call can be begun for the model, as the "
            f"family {family} does (tool_opening): set sample.family to {_CHAT_FAMILY} or to a family of yours without "
            "it, or engine.protocol to 'completions'"
        )
    if not known.dialect.startswith(_MESSAGE_DIALECTS) or known.think_close not in ("", THINK_CLOSE):
        raise ConfigError(
            f"the engine at {config.engine.url} is sent messages, which the family {family} cannot be written in (its "
            f"dialect is {known.dialect}, its thinking ends with {known.think_close!r}): set sample.family to "
            f"{_CHAT_FAMILY}, or engine.protocol to 'completions'"
        )
    return config


async def _with_served_family(config: Config) -> Config:
    server = ServerConnection(api_url(config.engine.url), api_key=_url_key(config), proxied=True)
    try:
        served = await fetch_served_model(server, config.engine.model, seconds=_INFO_SECONDS)
    finally:
        await server.close()
    family = family_of_served(served.template, served.names, config.sample.own_families)
    return override_config(config, {"sample.family": family})


async def _check_alias(engine: HttpEngine, named: str) -> None:
    try:
        async with asyncio.timeout(_ALIAS_SECONDS):
            await complete_one_token(engine)
    except RequestRefusedError as error:
        if completes_nothing(error):
            raise
        listed = ", ".join(engine.listed[:5]) or "none"
        raise RequestRefusedError(
            f"the model {named!r} is refused ({error}); the server lists {listed}: name one of these with --model"
        ) from error
    except (EngineError, TimeoutError):
        pass


def _url_key(config: Config) -> str | None:
    return read_key(config.engine.api_key_env, os.environ, usual=USUAL_VARIABLE)
