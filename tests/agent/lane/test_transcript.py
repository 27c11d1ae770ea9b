"""What a sample has written, what of it the sample itself has said, and whether that is its answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.chat.dialects import chat_format
from agent.chat.task import CompetitionTask, Task
from agent.editions import EDITIONS
from agent.engine.base import Chunk
from agent.engine.persistent import PersistentEngine
from agent.lane.answering import AnswerWatch
from agent.lane.probe import Prober
from agent.lane.transcript import Transcript
from agent.lane.turn import TurnWriter
from agent.types import Probe, SampleEnd
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


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(1, 900)), min_size=1, max_size=4), st.text(max_size=9))
def test_a_reported_prompt_ends_before_the_turn_that_it_was_sent_for(turns: list[tuple[int, int]], output: str) -> None:
    transcript = written()
    for prompt_tokens, tokens in turns:
        writer = transcript.writer = TurnWriter(None)
        writer.write(Chunk("so", tokens, prompt_tokens=prompt_tokens))
        transcript.end_turn(writer, 1.0)
        assert asyncio.run(transcript.length()) == prompt_tokens + tokens
        transcript.insert(output, tool_run(output))
        assert asyncio.run(transcript.length()) == prompt_tokens + tokens + len(output.encode("utf-8", "replace"))


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(0, 24))
def test_ids_that_are_too_many_keep_as_many_of_both_ends_as_there_is_room_for(ids: list[int], room: int) -> None:
    kept = asyncio.run(written().shorten(ids, room))
    half = len(kept) // 2
    assert kept == [*ids[:half], *ids[len(ids) - (len(kept) - half) :]] and len(kept) == min(room, len(ids))


@given(st.text(st.sampled_from("ab \u4e2d\n"), max_size=400), st.integers(0, 300))
@example("so it is", 8)
@example("so it is", 7)
def test_a_text_without_its_middle_fits_and_keeps_both_ends(text: str, room: int) -> None:
    kept = asyncio.run(written().cut_middle(text, room, "#"))
    before, mark, behind = kept.partition("#")
    assert len(kept.encode()) <= room or not kept
    assert text.startswith(before) and text.endswith(behind)
    assert (kept == text) if len(text.encode()) <= room else (mark or not kept)


def test_little_more_of_a_text_is_left_out_than_has_to_be() -> None:
    for room in (100, 1_000, 10_000):
        kept = asyncio.run(written().cut_middle("so it is " * 2_000, room, "#"))
        assert 0.9 * room < len(kept) <= room and abs(kept.index("#") - room / 2) < 0.05 * room


@given(st.lists(st.text(max_size=5), max_size=6), st.integers(1, 12))
def test_the_tail_of_a_turn_is_no_longer_than_the_pieces_that_it_needs(pieces: list[str], length: int) -> None:
    writer = TurnWriter(None)
    for piece in pieces:
        writer.write(Chunk(piece, 1))
    tail = writer.tail(length)
    assert writer.text == "".join(pieces) and writer.text.endswith(tail)
    assert min(length, len(writer.text)) <= len(tail) < length + max(map(len, pieces), default=1)


def test_a_turn_holds_what_was_counted_of_it() -> None:
    writer = TurnWriter(chat_format("qwen-coder", tools=True).call_scanner())
    assert (writer.tokens, writer.length) == (0, 0)
    writer.write(Chunk("So\n```python\nprint(1)", 3, prompt_tokens=70, cached_tokens=64))
    writer.write(Chunk("", 0))
    turn = writer.turn(2.0)
    assert (turn.tokens, turn.prompt_tokens, turn.cached_tokens, turn.unrun_blocks) == (3, 70, 64, 1)
    writer.truncate(2)
    assert (writer.text, writer.length) == ("So", 2)
    assert TurnWriter(None).turn(2.0).unrun_blocks == 0


@dataclass(frozen=True)
class Fractions:
    """A task whose answers are texts, on which nobody votes."""

    def instructions(self, usual: str) -> str:
        return usual

    def read(self, text: str) -> str | None:
        return text.rpartition("\\boxed{")[2].rstrip("}") if "boxed" in text else None


def watched(
    *pieces: str, family: str = "qwq", task: Task | None = None, forced: bool = False
) -> tuple[AnswerWatch, TurnWriter, list[SampleEnd | None]]:
    """The watch of a sample whose turn has come in these pieces, and what it said after each."""
    watch = AnswerWatch(task or CompetitionTask(EDITIONS["aimo3"]), chat_format(family, tools=True), at_close=True)
    watch.begin_turn()
    if forced:
        watch.force()
    writer, said = TurnWriter(None), []
    for piece in pieces:
        writer.write(Chunk(piece, 1))
        said.append(watch.grown(writer, len(piece)))
    return watch, writer, said


def test_nothing_that_is_forced_is_the_sample_s_own_answer() -> None:
    for text in ("\\boxed{7}", "\\boxed{7}\n</think>\n", "</think>\n\\boxed{7}"):
        watch, writer, said = watched(text, forced=True)
        assert said == [None]
        assert watch.ended(writer) is SampleEnd.NO_ANSWER
        assert not watch.is_settled(writer)
        assert watch.answer is None


def test_a_thinking_that_closes_on_a_box_has_answered_however_its_tag_is_cut() -> None:
    for pieces in (("So \\boxed{7}.</think>",), ("So \\boxed{7}.</thi", "nk>"), ("So \\boxed{7}.<", "/think", ">")):
        watch, _, said = watched(*pieces)
        assert (said[-1], watch.answer, watch.thinks) == (SampleEnd.ANSWERED, 7, False)
    watch, _, said = watched("So \\boxed{7}. `</think>`")  # in code it closes nothing
    assert (said, watch.answer, watch.thinks) == ([None], None, True)


@pytest.mark.parametrize(("family", "again"), [("qwq-calls", True), ("gpt-oss", False), ("qwq", False)])
def test_some_models_think_again_after_a_result_and_an_open_thinking_stays_open(family: str, again: bool) -> None:
    watch = AnswerWatch(CompetitionTask(EDITIONS["aimo3"]), chat_format(family, tools=True), at_close=True)
    watch.result_came()
    assert watch.thinks
    watch.thinks = False
    watch.result_came()
    assert watch.thinks is again


def test_what_follows_a_thinking_is_not_read_as_a_second_one() -> None:
    watch, writer, said = watched("Let us see.</think>", "It is \\boxed{7}.", "</think>")
    assert (said, watch.answer) == ([None] * 3, None)
    assert (watch.ended(writer), watch.answer) == (SampleEnd.ANSWERED, 7)


def test_a_turn_that_broke_off_at_its_box_has_answered_only_behind_a_thinking() -> None:
    for text, family, settled in (
        ("So.</think>It is \\boxed{7}", "qwq", True),
        ("So.</think>It is \\boxed{7}, I", "qwq", False),
        ("So it is \\boxed{7}", "qwq", False),
        ("So it is \\boxed{7}", "qwen-coder", False),  # it may still doubt
    ):
        watch, writer, _ = watched(text, family=family)
        assert watch.is_settled(writer) is settled
        assert watch.answer == (7 if settled else None)


def test_an_answer_that_is_no_integer_ends_the_sample_without_a_vote() -> None:
    watch, writer, _ = watched("So.</think>It is \\boxed{1/2}", task=Fractions())
    assert (watch.ended(writer), watch.answer) == (SampleEnd.ANSWERED, None)


@pytest.mark.parametrize("ticks", [0, 1])
async def test_a_probe_that_runs_when_the_sample_ends_has_been_cancelled_by_then(ticks: int) -> None:
    told: list[str] = []

    async def probe(tokens: int) -> Probe | None:
        try:
            await asyncio.Event().wait()
        finally:
            told.append("cancelled")
        return None

    prober = Prober(1)
    prober.tokens_came(1, probe)
    for _ in range(ticks):
        await asyncio.sleep(0)
    await prober.close()
    await prober.close()
    assert told == ["cancelled"] * ticks
    assert len(asyncio.all_tasks()) == 1, "the test itself"


async def test_a_probe_is_due_after_so_many_tokens_and_waits_for_the_one_before_it() -> None:
    started: list[int] = []
    gate = asyncio.Event()

    async def probe(tokens: int) -> Probe | None:
        started.append(tokens)
        await gate.wait()
        return Probe(tokens, None, 0.0) if tokens < 40 else None

    async def write(prober: Prober, first: int, last: int) -> None:
        for tokens in range(first, last + 1):
            prober.tokens_came(tokens, probe)
            await asyncio.sleep(0)

    prober = Prober(10)
    await write(prober, 1, 35)
    assert started == [10]
    gate.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await write(prober, 36, 60)
    assert started == [10, 36, 46, 56]
    assert [each.tokens for each in prober.probes] == [10, 36]
    await write(Prober(0), 1, 100)
    assert len(started) == 4, "none at all"
    await prober.close()
