"""Control tokens on the real llama.cpp server: those of the prompt's start, and those of a reply."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from agent.chat.dialects import chat_format
from agent.engine.base import Chunk, SamplingParams
from agent.engine.llamacpp.embedded import EmbeddedEngine

START, END = "<|im_start|>", "<|im_end|>"
PROMPT = f"{START}user\nHi{END}\n{START}assistant\nYo{END}\n{START}user\nSay hi{END}\n{START}assistant\n"
ADDS_START = b"tokenizer.ggml.add_bos_token" + (7).to_bytes(4, "little")  # the key, and the type of its value


@asynccontextmanager
async def running(model: Path, folder: Path) -> AsyncIterator[EmbeddedEngine]:
    log = folder / "engine.log"
    engine = EmbeddedEngine(model, slots=2, context_tokens=256, start_seconds=120, stall_seconds=120, log_path=log)
    try:
        await engine.ready()
        yield engine
    finally:
        await engine.close()


def with_a_start_token(model: Path, folder: Path) -> Path:
    """The model, whose tokenizer now puts its start token, `<|im_start|>`, before every prompt."""
    written = model.read_bytes()
    place = written.index(ADDS_START) + len(ADDS_START)
    path = folder / "with-start.gguf"
    path.write_bytes(written[:place] + b"\1" + written[place + 1 :])
    return path


async def read(engine: EmbeddedEngine, prompt: str, **keys: object) -> list[Chunk]:
    params = SamplingParams(12, temperature=0.0, **keys)  # type: ignore[arg-type]
    async with aclosing(engine.stream(prompt, params)) as chunks:
        return [chunk async for chunk in chunks]


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


async def test_control_tokens_are_read_in_the_text_and_end_it_where_they_should(
    tiny_model: Path, tmp_path: Path
) -> None:
    """In harmony they are all that tells a call from an answer; this model has but two of them."""
    harmony = chat_format("gpt-oss", tools=True).control_tokens
    async with running(tiny_model, tmp_path) as engine:
        plain = text_of(await read(engine, PROMPT))
        assert plain and "<|" not in plain
        kept = await read(engine, PROMPT, control_tokens=(*harmony, END))
        assert text_of(kept) == plain + END and kept[-1].finish == "stop"
        stopped = await read(engine, PROMPT, control_tokens=(*harmony, END), stop=(END,))
        assert text_of(stopped) == plain and stopped[-1].finish == "stop"


async def test_a_start_token_that_the_prompt_has_is_not_put_before_it_again(tiny_model: Path, tmp_path: Path) -> None:
    async with running(tiny_model, tmp_path) as engine:
        expected = await read(engine, PROMPT)
        length = await engine.count_tokens(PROMPT)
        assert expected[-1].prompt_tokens == length
    async with running(with_a_start_token(tiny_model, tmp_path), tmp_path) as engine:
        await engine.warm(PROMPT[: len(PROMPT) // 2])
        found = await read(engine, PROMPT)
        assert (text_of(found), found[-1].prompt_tokens) == (text_of(expected), length)
        assert (await read(engine, "Hi"))[-1].prompt_tokens == 2, "a prompt without one gets it"
    assert "starts with 2 BOS tokens" not in (tmp_path / "engine.log").read_text()
