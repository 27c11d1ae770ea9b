"""What counts as a sample's answer: boxed, asked for or printed."""

from __future__ import annotations

import asyncio

import pytest

from agent.engine.base import SamplingParams
from agent.errors import SandboxError
from agent.lane.lane import Lane
from agent.sandbox.base import Session
from agent.types import Sample, SampleEnd, ToolStatus
from tests.support.doubles import BREAK, PROBLEM, Recorder, ScriptedEngine, ScriptedSandbox, runtime
from tests.support.lanes import CODE, always, forced_to, run_lane, with_code
from tests.support.virtual_time import run_virtual


def test_an_unfinished_opening_block_is_closed_before_the_sample_is_asked() -> None:
    engine = forced_to("7}", "x = 1\n" * 90)
    run_lane(engine, sample__family="qwen-coder", sample__max_tokens=20)
    assert engine.prompts[-1].endswith("x =\n```\n\n**Final Answer**\n\n\\boxed{")


@pytest.mark.parametrize(
    ("before", "keys", "end"),
    [
        ("I do not know.", {}, SampleEnd.NO_ANSWER),
        ("word " * 700, {"sample__max_tokens": 50}, SampleEnd.TOKEN_LIMIT),
        (CODE, {"sample__max_rounds": 2}, SampleEnd.INCOMPLETE),
        (f"{CODE} That is it.", {"sample__max_rounds": 0}, SampleEnd.NO_ANSWER),
        ("again and again " * 600, {}, SampleEnd.REPEATING),
        ("word " * 100, {"sample__max_seconds": 30}, SampleEnd.DEADLINE),
    ],
)
def test_a_sample_that_ends_without_an_answer_is_asked_for_it(
    before: str, keys: dict[str, object], end: SampleEnd
) -> None:
    sample = run_lane(forced_to("7}", before), **keys)  # type: ignore[arg-type]
    assert (sample.answer, sample.end, sample.forced) == (7, end, True)


def test_a_forced_answer_that_holds_no_integer_is_no_answer() -> None:
    sample = run_lane(forced_to("unclear}", "I do not know."))
    assert (sample.answer, sample.end) == (None, SampleEnd.NO_ANSWER)


def test_a_cancelled_lane_can_still_be_asked() -> None:
    async def main() -> Sample:
        lane = Lane(PROBLEM, "PROMPT", 0, runtime(forced_to("42}", "thinking on " * 100)))
        task = asyncio.create_task(lane.run())
        await asyncio.sleep(5.5)
        task.cancel()
        await asyncio.wait([task])
        return await lane.force_answer(SampleEnd.DEADLINE)

    sample = run_virtual(main())
    assert (sample.answer, sample.end, sample.forced) == (42, SampleEnd.DEADLINE, True)
    assert sample.turns[0].text == "thinking on thinking on thinking"


def test_a_box_that_is_open_already_is_filled_and_no_second_one_opened() -> None:
    engine = ScriptedEngine(lambda prompt, params: "2} ok" if prompt.endswith("\\boxed{4") else "It is \\boxed{4 and")
    sample = run_lane(engine, sample__max_tokens=3)
    assert (sample.answer, sample.forced, sample.text.count("boxed")) == (42, True, 1)


def test_thinking_beyond_its_cap_is_closed_and_the_answer_asked_for() -> None:
    engine = forced_to("7}", "hmm and so on " * 200)
    keys: dict[str, object] = {"sample__family": "qwq", "sample__max_thinking_tokens": 50}
    sample = run_lane(engine, **keys)  # type: ignore[arg-type]
    assert (sample.answer, sample.end, sample.forced) == (7, SampleEnd.TOKEN_LIMIT, True)
    assert 50 <= sample.turns[0].tokens <= 50 + 64 and "</think>" in engine.prompts[-1]


def test_the_cap_on_thinking_does_not_bind_what_follows_it() -> None:
    engine = always(f"hmm </think> {'word ' * 150}\\boxed{{42}}")
    sample = run_lane(engine, sample__family="qwq", sample__max_thinking_tokens=50)
    assert (sample.answer, sample.end, sample.forced) == (42, SampleEnd.ANSWERED, False)


