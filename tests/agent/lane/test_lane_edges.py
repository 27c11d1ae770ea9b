"""When a lane gives up, thinking without a cap, and whose errors end the run."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.errors import JournalError, SandboxError
from agent.events import Event
from agent.lane.lane import Lane, sample_seed
from agent.sandbox.base import Session
from agent.types import Sample, SampleEnd, ToolRun
from tests.support.doubles import BREAK, PROBLEM, ScriptedEngine, ScriptedSandbox, config_with, runtime
from tests.support.lanes import always, run_lane, with_code
from tests.support.samples import tool_run
from tests.support.virtual_time import run_virtual


def test_what_came_before_a_break_is_no_progress_of_the_streams_that_follow() -> None:
    """One stream brings many words and breaks; those that continue it bring nothing, so the lane gives up."""
    engine = ScriptedEngine(lambda prompt, params: f"{'so ' * 100}{BREAK}" if prompt == "PROMPT" else BREAK)
    limited = ScriptedEngine(lambda prompt, params: engine.reply(prompt, params) if len(limited.prompts) < 20 else "no")
    sample = run_lane(limited, engine__retries=2)
    assert (sample.end, sample.tokens, len(limited.prompts)) == (SampleEnd.ENGINE_ERROR, 100, 3)


def test_without_a_cap_thinking_may_take_any_number_of_tokens() -> None:
    thoughts = " ".join(f"step{number}" for number in range(300))
    engine = always(f"{thoughts} </think> \\boxed{{42}}")
    sample = run_lane(engine, sample__family="qwq", sample__max_thinking_tokens=0, sample__max_tokens=2_000)
    assert (sample.answer, sample.end, sample.forced) == (42, SampleEnd.ANSWERED, False)


def test_thinking_is_cut_as_many_tokens_behind_its_cap_as_a_server_may_take_to_close_it() -> None:
    thoughts = " ".join(f"step{number}" for number in range(300))
    sample = run_lane(always(thoughts), sample__family="qwq", sample__max_thinking_tokens=50, sample__answer_tokens=0)
    assert (sample.end, sample.tokens) == (SampleEnd.TOKEN_LIMIT, 50 + 64)


def test_a_stream_that_just_stops_is_broken_and_says_so() -> None:
    class Silent(ScriptedEngine):
        async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
            yield Chunk("so", 1)

    sample = run_lane(Silent(lambda prompt, params: ""), engine__retries=0)
    assert (sample.end, sample.failure) == (SampleEnd.ENGINE_ERROR, "the stream ended with no reason")


def test_the_seed_of_a_sample_is_the_same_in_every_version() -> None:
    """Otherwise a recorded run could not be drawn again."""
    assert sample_seed(0, "p1", 0) == 1_450_753_167
    assert sample_seed(7, "p1", 0) != sample_seed(0, "p1", 0) < 2**31


def test_a_journal_that_cannot_be_written_ends_the_run_and_not_the_lane_alone() -> None:
    def refuse(event: Event) -> None:
        raise JournalError("the disk is full")

    async def main() -> Sample:
        return await Lane(PROBLEM, "PROMPT", 0, runtime(always("\\boxed{42}"), config_with(), emit=refuse)).run()

    with pytest.raises(JournalError, match="disk is full"):
        run_virtual(main())


def test_a_session_that_cannot_be_closed_costs_no_answer() -> None:
    class Stuck(ScriptedSandbox):
        async def session(self, seed: int | None = None) -> Session:
            return _StuckSession()

    assert run_lane(ScriptedEngine(with_code), sandbox=Stuck()).answer == 42


class _StuckSession:
    async def run(self, code: str, timeout: float | None = None) -> ToolRun:  # noqa: ASYNC109
        return tool_run("42", code=code)

    async def close(self) -> None:
        raise SandboxError("the process does not end")
