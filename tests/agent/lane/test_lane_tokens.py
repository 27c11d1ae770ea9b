"""A lane on a server that reports token ids, and the seconds that its turns and probes took."""

from __future__ import annotations

import asyncio

import pytest

from agent.lane.lane import Lane
from agent.types import Sample
from tests.support.doubles import BREAK, PROBLEM, ScriptedEngine, ScriptedSandbox, runtime
from tests.support.lanes import CODE, OWN_TOKENS, EngineWithIds, always, run_lane, with_code
from tests.support.virtual_time import run_virtual


def test_a_lane_goes_back_as_the_ids_that_the_server_reported() -> None:
    engine = EngineWithIds(with_code)
    sample = run_lane(engine)
    assert sample.answer == 42
    first, second = engine.sent
    assert first == "PROMPT"
    assert not isinstance(second, str)
    # All words but the last are the server's own tokens; the last, which the fence ends within, and the output are new.
    assert [token for token in second if token >= OWN_TOKENS] == list(
        range(OWN_TOKENS, OWN_TOKENS + len(CODE.split(" ")) - 1)
    )
    assert engine.text_of(tuple(second)) == "PROMPT" + sample.turns[0].text + sample.turns[0].inserted


def test_no_more_is_tokenized_than_the_words_that_were_cut_and_what_was_inserted() -> None:
    engine = EngineWithIds(with_code)
    turn = run_lane(engine).turns[0]
    last_word = turn.text.rpartition(" ")[2]
    assert engine.tokenized == [" " + last_word + turn.inserted]


def test_nothing_is_tokenized_again_where_a_stream_broke() -> None:
    engine = EngineWithIds(lambda prompt, params: " \\boxed{42}" if prompt != "PROMPT" else f"one two three {BREAK}")
    sample = run_lane(engine)
    assert (sample.answer, sample.turns[0].text) == (42, "one two three \\boxed{42}")
    assert engine.sent[1] == [*map(ord, "PROMPT"), OWN_TOKENS, OWN_TOKENS + 1, OWN_TOKENS + 2]
    assert engine.tokenized == []


def test_behind_a_whole_turn_only_what_forces_the_answer_is_tokenized() -> None:
    engine = EngineWithIds(lambda prompt, params: "7}" if prompt.endswith("\\boxed{") else "I do not know.")
    sample = run_lane(engine)
    assert (sample.answer, sample.forced) == (7, True)
    assert engine.tokenized == [sample.turns[0].inserted]


def test_a_probe_is_sent_as_the_ids_so_far_and_its_own() -> None:
    engine = EngineWithIds(lambda prompt, params: "7}" if prompt.endswith("\\boxed{") else "so " * 40 + "\\boxed{42}")
    sample = run_lane(engine, sample__probe_tokens=30)
    assert [probe.answer for probe in sample.probes] == [7]
    probe = engine.sent[1]
    assert not isinstance(probe, str)
    assert [token for token in probe if token >= OWN_TOKENS] == list(range(OWN_TOKENS, OWN_TOKENS + 30))


def test_each_turn_counts_its_own_seconds_only() -> None:
    sample = run_lane(ScriptedEngine(with_code, seconds=2.0), sandbox=ScriptedSandbox(seconds=100.0))
    words = [len(CODE.split(" ")), len(["So", "it", "is", "\\boxed{42}."])]
    assert [turn.seconds for turn in sample.turns] == [2.0 * count for count in words]
    assert sample.seconds == pytest.approx(2.0 * sum(words) + 100.0)


def test_a_probe_counts_its_own_seconds_only() -> None:
    engine = ScriptedEngine(lambda prompt, params: "7 }" if prompt.endswith("\\boxed{") else "so " * 70)
    sample = run_lane(engine, sample__probe_tokens=30)
    assert [probe.seconds for probe in sample.probes][:2] == [2.0, 2.0]


def test_a_sample_that_starts_late_counts_its_seconds_from_its_start() -> None:
    async def late() -> Sample:
        await asyncio.sleep(50.0)
        return await Lane(PROBLEM, "PROMPT", 0, runtime(always("a b \\boxed{42}"))).run()

    sample = run_virtual(late())
    assert (sample.started, sample.seconds) == (50.0, 3.0)
