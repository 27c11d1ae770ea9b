"""What the embedded engine tells of its server, and how it tells that this is gone."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import pytest

from agent.engine.base import SamplingParams
from agent.engine.llamacpp.embedded import EmbeddedEngine
from agent.errors import ContextExceededError, EngineError, EngineUnavailableError

PROMPT = "<|im_start|>user\nWhat is 1, 2, 3 and π?<|im_end|>\n"


def engine_of(model: Path, folder: Path) -> EmbeddedEngine:
    return EmbeddedEngine(
        model, slots=2, context_tokens=256, start_seconds=120, stall_seconds=120, log_path=folder / "engine.log"
    )


async def test_texts_are_counted_as_prompts_are_and_the_context_is_that_of_a_lane(
    tiny_model: Path, tmp_path: Path
) -> None:
    engine = engine_of(tiny_model, tmp_path)
    assert (engine.context_tokens, await engine.count_tokens(PROMPT)) == (256, None)
    try:
        await engine.ready()
        assert engine.context_tokens == 256
        async with aclosing(engine.stream(PROMPT, SamplingParams(1))) as chunks:
            told = [chunk.prompt_tokens async for chunk in chunks][-1]
        assert await engine.count_tokens(PROMPT) == told
        assert await engine.count_tokens("") == 0
        with pytest.raises(ContextExceededError) as caught:
            async for _ in engine.stream("la " * 300, SamplingParams(1)):
                pass
        assert caught.value.context_tokens == 256
    finally:
        await engine.close()


async def test_a_server_that_does_not_come_back_is_waited_for_and_one_that_never_came_is_not(
    tiny_model: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model.gguf"
    engine = engine_of(model, tmp_path)
    with pytest.raises(EngineUnavailableError, match=r"await ready\(\) first"):
        async for _ in engine.stream(PROMPT, SamplingParams(1)):
            pass
    try:
        with pytest.raises(EngineError, match="ended with status 1") as caught:
            await engine.ready()
        assert type(caught.value) is EngineError
        model.symlink_to(tiny_model)
        await engine.ready()
        model.unlink()
        assert engine._server is not None
        await engine._server.process.end()
        with pytest.raises(EngineUnavailableError, match="ended with status 1"):
            await engine.ready()
        model.symlink_to(tiny_model)
        await engine.ready()
    finally:
        await engine.close()