def test_probes_run_in_parallel_to_the_stream_and_leave_no_trace_in_it() -> None:
    engine = forced_to("7}", f"{'word ' * 99}so \\boxed{{42}}")
    sample = run_lane(engine, sample__probe_tokens=30)
    assert [(probe.tokens, probe.answer) for probe in sample.probes] == [(30, 7), (60, 7), (90, 7)]
    assert (sample.answer, sample.text.count("boxed"), engine.running) == (42, 1, 0)


def test_a_probe_of_a_dead_engine_is_no_probe() -> None:
    engine = forced_to(f"7 {BREAK}", f"{'word ' * 60}so \\boxed{{42}}")
    sample = run_lane(engine, sample__probe_tokens=30)
    assert (sample.probes, sample.answer) == ((), 42)


def test_a_printed_integer_is_a_vote_where_that_is_configured() -> None:
    engine, recorder, sandbox = ScriptedEngine(with_code), Recorder(), ScriptedSandbox("42\n")
    sample = run_lane(engine, sample__accept_printed_answer=True, emit=recorder, sandbox=sandbox)
    assert (sample.answer, sample.end, sample.forced) == (42, SampleEnd.ANSWERED, False)
    assert len(engine.prompts) == len(sample.turns) == 1
    assert sample.text.endswith("```output\n42\n```\n") and sandbox.open_sessions == 0
    assert "".join(text for _, text, _ in recorder.texts) == sample.text


@pytest.mark.parametrize(
    ("output", "status"),
    [
        ("", ToolStatus.OK),
        ("42\n43", ToolStatus.OK),
        ("x = 42", ToolStatus.OK),
        ("42.0", ToolStatus.OK),
        ("4,2", ToolStatus.OK),
        ("1e5", ToolStatus.OK),
        ("84/2", ToolStatus.OK),
        ("\\boxed{42}", ToolStatus.OK),
        ("42}\\boxed{42", ToolStatus.OK),
        ("-42", ToolStatus.OK),
        ("100000", ToolStatus.OK),
        ("4" * 1000, ToolStatus.OK),
        ("42", ToolStatus.ERROR),
        ("42", ToolStatus.TIMEOUT),
        ("42", ToolStatus.KILLED),
    ],
)
def test_what_is_no_printed_answer_is_shown_to_the_model(output: str, status: ToolStatus) -> None:
    engine = ScriptedEngine(lambda prompt, params: "So \\boxed{7}." if "```output" in prompt else CODE)
    sample = run_lane(engine, sample__accept_printed_answer=True, sandbox=ScriptedSandbox(output, status=status))
    assert (sample.answer, sample.end, len(engine.prompts)) == (7, SampleEnd.ANSWERED, 2)


@pytest.mark.parametrize("output", ["12345", "12,345", " 012345\n"])
def test_a_printed_answer_is_reduced_as_the_edition_says(output: str) -> None:
    sandbox = ScriptedSandbox(output)
    sample = run_lane(ScriptedEngine(with_code), sample__accept_printed_answer=True, edition="aimo2", sandbox=sandbox)
    assert sample.answer == 345


@pytest.mark.parametrize("most", [1, 2, 3])
def test_the_configured_number_of_failed_runs_ends_a_sample_without_a_forced_answer(most: int) -> None:
    engine, sandbox = always(CODE), ScriptedSandbox("NameError", status=ToolStatus.ERROR)
    sample = run_lane(engine, sandbox=sandbox, sample__max_failed_tool_runs=most, sample__max_rounds=9)
    assert (sample.answer, sample.end, sample.forced) == (None, SampleEnd.FAILED_CODE, False)
    assert len(sample.tool_runs) == len(engine.prompts) == most
    assert sandbox.open_sessions == 0


