"""What the client learns of a server: whether it serves, its models, its context, its tokenizer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from agent.engine.base import SamplingParams
from agent.engine.http import HttpEngine, api_url
from agent.errors import ContextExceededError, EngineError, EngineUnavailableError, RequestRefusedError
from tests.support.servers.raw_server import RESET, Page, RawServer, serving_raw
from tests.support.servers.scripted_server import ScriptedServer, serving

MODELS = "/v1/models"


def page(value: object, status: int = 200) -> Page:
    return Page([json.dumps(value).encode()], status)


@asynccontextmanager
async def engine_of(server: RawServer | ScriptedServer, **keys: Any) -> AsyncIterator[HttpEngine]:
    engine = HttpEngine(api_url(server.url), **keys)
    try:
        yield engine
    finally:
        await engine.close()


async def readiness(listing: Page, **keys: Any) -> EngineError | HttpEngine:
    with serving_raw({MODELS: listing}) as server:
        async with engine_of(server, **keys) as engine:
            try:
                await engine.ready()
            except EngineError as error:
                assert server.url in str(error)
                return error
            return engine


async def context(*models: dict[str, Any], props: object = None, **keys: Any) -> int | None:
    pages = {MODELS: page({"data": list(models)})} | ({} if props is None else {"/props": page(props)})
    with serving_raw(pages) as server:
        async with engine_of(server, **keys) as engine:
            await engine.ready()
            return engine.context_tokens


@pytest.mark.parametrize(
    "listing",
    [
        Page([b"<html><title>Sign in</title>Please sign in to go on</html>"]),
        page({"message": "Please sign in to go on"}),
        page({"data": {"a": "Please sign in to go on"}}),
        page("Please sign in to go on"),
        page([{"message": "Please sign in to go on"}]),
        page({"error": {"message": "Please sign in to go on", "code": 401}}),
        page({"error": {"message": "Please sign in to go on"}}, 401),
        Page([b"Please sign in to go on"], 404),
    ],
)
async def test_what_is_no_list_of_models_is_refused_in_its_own_words(listing: Page) -> None:
    error = await readiness(listing)
    assert type(error) is RequestRefusedError and "Please sign in to go on" in str(error)


@pytest.mark.parametrize(
    "listing",
    [
        page({"error": {"message": "Loading model", "code": 503}}, 503),
        page({"status": "loading model"}),
        Page([b"the model is still loading"]),
        page({"error": {"message": "the worker died"}}, 500),
        page({"error": "the worker died"}),
        page({"message": "come back"}, 429),
    ],
)
async def test_a_server_that_is_not_ready_is_waited_for(listing: Page) -> None:
    error = await readiness(listing)
    assert type(error) is EngineUnavailableError and error.answered


async def test_a_connection_that_drops_is_a_server_that_does_not_answer() -> None:
    error = await readiness(Page([RESET]))
    assert type(error) is EngineUnavailableError and not error.answered


async def test_a_server_without_a_list_is_taken_if_the_model_is_named() -> None:
    assert isinstance(await readiness(Page([b"Not Found"], 404), model="m"), HttpEngine)
    assert isinstance(await readiness(page({"data": []}), model="m"), HttpEngine)
    assert type(await readiness(page({"data": [{}, 5, {"id": 7}]}))) is RequestRefusedError


async def test_a_bare_list_of_models_is_one() -> None:
    for listed in ([{"id": "a"}], [{"id": "a", "max_model_len": 512}, {"id": "b"}], [5, {"x": 1}, {"id": "a"}]):
        engine = await readiness(page(listed))
        assert isinstance(engine, HttpEngine) and engine.model == "a"
    assert isinstance(await readiness(page([]), model="m"), HttpEngine)
    for empty in ([], [5], [{"name": "a"}], [["a"]]):
        assert type(await readiness(page(empty))) is RequestRefusedError


async def test_a_server_that_comes_back_with_another_model_is_asked_for_that() -> None:
    with serving_raw({MODELS: page({"data": [{"id": "a"}, {"id": "b"}]})}) as server:
        async with engine_of(server) as engine:
            for listed, asked in (("ab", "a"), ("ba", "a"), ("c", "c")):
                server.pages[MODELS] = page({"data": [{"id": name} for name in listed]})
                await engine.ready()
                with pytest.raises(EngineError):
                    await read(engine)
                assert json.loads(server.bodies[-1])["model"] == asked


async def read(engine: HttpEngine, prompt: str = "go on", max_tokens: int = 5) -> None:
    async with aclosing(engine.stream(prompt, SamplingParams(max_tokens))) as chunks:
        async for _ in chunks:
            pass


async def test_the_context_is_that_of_the_model_that_is_asked() -> None:
    both = [{"id": "a", "max_model_len": 100}, {"id": "b", "max_model_len": 200}]
    assert await context(*both) == 100
    assert await context(*both, model="b") == 200
    assert await context(*both, model="c") is None
    assert await context({"id": "a", "max_model_len": 100}, model="an alias") == 100
    assert await context({"id": "a", "context_length": 300}) == 300
    assert await context({"id": "a"}) is None


@pytest.mark.parametrize("value", [None, 0, -1, "100", True, 1.5, [100]])
async def test_a_context_that_cannot_be_is_unknown(value: object) -> None:
    assert await context({"id": "a", "max_model_len": value}) is None


async def test_the_context_of_llama_cpp_is_that_of_a_slot_and_not_of_its_training() -> None:
    meta = {"id": "a", "meta": {"n_ctx_train": 131_072, "n_ctx": 4_096}}
    assert await context(meta) == 4_096
    assert await context({"id": "a", "meta": {"n_ctx_train": 131_072}}) is None
    assert await context(meta, props={"default_generation_settings": {"n_ctx": 2_048}}) == 2_048
    assert await context(meta, props={"default_generation_settings": None}) == 4_096


async def test_a_refusal_that_names_a_shorter_context_is_learned_until_the_server_tells_another() -> None:
    server = ScriptedServer(lambda body: "yes", max_model_len=2_048)
    with serving(server):
        async with engine_of(server) as engine:
            await engine.ready()
            assert engine.context_tokens == 2_048
            server.max_model_len = 512
            with pytest.raises(ContextExceededError) as caught:
                await read(engine, "la " * 400, 400)
            assert caught.value.context_tokens == engine.context_tokens == 512
            await engine.ready()
            assert engine.context_tokens == 512
            server.max_model_len = 1_024
            await engine.ready()
            assert engine.context_tokens == 1_024


async def counted(*answers: Page | None, pages: dict[str, Page] | None = None) -> tuple[list[int | None], RawServer]:
    """What a server with these answers to /tokenize, in turn, counts; None for it to be asked without a new answer."""
    listing = {MODELS: page({"data": [{"id": "a"}]})} | (pages or {})
    counts = []
    with serving_raw(listing) as server:
        async with engine_of(server) as engine:
            await engine.ready()
            for answer in answers:
                server.pages["/tokenize"] = answer or server.pages["/tokenize"]
                counts.append(await engine.count_tokens("some text"))
    return counts, server


async def test_tokens_are_counted_in_the_ways_of_vllm_and_of_llama_cpp() -> None:
    counts, server = await counted(page({"count": 3, "tokens": [1, 2, 3]}), page({"count": None, "tokens": [1, 2]}))
    assert counts == [3, 2]
    assert json.loads(server.bodies[-1]) == {"model": "a", "prompt": "some text", "add_special_tokens": False}
    props = {"/props": page({"default_generation_settings": {"n_ctx": 64}})}
    counts, server = await counted(page({"tokens": [1, 2, 3, 4]}), pages=props)
    assert counts == [4]
    assert json.loads(server.bodies[-1]) == {"content": "some text", "add_special": False, "parse_special": True}


@pytest.mark.parametrize("answer", [Page([b"no"], 404), Page([b"<html>"]), page({"a": 1}), page([1]), page({}, 401)])
async def test_a_server_that_cannot_count_is_asked_once(answer: Page) -> None:
    counts, server = await counted(answer, page({"count": 3}), None)
    assert counts == [None] * 3
    assert server.asked.count("/tokenize") == 1


@pytest.mark.parametrize("answer", [page({}, 500), page({}, 503), Page([RESET]), page({}, 429)])
async def test_a_failure_to_count_that_may_pass_is_no_reason_never_to_ask_again(
    answer: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, server = await counted(answer, page({"count": 3}))
    assert counts == [None, None] and server.asked.count("/tokenize") == 1, "it is not asked at once"
    monkeypatch.setattr("agent.engine.completion.tokenizer._RETRY_SECONDS", 0.0)
    assert (await counted(answer, page({"count": 3})))[0] == [None, 3]


async def test_only_a_vllm_is_asked_for_what_only_vllm_knows() -> None:
    pages = {MODELS: page({"data": [{"id": "a"}]}), "/version": page({"version": "0.11.0"})}
    with serving_raw(pages) as server:
        async with engine_of(server) as engine:
            await engine.ready()
            for stop in ((), ("END",)):
                with pytest.raises(EngineError):
                    async for _ in engine.stream("go on", SamplingParams(5, stop=stop)):
                        pass
    sent = zip(server.asked, server.bodies, strict=True)
    plain, stopped = (json.loads(body) for path, body in sent if path == "/v1/completions")
    assert plain["return_token_ids"] and plain["skip_special_tokens"] is False
    assert plain["add_special_tokens"] is False
    assert "include_stop_str_in_output" not in plain and stopped["include_stop_str_in_output"] is True
    assert "repetition_detection" not in plain
