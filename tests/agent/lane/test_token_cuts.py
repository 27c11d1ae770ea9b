"""Which ids a cut keeps, and when the server is asked for new ones."""

from __future__ import annotations

import pytest

from agent.engine.base import Chunk
from agent.lane.token_buffer import TokenBuffer

PROMPT_IDS = (1, 2)


class Server:
    """Makes an id of each character, and remembers what it was asked."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.asked: list[str] = []

    async def tokenize(self, text: str) -> list[int] | None:
        self.asked.append(text)
        return None if self.refuses else [100 + ord(letter) for letter in text]


def started(*tokens: str) -> TokenBuffer:
    """The buffer of a stream that has brought these tokens, with the ids 10, 11, 12..."""
    buffer = TokenBuffer()
    for number, token in enumerate(tokens):
        prompt = PROMPT_IDS if number == 0 else ()
        buffer.add(Chunk(token, 1, token_ids=(10 + number,), aligned=True, prompt_ids=prompt))
    return buffer


@pytest.mark.parametrize(
    ("dropped", "kept", "anew"),
    [(0, [10, 11, 12], ""), (1, [10, 11], "e"), (2, [10, 11], ""), (3, [10], "c"), (4, [10], ""), (6, [], "")],
)
async def test_a_token_that_ends_at_the_cut_is_kept_and_one_that_lies_across_it_is_not(
    dropped: int, kept: list[int], anew: str
) -> None:
    buffer, server = started("ab", "cd", "ef"), Server()
    buffer.end(dropped)
    assert await buffer.prompt("", server.tokenize) == [*PROMPT_IDS, *kept, *(100 + ord(letter) for letter in anew)]
    assert server.asked == ([anew] if anew else [])


async def test_ids_without_those_of_the_prompt_are_of_no_use() -> None:
    buffer, server = TokenBuffer(), Server()
    buffer.add(Chunk("So", 1, token_ids=(10,), aligned=True))
    buffer.end(dropped=0)
    assert (buffer.tokens, await buffer.prompt("PROMPT So", server.tokenize)) == (None, "PROMPT So")


async def test_the_last_token_of_a_turn_is_not_tokenized_again_with_what_the_agent_writes_after_it() -> None:
    buffer, server = started("So", " 42."), Server()
    buffer.end(dropped=0)
    buffer.append("!")
    assert await buffer.prompt("", server.tokenize) == [*PROMPT_IDS, 10, 11, 100 + ord("!")]
    assert server.asked == ["!"]


async def test_behind_a_token_that_is_cut_no_later_one_is_kept() -> None:
    buffer, server = started("ab", "cd", ""), Server()
    buffer.end(dropped=1)
    assert await buffer.prompt("", server.tokenize) == [*PROMPT_IDS, 10, 100 + ord("c")]


async def test_a_parallel_question_is_sent_as_ids_of_which_only_its_own_are_new() -> None:
    buffer, server = started("ab", "cd"), Server()
    assert await buffer.peek("whole", "?", server.tokenize) == [*PROMPT_IDS, 10, 11, 100 + ord("?")]
    assert server.asked == ["?"]


async def test_a_parallel_question_to_a_stream_without_ids_is_the_whole_text() -> None:
    buffer, server = TokenBuffer(), Server()
    buffer.add(Chunk("ab", 1))
    assert await buffer.peek("whole", "?", server.tokenize) == "whole?"
    assert server.asked == []


async def test_a_question_that_the_server_cannot_tokenize_now_is_the_whole_text() -> None:
    assert await started("ab").peek("whole", "?", Server(refuses=True).tokenize) == "whole?"