def test_a_sandbox_that_fails_does_not_end_the_sample() -> None:
    class Dead(ScriptedSandbox):
        async def session(self, seed: int | None = None) -> Session:
            raise SandboxError("gone")

    engine = ScriptedEngine(lambda prompt, params: "So \\boxed{7}." if "not available" in prompt else CODE)
    sample = run_lane(engine, sandbox=Dead(), sample__max_failed_tool_runs=1)
    assert (sample.answer, sample.end) == (7, SampleEnd.ANSWERED)


def test_a_session_draws_its_random_numbers_from_the_seed_of_its_sample() -> None:
    seeds: list[int | None] = []

    class Noting(ScriptedSandbox):
        async def session(self, seed: int | None = None) -> Session:
            seeds.append(seed)
            return await super().session(seed)

    sample = run_lane(ScriptedEngine(with_code), sandbox=Noting())
    assert seeds == [sample.seed]


def test_runs_that_succeed_do_not_count_as_failed() -> None:
    sample = run_lane(ScriptedEngine(with_code), sample__max_failed_tool_runs=1)
    assert (sample.answer, len(sample.tool_runs)) == (42, 1)


def test_a_lane_that_has_used_up_its_tool_runs_continues_without_the_tool_and_is_reported() -> None:
    def reply(prompt: str, params: SamplingParams) -> str:
        return "So \\boxed{42}." if "no more Python" in prompt else CODE

    engine, sandbox = ScriptedEngine(reply), ScriptedSandbox("7")
    sample = run_lane(engine, sandbox=sandbox, sample__max_rounds=3)
    assert (sample.answer, sample.end, len(sample.tool_runs)) == (42, SampleEnd.ANSWERED, 3)


@pytest.mark.parametrize("mark", ["<|im_end|>", "<|im_start|>user", "<|endoftext|>"])
def test_nothing_behind_the_end_of_a_turn_is_read(mark: str) -> None:
    recorder = Recorder()
    sample = run_lane(always(f"It is \\boxed{{42}}. {mark} What is 6 * 8? \\boxed{{48}}"), emit=recorder)
    assert (sample.answer, sample.text) == (42, "It is \\boxed{42}. ")
    assert "".join(text for _, text, _ in recorder.texts) == sample.text


def test_a_sample_whose_thinking_closes_on_a_box_has_answered_where_that_is_set() -> None:
    engine = always("So it is \\boxed{42}. </think> The answer is \\boxed{17}.")
    early = run_lane(engine, sample__family="qwq", sample__answer_at_think_close=True)
    assert (early.answer, early.end, early.forced) == (42, SampleEnd.ANSWERED, False)
    assert early.text.endswith("</think>")
    late = run_lane(engine, sample__family="qwq")
    assert (late.answer, late.end) == (17, SampleEnd.ANSWERED)


@pytest.mark.parametrize(
    "text", ["Maybe \\boxed{5}? No. </think> It is \\boxed{42}.", "`</think>` \\boxed{5}? </think> \\boxed{42}"]
)
def test_a_thinking_that_closes_on_no_clear_box_is_read_to_the_end_of_the_reply(text: str) -> None:
    sample = run_lane(always(text), sample__family="qwq", sample__answer_at_think_close=True)
    assert (sample.answer, sample.forced) == (42, False)


def test_a_box_in_thinking_that_is_still_open_is_no_answer_and_the_lane_is_asked() -> None:
    sample = run_lane(forced_to("42}", "Perhaps \\boxed{5}"), sample__family="qwq")
    assert (sample.answer, sample.end, sample.forced) == (42, SampleEnd.INCOMPLETE, True)


def test_a_thinking_that_ends_the_turn_on_its_box_lacks_no_more_than_its_tag() -> None:
    sample = run_lane(forced_to("42}", "So it is \\boxed{42}."), sample__family="qwq")
    assert (sample.answer, sample.end, sample.forced) == (42, SampleEnd.NO_ANSWER, True)


@pytest.mark.parametrize(
    "said", ["7}", "7}. So \\boxed{", "7}, or \\boxed{8}", "\\frac{14}{2}} is it", "7 \\text{ cm}}."]
)
def test_a_forced_answer_is_what_the_box_is_closed_on(said: str) -> None:
    assert run_lane(forced_to(said, "I do not know.")).answer == 7


