"""What is counted of a lane: failures in a row, waits, and the tokens that its text can be at most."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from agent.engine.base import Chunk
from agent.engine.persistent import PersistentEngine
from agent.errors import EngineError, EngineUnavailableError, StreamBrokenError
from agent.lane.outages import OutageCounter
from agent.lane.transcript import Transcript
from agent.types import Turn
from tests.support.lanes import always


@dataclass
class Recoveries:
    """An engine that recovers at once, and how often each caller said that it had waited before."""

    waited: list[int] = field(default_factory=list)

    async def recover(self, error: EngineError, waited: int) -> None:
        self.waited.append(waited)


def counter(engine: Recoveries, retries: int = 0) -> OutageCounter:
    return OutageCounter(engine, retries)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("brought", "waited"),
    [
        ([0, 0, 0], [0, 1, 2]),
        ([1, 1, 1, 1], [0, 0, 1, 2]),
        ([1, 1, 511, 1], [0, 0, 1, 2]),
        ([1, 1, 512, 1], [0, 0, 0, 0]),
        ([0, 0, 1, 0], [0, 1, 1, 2]),
    ],
)
async def test_the_more_failures_in_a_row_bring_little_the_longer_is_the_wait(
    brought: list[int], waited: list[int]
) -> None:
    engine = Recoveries()
    outages = counter(engine)
    for tokens in brought:
        await outages.overcome(EngineUnavailableError("down"), tokens)
    assert engine.waited == waited


async def test_sixteen_tokens_are_progress_and_fifteen_are_none() -> None:
    lucky = counter(Recoveries(), retries=1)
    for _ in range(5):
        await lucky.overcome(StreamBrokenError("broken"), 16)
    unlucky = counter(Recoveries(), retries=1)
    await unlucky.overcome(StreamBrokenError("broken"), 15)
    with pytest.raises(StreamBrokenError):
        await unlucky.overcome(StreamBrokenError("broken"), 15)


class CountingEngine(PersistentEngine):
    """Says that any text is two tokens."""

    async def count_tokens(self, text: str) -> int | None:
        return 2


async def test_the_most_that_a_text_can_be_is_a_token_for_each_byte_that_the_model_did_not_write() -> None:
    transcript = Transcript("PROMPT", PersistentEngine(always("")))
    transcript.turns.append(Turn("whatever", 5, 1.0))
    transcript.insert("abc")
    assert transcript.most_length == len("PROMPT") + 5 + len("abc")


async def test_behind_ids_only_what_has_none_is_counted() -> None:
    transcript = Transcript("PROMPT", CountingEngine(always("")))
    transcript.buffer.add(Chunk("ab", 1, token_ids=(7,), aligned=True, prompt_ids=(1, 2)))
    transcript.buffer.end(0)
    transcript.insert("wxyz")
    assert transcript.most_length == 3 + len("wxyz")
    assert await transcript.length() == 3 + 2
