"""The API key: sent to the server it is for, and nowhere else to be found."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import Config, load_config
from agent.engine.base import Engine
from agent.engine.configured import open_engine
from agent.engine.connection import ServerConnection
from agent.engine.http import HttpEngine, api_url
from agent.errors import ConfigError, EngineError, EngineUnavailableError, RequestRefusedError
from tests.agent.engine.test_http import read
from tests.support.servers.raw_server import Page, RawServer, serving_raw
from tests.support.servers.scripted_server import ScriptedServer, serving

KEY = "sk-of-the-test"
LISTING = Page([b'{"data": [{"id": "scripted"}]}'])


def opened(config: Config) -> Engine:
    return open_engine(config, lambda name: Path(name), Path("log"), lambda text: None)


def config(server: ScriptedServer | RawServer, **keys: object) -> Config:
    engine = {"kind": "http", "url": server.url, "model": "", **keys}
    return load_config("cpu", {f"engine.{key}": value for key, value in engine.items()})


@pytest.mark.parametrize(("variable", "name"), [("OPENAI_API_KEY", ""), ("MY_KEY", "MY_KEY")])
async def test_a_server_that_wants_a_key_gets_it_from_the_environment(
    variable: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(ScriptedServer(lambda body: "yes", key=KEY)) as server:
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        without = opened(config(server))
        with pytest.raises(RequestRefusedError, match=r"answered 401: Unauthorized; .*--api-key-env"):
            await without.ready()
        await without.close()
        monkeypatch.setenv(variable, "another")
        wrong = opened(config(server, api_key_env=name))
        with pytest.raises(RequestRefusedError, match=r"answered 401: Unauthorized; check the key in .*--api-key-env"):
            await wrong.ready()
        await wrong.close()
        monkeypatch.setenv(variable, KEY)
        engine = opened(config(server, api_key_env=name))
        await engine.ready()
        assert (await read(engine))[0] == "yes"
        await engine.close()


def test_a_variable_that_is_not_set_is_reported_when_the_engine_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_THERE", raising=False)
    with pytest.raises(ConfigError, match="the environment has no NOT_THERE"):
        opened(load_config("cpu", {"engine.kind": "http", "engine.url": "http://h", "engine.api_key_env": "NOT_THERE"}))


@pytest.mark.parametrize("status", [200, 401, 404, 500, 503])
async def test_a_server_that_quotes_the_key_does_not_get_it_into_a_message(status: int) -> None:
    page = Page([b'{"error": {"message": "what is ', KEY.encode(), b' supposed to be?"}}'], status)
    with serving_raw({"/v1/models": page, "/v1/completions": page}) as server:
        engine = HttpEngine(api_url(server.url), api_key=KEY)
        for failing in (engine.ready, lambda: read(engine)):
            with pytest.raises(EngineError, match=r"what is \[key\] supposed to be") as caught:
                await failing()
            assert KEY not in str(caught.value)
        await engine.close()


@pytest.mark.parametrize("before", [40, 74, 180, 195, 270, 297])
async def test_no_part_of_a_key_is_shown_where_a_message_is_cut(before: int) -> None:
    long = "sk-" + "0123456789" * 4
    for page in (b'{"error": "%s%s"}', b"%s%s", b'data: {"a": "b"}\n\ndata: {%s%s\n\n', b'data: {"error": "%s%s"}\n\n'):
        with serving_raw({"/v1/completions": Page([page % (b"x" * before, long.encode())])}) as server:
            engine = HttpEngine(api_url(server.url), api_key=long)
            with pytest.raises(EngineError) as caught:
                await read(engine)
            await engine.close()
            assert long[:9] not in str(caught.value)


SECRET = "sk-secret1234567890"


@pytest.mark.parametrize(
    ("key", "said", "told"),
    [
        (SECRET, f"no such key: {SECRET}!", "no such key: [key]!"),
        (SECRET, "Received API Key = secret1234567890", "Received API Key = [key]"),
        (SECRET, "ends with 567890.", "ends with [key]."),
        (SECRET, "begins with sk-sec, ends with 567890", "begins with [key], ends with [key]"),
        (SECRET, "sk-se...67890", "sk-se...67890"),
        (SECRET, f"{SECRET}{SECRET} {SECRET}", "[key] [key]"),
        (SECRET, f"xy{SECRET[3:]}xy", "xy[key]xy"),
        (SECRET, "", ""),
        ("abc", "abc is no key, as abcd and xabc; 'abc'", "[key] is no key, as abcd and xabc; '[key]'"),
        ("a.c", "abc a.c", "abc [key]"),
        ("abcdef", "abcde abcdef abcdefg", "abcde [key] [key]g"),
        (None, "None is no key", "None is no key"),
        ("", "it", "it"),
    ],
)
def test_every_telling_part_of_the_key_is_redacted(key: str | None, said: str, told: str) -> None:
    assert ServerConnection("http://host/v1", api_key=key).scrubbed(said) == told


@given(st.text("ab-1", min_size=6, max_size=20), st.text("ab-1 ", max_size=60))
def test_no_six_characters_of_a_key_are_quoted_and_nothing_else_is_lost(key: str, text: str) -> None:
    runs = {key[place : place + 6] for place in range(len(key) - 5)}
    told = ServerConnection("http://host/v1", api_key=key).scrubbed(text)
    assert not any(run in told for run in runs)
    kept = [told_part for told_part in told.split("[key]") if told_part]
    place = 0
    for part in kept:
        place = text.index(part, place) + len(part)
    assert (told == text) == (not any(run in text for run in runs))


def test_a_long_text_is_scrubbed_in_time() -> None:
    began = time.monotonic()
    assert ServerConnection("http://host/v1", api_key="a" * 10_000).scrubbed("a" * 200_000) == "[key]"
    assert time.monotonic() - began < 5


async def test_the_key_goes_to_no_other_server_than_its_own() -> None:
    with serving_raw({"/v1/models": LISTING}) as other, serving_raw({}) as server:
        moved = Page([], 307, {"Location": f"{other.url}/v1/models?token=1"})
        server.pages |= {"/v1/models": moved, "/v1/completions": moved}
        engine = HttpEngine(api_url(server.url), api_key=KEY)
        for failing in (engine.ready, lambda: read(engine)):
            with pytest.raises(
                RequestRefusedError, match=rf"it has moved to {other.url}/v1/models; give that server's"
            ):
                await failing()
        await engine.close()
        assert other.asked == []
        assert server.keys == [f"Bearer {KEY}"] * 2


async def test_a_redirect_on_the_same_server_is_followed() -> None:
    pages = {"/v1/models": Page([], 302, {"Location": "/v1/models/"}), "/v1/models/": LISTING}
    done = Page([b'data: {"choices": [{"text": "yes", "finish_reason": "stop"}]}\n\n'])
    pages |= {"/v1/completions": Page([], 308, {"Location": "/api/completions"}), "/api/completions": done}
    with serving_raw(pages) as server:
        engine = HttpEngine(api_url(server.url), api_key=KEY)
        await engine.ready()
        assert (await read(engine))[0] == "yes"
        assert server.keys == [f"Bearer {KEY}"] * len(server.keys)
        server.pages["/v1/models/"] = Page([], 302, {"Location": "/v1/models"})
        with pytest.raises(RequestRefusedError, match="answered 302"):
            await engine.ready()
        await engine.close()


async def test_the_environments_proxy_is_asked_for_other_hosts_and_not_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving_raw({"/v1/models": LISTING}) as proxy, serving_raw({"/v1/models": LISTING}) as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        for url, proxied, asked in (
            ("http://engine.invalid", True, True),
            ("http://engine.invalid", False, False),
            (server.url, True, False),
        ):
            proxy.asked.clear()
            engine = HttpEngine(api_url(url), proxied=proxied)
            if asked or url == server.url:
                await engine.ready()
            else:
                with pytest.raises(EngineUnavailableError, match="no engine answers"):
                    await engine.ready()
            await engine.close()
            assert bool(proxy.asked) is asked
        monkeypatch.setenv("no_proxy", "engine.invalid")
        engine = HttpEngine("http://engine.invalid/v1", proxied=True)
        with pytest.raises(EngineUnavailableError, match="no engine answers"):
            await engine.ready()
        await engine.close()


async def test_a_password_in_a_url_is_not_quoted() -> None:
    with serving_raw({}) as server:
        engine = HttpEngine(api_url(server.url.replace("//", "//user:secret@")), api_key=KEY)
        with pytest.raises(RequestRefusedError, match="answered 404") as caught:
            await engine.ready()
        await engine.close()
        assert "secret" not in str(caught.value) and server.url in str(caught.value)
        assert server.keys[0] is not None and server.keys[0].startswith("Basic")
