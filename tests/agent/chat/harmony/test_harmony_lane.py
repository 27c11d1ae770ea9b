"""Lanes, pages and journals of a model that speaks harmony; every control token of its stream is accounted for."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chat.dialects import chat_format
from agent.chat.harmony.messages import CONTROL_MARKS
from agent.config import Config
from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.types import Sample, SampleEnd, ToolStatus
from tests.agent.chat.harmony.test_harmony_calls import BOX, CODE, HEADERS, NEXT, TO_FINAL
from tests.support.doubles import Recorder, ScriptedEngine, ScriptedSandbox, config_with
from tests.support.lanes import run_lane
from tests.support.texts.loops import cut, sizes
from tests.support.tiers.cases import examples
from tools.demo.transcript import transcript_html
from tools.report.transcript import transcript

THOUGHT = "<|channel|>analysis<|message|>Let me see."
CALL = f"{THOUGHT}{NEXT} to=python<|channel|>analysis code<|message|>{CODE}"
OUTPUT = "<|start|>python to=assistant<|channel|>analysis<|message|>42<|end|><|start|>assistant"
ANSWER = f"<|channel|>analysis<|message|>Good.{NEXT}{TO_FINAL}It is \\boxed{{42}}."


@dataclass
class HarmonyEngine(ScriptedEngine):
    """Streams replies in pieces of these lengths; `keeps_ends` as llama.cpp keeps the token that ends a turn."""

    keeps_ends: bool = False
    lengths: list[int] = field(default_factory=lambda: [5])

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        assert isinstance(prompt, str)
        self.prompts.append(prompt)
        text = self.reply(prompt, params)
        if self.keeps_ends:
            text = text.removesuffix("<|call|>").removesuffix("<|return|>")
        for piece in cut(text, self.lengths):
            yield Chunk(piece, 1)
        yield Chunk("", 0, "stop")


def reply(prompt: str, params: SamplingParams) -> str:
    if prompt.endswith("\\boxed{"):
        return "42}"
    return f"{ANSWER}<|return|>" if OUTPUT in prompt else f"{CALL}<|call|>"


def run(engine: HarmonyEngine, **keys: object) -> tuple[Sample, Recorder]:
    recorder = Recorder()
    sample = run_lane(engine, sandbox=ScriptedSandbox("42\n"), emit=recorder, sample__family="gpt-oss", **keys)
    return sample, recorder


@examples(30)
@given(sizes, st.booleans())
def test_a_lane_calls_python_and_answers_wherever_the_stream_is_cut(lengths: list[int], keeps_ends: bool) -> None:
    engine = HarmonyEngine(reply, keeps_ends=keeps_ends, lengths=lengths)
    sample, recorder = run(engine)
    assert [turn.text for turn in sample.turns] == [f"{CALL}<|call|>", ANSWER]
    assert sample.turns[0].inserted == OUTPUT
    assert (sample.answer, sample.end, sample.forced) == (42, SampleEnd.ANSWERED, False)
    assert engine.prompts == ["PROMPT", f"PROMPT{CALL}<|call|>{OUTPUT}"]
    assert [tool_run.code for tool_run in recorder.tool_runs] == [CODE]
    assert "".join(text for _, text, _ in recorder.texts) == f"{CALL}<|call|>{OUTPUT}{ANSWER}"
    assert sum(turn.unrun_blocks for turn in sample.turns) == 0


@pytest.mark.parametrize("header", HEADERS)
def test_each_spelling_of_a_call_is_run_by_a_lane(header: str) -> None:
    engine = HarmonyEngine(
        lambda prompt, params: reply(prompt, params) if OUTPUT in prompt else f"{header}<|message|>{CODE}<|call|>"
    )
    sample, recorder = run(engine)
    assert sample.answer == 42
    assert [tool_run.code for tool_run in recorder.tool_runs] == [CODE]


@pytest.mark.parametrize("end", ["<|return|>", "<|endoftext|>", "<|start|>python to=assistant<|message|>17<|end|>", ""])
def test_a_call_that_ends_as_the_turn_does_is_run_and_closed_as_a_call(end: str) -> None:
    engine = HarmonyEngine(
        lambda prompt, params: reply(prompt, params) if OUTPUT in prompt else f"{CALL}{end}", lengths=[3]
    )
    sample, recorder = run(engine)
    assert (sample.answer, [tool_run.code for tool_run in recorder.tool_runs]) == (42, [CODE])
    assert engine.prompts == ["PROMPT", f"PROMPT{CALL}<|call|>{OUTPUT}"]


@pytest.mark.parametrize("keeps_ends", [True, False])
def test_a_lane_that_calls_another_tool_is_told_so_and_continues(keeps_ends: bool) -> None:
    search = f"{THOUGHT}{NEXT}<|channel|>commentary to=browser.search <|constrain|>json<|message|>{{}}<|call|>"

    def searches(prompt: str, params: SamplingParams) -> str:
        return reply(prompt, params) if "there is no tool 'browser.search'" in prompt else search

    sample, recorder = run(HarmonyEngine(searches, keeps_ends=keeps_ends))
    assert sample.answer == 42
    assert [tool_run.status for tool_run in recorder.tool_runs] == [ToolStatus.ERROR, ToolStatus.OK]


@pytest.mark.parametrize("keeps_ends", [True, False])
def test_a_lane_whose_tool_runs_are_spent_is_made_to_answer_behind_its_last_call(keeps_ends: bool) -> None:
    def always_calls(prompt: str, params: SamplingParams) -> str:
        return "42}" if prompt.endswith("\\boxed{") else f"{CALL}<|call|>"

    sample, recorder = run(HarmonyEngine(always_calls, keeps_ends=keeps_ends), sample__max_rounds=1)
    assert len(recorder.tool_runs) == 1
    assert (sample.answer, sample.end, sample.forced) == (42, SampleEnd.INCOMPLETE, True)
    assert "no more Python" in sample.turns[0].inserted
    written = sample.turns[1].text + sample.turns[1].inserted
    assert written == f"{CALL}<|call|><|start|>assistant{TO_FINAL}{BOX}"


def test_a_lane_may_answer_in_its_analysis() -> None:
    sample, _ = run(HarmonyEngine(lambda prompt, params: f"{THOUGHT} It is \\boxed{{42}}.<|return|>"))
    assert (sample.answer, sample.end, sample.forced) == (42, SampleEnd.ANSWERED, False)
    assert sample.turns[-1].text == f"{THOUGHT} It is \\boxed{{42}}."


def test_a_lane_answers_as_its_final_channel_opens_if_its_analysis_has() -> None:
    text = f"{THOUGHT} It is \\boxed{{42}}.{NEXT}{TO_FINAL}A long story."
    sample, _ = run(HarmonyEngine(lambda prompt, params: text), sample__answer_at_think_close=True)
    assert sample.answer == 42 and "story" not in sample.turns[-1].text


@pytest.mark.parametrize("role", ["user", "system", "developer", "python to=assistant", "functions.x to=assistant"])
def test_what_a_model_makes_up_as_another_role_is_no_part_of_its_turn(role: str) -> None:
    invented = f"<|end|><|start|>{role}<|channel|>analysis<|message|>17<|end|>"
    sample, _ = run(HarmonyEngine(lambda prompt, params: f"{ANSWER}{invented}"))
    assert (sample.answer, sample.turns[-1].text) == (42, f"{ANSWER}<|end|>")


def pages(sample: Sample) -> list[str]:
    config: Config = config_with(sample__family="gpt-oss")
    chat = chat_format("gpt-oss", tools=True)
    return [str(transcript(sample, config)), str(transcript_html(chat.opening + sample.text, chat))]


def test_report_and_demo_show_code_output_and_answer_and_no_control_token() -> None:
    forced, _ = run(HarmonyEngine(reply), sample__max_tokens=20)
    assert forced.forced
    for sample in (run(HarmonyEngine(reply))[0], forced):
        for page in pages(sample):
            assert not any(mark[2:-2] + "|" in page for mark in CONTROL_MARKS)
            assert page.count('<pre class="code"') == 1 and "Let me see." in page
    for page in pages(run(HarmonyEngine(reply))[0]):
        assert page.index("Let me see.") < page.index('<pre class="code"') < page.index("Good.") < page.index("It is ")
    assert "end of the thinking" in pages(run(HarmonyEngine(reply))[0])[1]
