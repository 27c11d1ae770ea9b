"""One lane from its prompt to its answer, through its tool runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.errors import RequestRefusedError
from agent.lane.lane import Lane
from agent.lane.seed import sample_seed
from agent.types import SampleEnd, ToolStatus
from tests.support.doubles import BREAK, PROBLEM, Recorder, ScriptedEngine, ScriptedSandbox, runtime
from tests.support.lanes import CODE, always, forced_to, run_lane, with_code
from tests.support.virtual_time import run_virtual


def test_a_boxed_answer_ends_the_sample() -> None:
    sample = run_lane(always("It is \\boxed{42}."))
    assert (sample.answer, sample.end, sample.forced) == (42, SampleEnd.ANSWERED, False)


def test_a_closed_code_block_is_run_and_its_output_shown_in_the_models_format() -> None:
    sandbox = ScriptedSandbox()
    engine = ScriptedEngine(with_code)
    sample = run_lane(engine, sandbox=sandbox)
    assert sandbox.cells == ["print(6 * 7)\n"]
    assert engine.prompts[1] == f"PROMPT{CODE}\n```output\n42\n```\n"
    assert sample.answer == 42


def test_generation_stops_at_the_closing_fence_so_invented_output_is_never_read() -> None:
    sample = run_lane(ScriptedEngine(with_code))
    assert "made up" not in sample.text
    assert sample.turns[0].text == CODE


def test_a_tool_run_is_an_event_and_is_kept_in_the_turn() -> None:
    recorder = Recorder()
    sample = run_lane(ScriptedEngine(with_code), emit=recorder)
    assert [run.status for run in recorder.tool_runs] == [ToolStatus.OK]
    assert sample.turns[0].tool_run == recorder.tool_runs[0]
    assert recorder.tokens == sample.tokens > 0


@pytest.mark.parametrize(("rounds", "tokens"), [(4, 400), (0, 400), (4, 3)])
def test_the_text_of_the_events_is_that_of_the_sample(rounds: int, tokens: int) -> None:
    recorder = Recorder()
    limits = {"sample__max_rounds": rounds, "sample__max_tokens": tokens}
    sample = run_lane(ScriptedEngine(with_code), emit=recorder, sandbox=None, **limits)
    assert "".join(text for _, text, _ in recorder.texts) == sample.text
    inserted = "".join(text for _, text, inserted in recorder.texts if inserted)
    assert inserted == "".join(turn.inserted for turn in sample.turns)
    assert (inserted != "") is (rounds > 0)


def test_a_family_whose_turn_opens_with_code_closes_it_and_continues_in_prose() -> None:
    def reply(prompt: str, params: SamplingParams) -> str:
        return (
            "So \\boxed{42}." if prompt.endswith("```output\n42\n```\n") else "print(6 * 7)\n```\nmade up \\boxed{17}"
        )

    sandbox = ScriptedSandbox()
    sample = run_lane(ScriptedEngine(reply), sandbox=sandbox, sample__family="qwen-coder")
    assert sandbox.cells == ["print(6 * 7)\n"]
    assert (sample.answer, sample.turns[0].text) == (42, "print(6 * 7)\n```")


def test_the_prompts_can_be_rebuilt_from_the_turns() -> None:
    engine = ScriptedEngine(with_code)
    sample = run_lane(engine)
    rebuilt = "PROMPT"
    for turn, prompt in zip(sample.turns, engine.prompts, strict=True):
        assert prompt == rebuilt
        rebuilt += turn.text + turn.inserted


def test_the_session_is_closed_however_the_sample_ends() -> None:
    for reply in (CODE, f"{CODE} {BREAK}"):
        sandbox = ScriptedSandbox()
        run_lane(always(reply), sandbox=sandbox)
        assert sandbox.open_sessions == 0


def test_without_tools_code_is_only_text() -> None:
    sandbox = ScriptedSandbox()
    sample = run_lane(always(f"{CODE} so \\boxed{{42}}"), sandbox=sandbox, sample__tools=False)
    assert sandbox.cells == []
    assert sample.answer == 42


def test_the_token_limit_holds_over_all_turns() -> None:
    sample = run_lane(forced_to("7}", f"one two three {CODE}"), sample__max_tokens=30, sample__max_rounds=20)
    assert sample.tokens <= 30 + 24
    assert sample.end is SampleEnd.TOKEN_LIMIT


def test_the_context_limit_counts_what_was_inserted() -> None:
    sandbox = ScriptedSandbox(output="9" * 900)
    sample = run_lane(forced_to("7}", CODE), sandbox=sandbox, engine__context_tokens=1000, sample__max_rounds=20)
    assert (sample.end, sample.answer) == (SampleEnd.TOKEN_LIMIT, 7)
    assert all(run.output == "9" * 900 for run in sample.tool_runs)
    assert sample.tokens + sum(len(turn.inserted) for turn in sample.turns) < 1000


def test_a_broken_stream_is_resumed_from_the_text_that_had_arrived() -> None:
    def reply(prompt: str, params: SamplingParams) -> str:
        return " the end \\boxed{42}." if prompt.endswith("a start") else f"a start {BREAK}"

    engine = ScriptedEngine(reply)
    sample = run_lane(engine)
    assert sample.answer == 42
    assert engine.restarts == 1
    assert sample.turns[0].text == "a start the end \\boxed{42}."


def test_an_engine_that_keeps_failing_ends_the_sample_without_a_vote() -> None:
    sample = run_lane(always(f"a {BREAK}"))
    assert (sample.answer, sample.end) == (None, SampleEnd.ENGINE_ERROR)
    assert sample.text.startswith("a")


def test_cancelling_stops_the_engine() -> None:
    engine = always("on " * 100)

    async def main() -> None:
        task = asyncio.create_task(Lane(PROBLEM, "PROMPT", 0, runtime(engine)).run())
        await asyncio.sleep(2.5)
        assert engine.running == 1
        task.cancel()
        await asyncio.wait([task])
        assert engine.running == 0

    run_virtual(main())


def test_seeds_depend_on_run_problem_and_index_alone() -> None:
    seeds = {sample_seed(run, id_, index) for run in (0, 1) for id_ in ("a", "b") for index in range(50)}
    assert len(seeds) == 200
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert sample_seed(7, "x", 3) == sample_seed(7, "x", 3)


def test_a_stream_that_makes_progress_may_break_any_number_of_times() -> None:
    def reply(prompt: str, params: SamplingParams) -> str:
        return f"{'word ' * 20}{BREAK}" if prompt.count("word") < 200 else "\\boxed{42}"

    sample = run_lane(ScriptedEngine(reply), engine__retries=0)
    assert sample.end is SampleEnd.ENGINE_ERROR
    sample = run_lane(ScriptedEngine(reply), engine__retries=1)
    assert (sample.answer, len(sample.turns[0].resumed_at)) == (42, 10)


def test_a_request_that_the_server_refuses_is_not_sent_again() -> None:
    class Refusing(ScriptedEngine):
        async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
            self.prompts.append(str(prompt))
            raise RequestRefusedError("answered 400")
            yield Chunk("", 0)

    engine = Refusing(lambda prompt, params: "")
    assert run_lane(engine).end is SampleEnd.ENGINE_ERROR
    assert len(engine.prompts) == 1


def test_letters_of_other_scripts_are_counted() -> None:
    sample = run_lane(always("Let 我们 see: x ≤ π, so \\boxed{42}."))
    assert sample.language_mixing == 2


@pytest.mark.parametrize("seeded", [True, False])
def test_seeds_are_sent_unless_the_engine_is_better_off_without(seeded: bool) -> None:
    sent = []

    def reply(prompt: str, params: SamplingParams) -> str:
        sent.append(params.seed)
        return "\\boxed{42}"

    sample = run_lane(ScriptedEngine(reply), sampling__seeded=seeded)
    assert sent == [sample.seed if seeded else None]
