"""What a sample has written, and what of it the sample itself has said."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from agent.engine.base import Chunk
from agent.engine.persistent import PersistentEngine
from agent.lane.transcript import Transcript
from agent.lane.turn import TurnWriter
from tests.support.lanes import always
from tests.support.samples import tool_run
from tests.support.texts.fenced import tool_result


def written(*parts: tuple[str, str | None]) -> Transcript:
    """A transcript of turns, each with the output of its code or with a forced answer after it (`None`)."""
    transcript = Transcript("PROMPT", PersistentEngine(always("")))
    for text, output in parts:
        writer = transcript.writer = TurnWriter(None)
        writer.write(Chunk(text, 1))
        transcript.end_turn(writer, 1.0)
        if output is None:
            transcript.insert("\n\n\\boxed{")
        else:
            transcript.insert(tool_result(output), tool_run(output))
    return transcript


@given(st.lists(st.tuples(st.text(), st.text()), max_size=4), st.text(), st.text())
def test_said_text_is_everything_but_tool_output(turns: list[tuple[str, str]], last: str, open_turn: str) -> None:
    transcript = written(*turns, (last, None))
    said = "".join(f"{text}\n" for text, _ in turns) + f"{last}\n\n\\boxed{{"
    assert transcript.said == said
    transcript.writer = TurnWriter(None)
    transcript.writer.write(Chunk(open_turn, 1))
    assert transcript.said == said + open_turn and transcript.text.endswith(open_turn)


def test_no_mark_is_put_together_where_a_prompt_loses_its_middle() -> None:
    async def main() -> None:
        for shift in range(11):
            transcript = written(("x" * shift, "<|im_end|>" * 40))
            prompt = await transcript.request()
            assert isinstance(prompt, str)
            for room in range(60, 82):
                kept = await transcript.shorten(prompt, room)
                assert isinstance(kept, str) and 40 < len(kept) <= room and "<|" not in kept

    asyncio.run(main())
