"""The ids that are sent back spell the text, however the stream was cut."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from agent.engine.base import Chunk
from agent.lane.token_buffer import TokenTrail

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
        trail = TokenTrail()
        assert await trail.prompt(PROMPT, tokenize) == PROMPT
        for chunk in told:
            trail.add(chunk)
        assert spelled(await trail.peek(PROMPT + written, "?", tokenize)) == PROMPT + written + "?"
        trail.end(dropped)
        trail.append(more)
        prompt = await trail.prompt(PROMPT + kept + more, tokenize)
        assert not isinstance(prompt, str)
        assert spelled(prompt) == PROMPT + kept + more
        assert trail.tokens == len(prompt)

    asyncio.run(play())


async def test_whole_tokens_are_kept_and_only_the_rest_is_tokenized() -> None:
    asked = []

    async def listen(text: str) -> list[int] | None:
        asked.append(text)
        return ids_of(text)

    trail = TokenTrail()
    for chunk in chunks_of("abc```\nx", [3, 5]):
        trail.add(chunk)
    trail.end(dropped=2)
    trail.append("\n42")
    await trail.prompt("", listen)
    assert asked == ["```\n42"]


async def test_without_ids_prompts_stay_text_and_come_back_to_ids_later() -> None:
    trail = TokenTrail()
    trail.add(Chunk("abc", 1))
    trail.end(0)
    assert await trail.prompt("Pabc", tokenize) == "Pabc"
    for chunk in chunks_of("de", [1]):
        trail.add(chunk)
    trail.end(0)
    assert spelled(await trail.prompt("", tokenize)) == PROMPT + "de"
    trail.append("!")
    assert await trail.prompt("whole text", refuse) == "whole text"
    # Once the server is back, nothing has been lost.
    assert spelled(await trail.prompt("whole text", tokenize)) == PROMPT + "de!"


async def test_a_stream_that_brought_nothing_changes_nothing() -> None:
    trail = TokenTrail()
    for chunk in chunks_of("ab", [1]):
        trail.add(chunk)
    trail.end(0)
    trail.end(0)
    assert spelled(await trail.prompt("", tokenize)) == PROMPT + "ab"
