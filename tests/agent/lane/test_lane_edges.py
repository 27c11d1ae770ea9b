"""When a lane gives up, thinking without a cap, whose errors end the run, and what is counted of a lane."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import pytest

from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.engine.persistent import PersistentEngine
from agent.errors import EngineError, EngineUnavailableError, JournalError, SandboxError, StreamBrokenError
from agent.events import Event
from agent.lane.lane import Lane
from agent.lane.outages import OutageCounter
from agent.lane.seed import sample_seed
from agent.lane.transcript import Transcript
from agent.lane.turn import TurnWriter
from agent.sandbox.base import Session
from agent.types import Sample, SampleEnd, ToolRun
from tests.support.doubles import BREAK, PROBLEM, ScriptedEngine, ScriptedSandbox, config_with, runtime
from tests.support.lanes import always, forced_to, run_lane, with_code
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


@pytest.mark.parametrize("cap", [1, 50])
def test_thinking_is_cut_as_many_tokens_behind_its_cap_as_a_server_may_take_to_close_it(cap: int) -> None:
    thoughts = " ".join(f"step{number}" for number in range(300))
    sample = run_lane(always(thoughts), sample__family="qwq", sample__max_thinking_tokens=cap, sample__answer_tokens=0)
    assert (sample.end, sample.tokens) == (SampleEnd.TOKEN_LIMIT, cap + 64)


@pytest.mark.parametrize(
    ("cap", "code", "told"), [(0, 0, [None, None]), (1, 0, [1, None]), (40, 4, [40, 36]), (4, 4, [4, None])]
)
def test_a_server_is_told_what_is_left_of_the_cap_on_thinking(cap: int, code: int, told: list[int | None]) -> None:
    """By the time of the second turn `code` tokens of it are used up; a forced answer has no cap."""
    asked: list[int | None] = []

    def reply(prompt: str, params: SamplingParams) -> str:
        asked.append(params.thinking_tokens)
        if len(asked) > 1 or not code:
            return "so </think> \\boxed{42}" if cap != 1 else "so"
        return "one two\n```python\nprint(6 * 7)\n```"

    run_lane(ScriptedEngine(reply), sample__family="qwq", sample__max_thinking_tokens=cap)
    assert [*asked, None][:2] == told


def test_no_code_is_called_within_a_forced_answer() -> None:
    written = "42 as\n```python\nprint(6 * 7)\n```\nsays"
    sample = run_lane(forced_to(written, "I do not know"))
    assert (sample.answer, sample.forced, sample.turns[-1].text) == (None, True, written)
    assert sample.tool_runs == ()


def test_a_stream_that_just_stops_is_reported_as_broken() -> None:
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
    writer = TurnWriter(None)
    writer.write(Chunk("whatever", 5))
    transcript.end_turn(writer, 1.0)
    transcript.insert("abc")
    assert transcript.most_length == len("PROMPT") + 5 + len("abc")


async def test_only_text_without_ids_is_counted_by_the_server() -> None:
    transcript = Transcript("PROMPT", CountingEngine(always("")))
    transcript.buffer.add(Chunk("ab", 1, token_ids=(7,), aligned=True, prompt_ids=(1, 2)))
    transcript.buffer.end(0)
    transcript.insert("wxyz")
    assert transcript.most_length == 3 + len("wxyz")
    assert await transcript.length() == 3 + 2


async def test_a_stream_that_came_to_its_end_makes_the_next_failure_a_first_one() -> None:
    engine = Recoveries()
    outages = counter(engine, retries=1)
    for _ in range(3):
        await outages.overcome(StreamBrokenError("broken"), 0)
        outages.reset()
    assert engine.waited == [0, 0, 0]


def test_code_that_could_not_be_run_took_no_time() -> None:
    class Missing(ScriptedSandbox):
        async def session(self, seed: int | None = None) -> Session:
            raise SandboxError("no Python here")

    runs = run_lane(ScriptedEngine(with_code), sandbox=Missing(), sample__max_rounds=1).tool_runs
    assert [(run.output, run.seconds) for run in runs] == [("[Python is not available: no Python here]", 0.0)]


class InPieces(ScriptedEngine):
    """Streams the text in pieces of so many characters."""

    size = 1

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        assert isinstance(prompt, str)
        self.prompts.append(prompt)
        text = self.reply(prompt, params)
        for start in range(0, len(text), self.size):
            yield Chunk(text[start : start + self.size], 1)
        yield Chunk("", 0, "stop")


@pytest.mark.parametrize("mark", ["<|im_start|>", "<|im_end|>", "<|endoftext|>"])
@pytest.mark.parametrize("size", [1, 3, 7, 1_000])
@pytest.mark.parametrize(
    ("family", "written"),
    [("qwen-coder-calls", 'print(6 * 7)"}}\n'), ("qwen-coder-tagged", "print(6 * 7)\n"), ("gpt-oss", "")],
)
def test_a_whole_call_is_run_where_the_model_ends_its_turn_in_place_of_its_tag(
    family: str, written: str, size: int, mark: str
) -> None:
    """As Qwen2.5-Coder does, whose tags are seldom trained: the mark of the end is streamed as text like any other."""
    if family == "gpt-oss":
        written, mark = "<|channel|>analysis to=python code<|message|>print(6 * 7)", "<|return|>"
    engine = InPieces(lambda prompt, params: "It is \\boxed{42}." if "42" in prompt else f"{written}{mark}user")
    engine.size = size
    sandbox = ScriptedSandbox()
    sample = run_lane(engine, sandbox=sandbox, sample__family=family)
    assert (sandbox.cells, sample.answer) == (["print(6 * 7)"], 42)
    first = sample.turns[0]
    assert first.unrun_blocks == 0 and mark not in first.text and first.text.startswith(written)
    assert engine.prompts[1] == f"PROMPT{first.text}{first.inserted}"


@pytest.mark.parametrize("mark", ["<|im_end|>", ""])
@pytest.mark.parametrize(
    ("family", "written"),
    [("qwen-coder-calls", 'print(6 * 7)"}}\n'), ("qwen-coder-tagged", "print(6 * 7)\n")],
)
def test_a_whole_call_is_not_run_where_the_model_ends_its_turn_and_no_tool_run_is_left(
    family: str, written: str, mark: str
) -> None:
    engine, sandbox = InPieces(lambda prompt, params: f"{written}{mark}"), ScriptedSandbox()
    sample = run_lane(engine, sandbox=sandbox, sample__family=family, sample__max_rounds=0)
    assert (sandbox.cells, sample.tool_runs, sample.turns[0].text) == ([], (), written)


@pytest.mark.parametrize("written", ['print(6 * 7)"', "print(6 *", ""])
def test_a_call_that_is_not_whole_is_not_run_where_the_model_ends_its_turn(written: str) -> None:
    engine = InPieces(lambda prompt, params: "7}" if prompt.endswith("\\boxed{") else f"{written}<|im_start|>")
    sandbox = ScriptedSandbox()
    sample = run_lane(engine, sandbox=sandbox, sample__family="qwen-coder-calls")
    assert (sandbox.cells, sample.turns[0].unrun_blocks, sample.answer) == ([], 1, 7)
