"""The ids that are sent back spell the text, however the stream was cut."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from agent.engine.base import Chunk
from agent.lane.token_buffer import TokenBuffer

PROMPT = "PROMPT "


def ids_of(text: str) -> list[int]:
    """A token a byte."""
    return list(text.encode())


async def tokenize(text: str) -> list[int] | None:
    return ids_of(text)


async def refuse(text: str) -> list[int] | None:
    return None


def spelled(prompt: object) -> str:
    return prompt if isinstance(prompt, str) else bytes(prompt).decode()  # type: ignore[call-overload]


def chunks_of(text: str, sizes: list[int], *, ends: bool = False) -> list[Chunk]:
    """The text in pieces of so many bytes, as servers send it: a character comes with its last byte."""
    data, chunks, pending, start = text.encode(), [], b"", 0
    for number in range(len(data)):
        size = sizes[number % len(sizes)]
        piece = data[start : start + size]
        if not piece:
            break
        start += size
        before, pending = pending, pending + piece
        cut = next(cut for cut in range(len(pending), -1, -1) if is_text(pending[:cut]))
        told, pending = pending[:cut].decode(), pending[cut:]
        chunks.append(Chunk(told, len(piece), token_ids=tuple(piece), aligned=not before and not pending))
    if ends:
        chunks.append(Chunk("", 1, "stop", token_ids=(999,)))  # the token that ends the turn spells nothing
    first = chunks[0] if chunks else Chunk("", 0)
    prompt = tuple(ids_of(PROMPT))
    opening = Chunk(first.text, first.tokens, None, first.token_ids, aligned=first.aligned, prompt_ids=prompt)
    return [opening, *chunks[1:]]


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


TEXTS = st.text(alphabet=st.sampled_from("ab `\nπ中é\U0001d465"), min_size=1, max_size=60)


@given(TEXTS, st.lists(st.integers(1, 7), min_size=1), st.data())
def test_the_prompt_is_the_text_however_the_stream_is_cut(text: str, sizes: list[int], data: st.DataObject) -> None:
    chunks = chunks_of(text, sizes, ends=data.draw(st.booleans()))
    told = chunks[: data.draw(st.integers(1, len(chunks)))]
    written = "".join(chunk.text for chunk in told)
    dropped = data.draw(st.integers(0, len(told[-1].text)))
    kept = written[: len(written) - dropped]
    more = data.draw(st.text(max_size=5))

    async def play() -> None:
        buffer = TokenBuffer()
        assert await buffer.prompt(PROMPT, tokenize) == PROMPT
        for chunk in told:
            buffer.add(chunk)
        assert spelled(await buffer.peek(PROMPT + written, "?", tokenize)) == PROMPT + written + "?"
        buffer.end(dropped)
        buffer.append(more)
        prompt = await buffer.prompt(PROMPT + kept + more, tokenize)
        assert not isinstance(prompt, str)
        assert spelled(prompt) == PROMPT + kept + more
        assert buffer.tokens == len(prompt)

    asyncio.run(play())


async def test_whole_tokens_are_kept_and_only_the_rest_is_tokenized() -> None:
    asked = []

    async def listen(text: str) -> list[int] | None:
        asked.append(text)
        return ids_of(text)

    buffer = TokenBuffer()
    for chunk in chunks_of("abc```\nx", [3, 5]):
        buffer.add(chunk)
    buffer.end(dropped=2)
    buffer.append("\n42")
    await buffer.prompt("", listen)
    assert asked == ["```\n42"]


async def test_without_ids_prompts_stay_text_and_come_back_to_ids_later() -> None:
    buffer = TokenBuffer()
    buffer.add(Chunk("abc", 1))
    buffer.end(0)
    assert await buffer.prompt("Pabc", tokenize) == "Pabc"
    for chunk in chunks_of("de", [1]):
        buffer.add(chunk)
    buffer.end(0)
    assert spelled(await buffer.prompt("", tokenize)) == PROMPT + "de"
    buffer.append("!")
    assert await buffer.prompt("whole text", refuse) == "whole text"
    # Once the server is back, nothing has been lost.
    assert spelled(await buffer.prompt("whole text", tokenize)) == PROMPT + "de!"


async def test_a_stream_that_brought_nothing_changes_nothing() -> None:
    buffer = TokenBuffer()
    for chunk in chunks_of("ab", [1]):
        buffer.add(chunk)
    buffer.end(0)
    buffer.end(0)
    assert spelled(await buffer.prompt("", tokenize)) == PROMPT + "ab"
