"""Lanes that are given hints, run in virtual time."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncGenerator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chat.dialects import chat_format
from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.events import Listener, SampleEnded, fan_out
from agent.journal.journal import Journal, RunRecord, create_run, read_run
from agent.lane.lane import Lane
from agent.policy.budget import TimeBank
from agent.run import run_problems
from agent.types import Sample, SampleEnd
from tests.support.doubles import BREAK, PROBLEM, Recorder, ScriptedEngine, ScriptedSandbox, config_with, runtime
from tests.support.lanes import OWN_TOKENS, EngineWithIds, always, run_lane
from tests.support.runs.recordings import setting
from tests.support.tiers.cases import examples
from tests.support.virtual_time import run_virtual
from tools.demo.state import LaneState, Phase
from tools.demo.transcript import transcript_html
from tools.replay.recordings import load_recordings
from tools.replay.run import play_run, replay_config
from tools.report.transcript import transcript

FAMILY: dict[str, Any] = {
    "sample__family": "qwq-hint",
    "sample__answer_at_think_close": True,
    "sample__max_tokens": 5_000,
    "engine__context_tokens": 16_000,
}
CHAT = chat_format("qwq-hint", tools=True)
assert CHAT.hint is not None
HINT = f"{CHAT.hint.text}\n```python\n"
WORDS = ["some", "of", "these", "numbers", "cannot", "be", "prime", "and", "each", "sum", "must", "divide", "one"]
LONG = f"{' '.join(random.Random(0).choices(WORDS, k=450))}. "  # behind which a word gets a hint


def then(first: str, code: str = "print(6 * 7)\n```", last: str = "So \\boxed{42}.\n</think>\n42") -> ScriptedEngine:
    def reply(prompt: str, params: SamplingParams) -> str:
        if prompt.endswith(CHAT.tool_result("42")):
            return last
        return code if prompt.endswith("```python\n") else first

    return ScriptedEngine(reply)


def unclosed(code: str) -> ScriptedEngine:
    """Does not close the code that the hint opened."""

    def reply(prompt: str, params: SamplingParams) -> str:
        if prompt.endswith("\\boxed{"):
            return "7}"
        return code if "```" in prompt else f"{LONG}Wait, no"

    return ScriptedEngine(reply)


@pytest.mark.parametrize("word", ["Wait,", "Alternatively, I", "**Wait**,"])
def test_a_doubt_is_replaced_by_the_hint_and_its_code_is_run(word: str) -> None:
    engine, sandbox, recorder = then(f"{LONG}{word} no"), ScriptedSandbox(), Recorder()
    sample = run_lane(engine, sandbox=sandbox, emit=recorder, **FAMILY)
    assert sandbox.cells == ["print(6 * 7)\n"]
    assert (sample.answer, sample.end, sample.hints, sample.unrun_blocks) == (42, SampleEnd.ANSWERED, 1, 0)
    first, second, _ = sample.turns
    assert (first.text, first.inserted, first.hint_at) == (LONG, HINT, re.split(r"\b(?=\W+)", word)[0])
    assert engine.prompts[1] == f"PROMPT{LONG}{HINT}"
    assert second.text == "print(6 * 7)\n```" and second.hint_at == ""
    assert "".join(text for _, text, _ in recorder.texts) == sample.text
    assert next(text for _, text, inserted in recorder.texts if inserted) == HINT


def test_the_first_end_of_the_thinking_is_not_accepted_and_the_second_one_is() -> None:
    engine = then("It is \\boxed{17}.\n</think>\n\n17")
    sample = run_lane(engine, **FAMILY)
    assert (sample.answer, sample.turns[0].text, sample.turns[0].hint_at) == (42, "It is \\boxed{17}.\n", "</think>")
    declined = run_lane(then("It is \\boxed{17}.\n</think>", code="```\nNo need: \\boxed{17}.\n</think>"), **FAMILY)
    assert (declined.answer, declined.hints, len(declined.tool_runs)) == (17, 1, 0)


def test_a_hint_is_none_of_the_models_words() -> None:
    sample = run_lane(then(f"{LONG}Wait, no"), **FAMILY)
    words = sum(len(text.split(" ")) for text in (f"{LONG}Wait,", "print(6 * 7)\n```", "So \\boxed{42}.\n</think>"))
    assert sample.tokens == words
    assert HINT not in "".join(turn.text for turn in sample.turns)


@pytest.mark.parametrize(
    "keys", [{"sample__tools": False}, {"sample__max_rounds": 0}, {"sample__family": "qwq"}], ids=str
)
def test_without_tools_or_without_a_hint_the_thinking_is_left_alone(keys: dict[str, Any]) -> None:
    sample = run_lane(always(f"{LONG}Wait, so \\boxed{{42}}.\n</think>"), **{**FAMILY, **keys})
    assert (sample.answer, sample.hints, len(sample.turns)) == (42, 0, 1)


def test_a_sample_that_has_run_code_is_given_no_hint() -> None:
    code = "```python\nprint(6 * 7)\n```"
    sample = run_lane(then(code, last=f"{LONG}Wait, no. So \\boxed{{42}}.\n</think>"), **FAMILY)
    assert (sample.answer, sample.hints, len(sample.tool_runs)) == (42, 0, 1)


def test_hints_are_given_at_most_as_often_as_the_family_says() -> None:
    doubts = f"{LONG}Wait, no.\n{LONG[::-1]} Alternatively, x."
    sample = run_lane(then(doubts, code=f"```\n{doubts}"), **FAMILY)
    assert sample.hints == 2 and not sample.tool_runs
    assert sample.turns[2].text.startswith("```\n") and sample.turns[2].text.endswith("Alternatively, x.")


def test_a_forced_answer_closes_the_code_that_the_hint_has_opened() -> None:
    sample = run_lane(unclosed("x ="), **FAMILY)
    assert (sample.answer, sample.forced, sample.hints, sample.unrun_blocks) == (7, True, 1, 1)
    assert sample.turns[-2].inserted == "\n```\n</think>\n\n**Final Answer**\n\n\\boxed{"


def test_the_cap_on_thinking_holds_over_a_hint() -> None:
    sample = run_lane(unclosed("x " * 999), sample__max_thinking_tokens=1_000, **FAMILY)
    assert (sample.answer, sample.forced, sample.hints) == (7, True, 1)
    assert 1_000 <= sample.tokens < 1_200


@pytest.mark.parametrize("cut", [f"{LONG}{BREAK}", f"{LONG}Wait {BREAK}"], ids=["before", "within"])
def test_a_stream_that_breaks_at_the_place_of_a_hint_is_resumed(cut: str) -> None:
    def reply(prompt: str, params: SamplingParams) -> str:
        if prompt == "PROMPT":
            return cut
        if prompt.endswith(CHAT.tool_result("42")):
            return "So \\boxed{42}.\n</think>"
        return "print(6 * 7)\n```" if prompt.endswith("python\n") else f"{'' if 'Wait' in prompt else ' Wait'}, no"

    sample = run_lane(ScriptedEngine(reply), **FAMILY)
    assert (sample.answer, sample.hints, sample.turns[0].text.rstrip()) == (42, 1, LONG.rstrip())
    assert sample.turns[0].hint_at == "Wait" and sample.turns[0].resumed_at


def test_a_stream_that_breaks_behind_a_hint_is_resumed_with_the_hint_in_its_prompt() -> None:
    def reply(prompt: str, params: SamplingParams) -> str:
        if prompt.endswith(CHAT.tool_result("42")):
            return "So \\boxed{42}.\n</think>"
        if prompt.endswith("print(6"):
            return " * 7)\n```"
        return f"print(6 {BREAK}" if prompt.endswith("python\n") else f"{LONG}Wait, no"

    engine = ScriptedEngine(reply)
    sample = run_lane(engine, **FAMILY)
    assert (sample.answer, sample.hints, sample.turns[1].text) == (42, 1, "print(6 * 7)\n```")
    assert engine.prompts[2] == f"PROMPT{LONG}{HINT}print(6"


def test_a_lane_that_is_cancelled_within_the_code_of_a_hint_can_be_made_to_answer() -> None:
    async def main() -> None:
        config = config_with(**FAMILY)
        lane = Lane(PROBLEM, "PROMPT", 0, runtime(unclosed("x " * 999), config))
        task = asyncio.create_task(lane.run())
        await asyncio.sleep(800)
        task.cancel()
        await asyncio.wait([task])
        sample = await lane.force_answer(SampleEnd.DEADLINE)
        assert (sample.answer, sample.forced, sample.hints) == (7, True, 1)
        assert sample.turns[1].inserted == "\n```\n</think>\n\n**Final Answer**\n\n\\boxed{"

    run_virtual(main())


class CutEngine(ScriptedEngine):
    """Streams each reply in pieces of so many characters."""

    size: int = 1

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        text = self.reply(str(prompt), params)
        for start in range(0, len(text), self.size):
            yield Chunk(text[start : start + self.size], 1)
        yield Chunk("", 0, "stop")


ENDS = ["Wait, no", "x</think>", ".\nAlternatively, y\n", "Waiting. Wait\nno </think>", "Well, so it is."]


@examples(25)
@given(st.integers(1, 3_000), st.sampled_from(ENDS))
def test_the_sample_does_not_depend_on_how_the_stream_is_cut(size: int, end: str) -> None:
    def turns(size: int) -> list[tuple[str, str, str]]:
        engine = CutEngine(then(f"{LONG}{end}").reply)
        engine.size = size
        return [(turn.text, turn.inserted, turn.hint_at) for turn in run_lane(engine, **FAMILY).turns[:2]]

    assert turns(size) == turns(10_000)
    assert any(at for _, _, at in turns(size)) is (end != ENDS[-1])


def test_the_prompt_behind_a_hint_begins_with_the_tokens_that_the_server_reported() -> None:
    engine = EngineWithIds(then(f"{LONG}Wait, no").reply)
    sample = run_lane(engine, **FAMILY)
    first, second, _ = engine.sent
    assert first == "PROMPT" and not isinstance(second, str)
    words = LONG.count(" ")
    assert list(second)[: 6 + words] == [*map(ord, "PROMPT"), *range(OWN_TOKENS, OWN_TOKENS + words)]
    assert engine.text_of(tuple(second)) == f"PROMPT{LONG}{HINT}"
    assert engine.tokenized[0] == f" {HINT}" and sample.answer == 42


def test_a_journal_keeps_hints_and_one_of_an_earlier_version_has_none(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    create_run(directory, config_with(**FAMILY), [PROBLEM])
    with closing(Journal(directory)) as journal:
        sample = run_lane(then(f"{LONG}Wait, no"), **FAMILY)
        journal(SampleEnded(sample))
    assert read_run(directory).samples == (sample,)
    lines = (directory / "journal.jsonl").read_text(encoding="utf-8")
    (directory / "journal.jsonl").write_text(re.sub(r', "hint_at": "[^"]*"', "", lines), encoding="utf-8")
    (earlier,) = read_run(directory).samples
    assert (earlier.hints, earlier.text, sample.hints) == (0, sample.text, 1)


def test_a_run_that_is_resumed_keeps_the_samples_that_were_given_hints_and_draws_the_others_the_same(
    tmp_path: Path,
) -> None:
    def drawn(before: RunRecord | None, *listeners: Listener) -> list[Sample]:
        config = config_with(sample__count=2, stopping__rule="wait-for-all", **FAMILY)
        recorder = Recorder()

        async def main() -> None:
            parts = runtime(then(f"{LONG}Wait, no"), config, emit=fan_out([recorder, *listeners]))
            await run_problems([PROBLEM], parts, TimeBank(9_000, asyncio.get_running_loop().time), before=before)

        run_virtual(main())
        return recorder.samples

    directory = tmp_path / "run"
    create_run(directory, config_with(sample__count=2, **FAMILY), [PROBLEM])
    with closing(Journal(directory)) as journal:
        whole = drawn(None, lambda event: journal(event) if isinstance(event, SampleEnded) else None)
    lines = (directory / "journal.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (directory / "journal.jsonl").write_text("".join(lines[:1]), encoding="utf-8")  # killed within the other sample
    (redrawn,) = drawn(read_run(directory))
    other = next(sample for sample in whole if sample.index == redrawn.index)
    assert redrawn.turns == other.turns and redrawn.hints == 1


def test_a_replay_gives_the_hints_that_were_recorded(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    create_run(directory, config_with(sample__count=2, **FAMILY), [PROBLEM])
    samples = [replace(run_lane(then(f"{LONG}{end}"), **FAMILY), index=index) for index, end in enumerate(ENDS[:2])]
    with closing(Journal(directory)) as journal:
        for sample in samples:
            journal(SampleEnded(sample))
    recording = load_recordings([directory])[0]
    full = setting(samples=2, problems=1)
    _, (replayed,) = play_run(replay_config("wait-for-all", recording, full), recording, full, 0)
    recorded = [(turn.text, turn.inserted, turn.hint_at, turn.tool_run) for turn in samples[0].turns]
    found = [[(turn.text, turn.inserted, turn.hint_at, turn.tool_run) for turn in sample.turns] for sample in replayed]
    assert recorded in found and all(sample.answer == 42 and sample.hints == 1 for sample in replayed)


def test_people_see_a_hint_as_what_the_agent_wrote() -> None:
    recorder = Recorder()
    sample = run_lane(then(f"{LONG}Wait, no"), emit=recorder, **FAMILY)
    hint = HINT.partition("\n")[0]
    report = str(transcript(sample, config_with(**FAMILY)))
    assert report.count(hint) == 1 and f"the agent wrote</span> {hint}</div>" in report
    assert "print(6 * 7)" in re.sub(r"<[^>]*>", "", report) and "```" not in report
    page = str(transcript_html(CHAT.opening + sample.text, CHAT))
    assert page.count(hint) == 1 and f'<span class="agent" title="the agent wrote this">{hint}</span>' in page


def test_the_demo_knows_that_a_lane_with_a_hint_runs_its_code() -> None:
    lane, phases = LaneState(CHAT, tools=True), []
    for text, inserted in ((LONG, None), (HINT, "hint"), ("print(6 * 7)\n```", None)):
        lane.write(text, inserted)  # type: ignore[arg-type]
        phases.append(lane.phase)
    assert phases == [Phase.THINKING, Phase.WAITING, Phase.RUNNING_CODE]