@pytest.mark.parametrize(
    ("said", "answer", "kept"),
    [
        ("\n42\n}", 42, "\n42\n}"),
        ("\n 42 }$. And so \non", 42, "\n 42 }"),
        (" {42} } or", 42, " {42} }"),
        ("42}\nor 7", 42, "42}"),
        ("\\text{so \\} } 7 } 8", None, "\\text{so \\} } 7 }"),
        ("42\nis what I\nfound", None, "42\nis what I\nfound"),
        ("42 <|im_end|> } 7", None, "42 "),
        ("42 \n\nHuman: 6 * 8? \\boxed{48} }", None, "42 "),
    ],
)
def test_a_forced_answer_is_read_until_its_box_is_closed_or_its_turn_ends(
    said: str, answer: int | None, kept: str
) -> None:
    sample = run_lane(forced_to(said, "I do not know. " * 40), sample__probe_tokens=20, sample__answer_tokens=24)
    assert (sample.answer, sample.turns[-1].text, sample.forced) == (answer, kept, True)
    assert {probe.answer for probe in sample.probes} == {answer}


@pytest.mark.parametrize("closed", ["42}", "42}$.", "42}\n"])
def test_nothing_is_generated_behind_the_box_of_a_forced_answer(closed: str) -> None:
    engine = forced_to(f"{closed} {'and so on ' * 50}", "I do not know.")
    sample = run_lane(engine, sample__answer_tokens=100)
    assert (sample.answer, sample.turns[-1].text, sample.turns[-1].tokens) == (42, "42}", 1)
    assert engine.running == 0


@pytest.mark.parametrize("end", ["2 " * 500, BREAK])
def test_a_box_that_is_never_closed_costs_no_more_than_the_tokens_of_a_forced_answer(end: str) -> None:
    """Also where its stream breaks again and again."""
    forced = f"4\n{'2 ' * 9}{end}"
    engine = ScriptedEngine(lambda prompt, params: forced if params.forces_answer else "I do not know.")
    sample = run_lane(engine, sample__answer_tokens=24, engine__retries=5)
    assert (sample.answer, sample.turns[-1].tokens, sample.forced) == (None, 24, True)


@pytest.mark.parametrize("end", [f" {BREAK}", f". {BREAK}", f"$. {BREAK}"])
def test_a_reply_that_lacks_nothing_but_its_end_has_answered_though_its_stream_breaks(end: str) -> None:
    engine = always(f"So 42. </think> The answer is \\boxed{{42}}{end}")
    sample = run_lane(engine, sample__family="qwq")
    assert (sample.answer, sample.end, len(engine.prompts)) == (42, SampleEnd.ANSWERED, 1)


@pytest.mark.parametrize(
    "text", ["Perhaps \\boxed{5}", "So 42. </think> It is \\boxed{5} at first sight, and then", "So </think> \\boxed{4"]
)
def test_a_reply_that_breaks_before_it_has_answered_is_continued(text: str) -> None:
    def reply(prompt: str, params: SamplingParams) -> str:
        return "2}. So </think> \\boxed{42}." if prompt.endswith(text) else f"{text} {BREAK}"

    sample = run_lane(ScriptedEngine(reply), sample__family="qwq")
    assert (sample.answer, sample.forced, len(sample.turns[0].resumed_at)) == (42, False, 1)


def test_a_reply_that_ends_in_an_open_box_is_asked_for_a_new_one() -> None:
    sample = run_lane(forced_to("42}", "The answer is \\boxed{4"))
    assert (sample.answer, sample.end) == (42, SampleEnd.INCOMPLETE)


@pytest.mark.parametrize("mark", ["<|eot_id|>", "\nuser\nNow", "\n\nHuman: And"])
def test_a_next_question_that_the_model_invents_is_not_read(mark: str) -> None:
    sample = run_lane(always(f"It is \\boxed{{42}}.{mark} 6 * 8? \\boxed{{48}}"))
    assert (sample.answer, "48" in sample.text) == (42, False)
