"""The demo's queue in virtual time, with a scripted engine: questions waiting, stopped, withdrawn and recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from pathlib import Path

import pytest

from agent.agent import Agent
from agent.engine.base import SamplingParams
from agent.errors import AgentError, EngineError, InputError
from agent.journal.journal import read_run
from agent.types import SampleEnd, StopReason
from tests.support.doubles import BREAK, ScriptedEngine, ScriptedSandbox, config_with
from tests.support.servers.scripted_server import ScriptedServer, serving
from tests.support.virtual_time import run_virtual
from tools.demo.session import ENGINE_FAILED, FRAME_SECONDS, LEFT, MOST_CHARS, MOST_WAITING, QuestionQueue
from tools.demo.state import Question

LONG = "word " * 500
Reply = Callable[[str, SamplingParams], str]


def answers(prompt: str, params: SamplingParams) -> str:
    return "so it is \\boxed{42}"


def thinks(prompt: str, params: SamplingParams) -> str:
    """On and on, unless its answer is forced."""
    return "7}" if prompt.endswith("\\boxed{") else LONG


def open_queue(directory: Path, engine: ScriptedEngine, **keys: object) -> QuestionQueue:
    config = config_with(**{"sample__count": 3, "budget__time_limit_seconds": 300, **keys})
    agent = Agent(config, engine, ScriptedSandbox())
    return QuestionQueue(agent, directory, asyncio.get_running_loop().time)


async def ask(
    queue: QuestionQueue, visitor: str = "v", text: str = "What is 6 times 7?", owner: str = "secret"
) -> Question:
    """The question when it is closed."""
    async with aclosing(queue.ask(visitor, text, owner)) as frames:
        async for question in frames:
            last = question
    return last


def run(scene: Callable[[], Coroutine[object, object, None]]) -> None:
    run_virtual(scene())


def test_a_question_is_solved_and_recorded_as_a_run_of_its_own(tmp_path: Path) -> None:
    async def scene() -> None:
        queue = open_queue(tmp_path, ScriptedEngine(answers))
        first, second = await ask(queue), await ask(queue, text="And 7 times 6?")
        assert first.solution is not None
        assert first.solution.answer == 42
        assert queue.journal("question-2", "secret") == tmp_path / "question-2" / "journal.jsonl"
        record = read_run(tmp_path / "question-2")
        assert [problem.text for problem in record.problems] == ["And 7 times 6?"]
        assert record.solutions == (second.solution,)
        assert {sample.text for sample in record.samples} >= {lane.text for lane in second.lanes if lane.sample}

    run(scene)


def test_how_the_model_was_checked_is_recorded_with_each_question(tmp_path: Path) -> None:
    with serving(ScriptedServer(lambda body: "so it is \\boxed{42}")) as server:

        async def scene() -> None:
            config = config_with(engine__kind="http", engine__url=server.url, engine__model="", sample__count=2)
            async with Agent.open(config) as agent:
                queue = QuestionQueue(agent, tmp_path, asyncio.get_running_loop().time)
                assert queue.checked is not None and not queue.checked.fault
                for number in (1, 2):
                    await ask(queue)
                    assert read_run(tmp_path / f"question-{number}").checks == (queue.checked,)

        asyncio.run(scene())


def test_an_earlier_demo_in_the_directory_is_not_overwritten(tmp_path: Path) -> None:
    async def scene() -> None:
        await ask(open_queue(tmp_path, ScriptedEngine(answers)))
        again = await ask(open_queue(tmp_path, ScriptedEngine(answers)))
        assert again.problem.id == "question-2"

    run(scene)


@pytest.mark.parametrize("name", ["question-9", "..", "question-1/../question-1", "", "config.toml"])
def test_no_other_file_is_given_for_a_journal(tmp_path: Path, name: str) -> None:
    async def scene() -> None:
        queue = open_queue(tmp_path, ScriptedEngine(answers))
        await ask(queue)
        assert queue.journal(name, "secret") is None

    run(scene)


@pytest.mark.parametrize(("owner", "other"), [("secret", "another"), ("secret", ""), ("secret", "secré"), ("", "")])
def test_a_journal_is_given_to_nobody_but_who_asked(tmp_path: Path, owner: str, other: str) -> None:
    async def scene() -> None:
        queue = open_queue(tmp_path, ScriptedEngine(answers))
        await ask(queue, owner=owner)
        assert (tmp_path / "question-1" / "journal.jsonl").is_file()
        assert queue.journal("question-1", other) is None
        assert (queue.journal("question-1", owner) is not None) is bool(owner)

    run(scene)


def test_a_journal_of_an_earlier_demo_in_the_directory_is_nobodys(tmp_path: Path) -> None:
    async def scene() -> None:
        await ask(open_queue(tmp_path, ScriptedEngine(answers)))
        assert open_queue(tmp_path, ScriptedEngine(answers)).journal("question-1", "secret") is None

    run(scene)


def test_stopped_questions_are_answered_by_the_lanes_that_are_asked_and_their_streams_end(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = ScriptedEngine(thinks)
        queue = open_queue(tmp_path, engine)
        asyncio.get_running_loop().call_later(20, queue.answer_now, "v")
        asked = await ask(queue)
        assert asked.solution is not None
        assert (asked.solution.answer, asked.solution.stop) == (7, StopReason.REQUESTED)
        assert 20 <= asked.solution.seconds < 25
        assert engine.running == 0

    run(scene)


@pytest.mark.parametrize("how", ["the page is closed", "the generator is"])
def test_a_visitor_who_leaves_frees_the_engine_for_the_next(tmp_path: Path, how: str) -> None:
    async def scene() -> None:
        engine = ScriptedEngine(thinks)
        queue = open_queue(tmp_path, engine)
        frames = queue.ask("v", "Why?")
        for _ in range(10):
            await anext(frames)
        assert engine.running == 3
        if how == "the page is closed":
            queue.leave("v")
            await asyncio.sleep(0.1)
            assert engine.running == 0
        await frames.aclose()
        assert engine.running == 0
        engine.reply = answers
        asked = await ask(queue, "w")
        assert asked.solution is not None

    run(scene)


def test_questions_are_answered_in_their_order_and_those_who_wait_see_their_place(tmp_path: Path) -> None:
    async def scene() -> None:
        queue = open_queue(tmp_path, ScriptedEngine(answers))
        places: dict[str, list[int]] = {"a": [], "b": [], "c": []}
        closed: list[str] = []

        async def visit(name: str) -> None:
            async with aclosing(queue.ask(name, "Why?")) as frames:
                async for question in frames:
                    places[name].append(question.place)
            closed.append(name)

        await asyncio.gather(*map(visit, places))
        assert closed == ["a", "b", "c"]
        assert set(places["c"]) == {0, 1, 2}
        assert places["c"] == sorted(places["c"], reverse=True)

    run(scene)


def test_who_waits_can_step_out_of_the_line(tmp_path: Path) -> None:
    async def scene() -> None:
        queue = open_queue(tmp_path, ScriptedEngine(thinks))
        first = asyncio.create_task(ask(queue, "a"))
        second = asyncio.create_task(ask(queue, "b"))
        await asyncio.sleep(5)
        queue.answer_now("b")
        assert (await second).failure == LEFT
        assert not first.done()
        queue.answer_now("a")
        assert (await first).solution is not None
        assert not (tmp_path / "question-2").exists()

    run(scene)


def test_frames_come_a_few_times_a_second(tmp_path: Path) -> None:
    async def scene() -> None:
        queue = open_queue(tmp_path, ScriptedEngine(thinks, seconds=0.01), budget__time_limit_seconds=20)
        frames = 0
        async with aclosing(queue.ask("v", "Why?")) as questions:
            async for _ in questions:
                frames += 1
        assert frames <= asyncio.get_running_loop().time() / FRAME_SECONDS + 2

    run(scene)


@pytest.mark.parametrize("text", ["", " \n", "x" * (MOST_CHARS + 1)], ids=["empty", "blank", "long"])
def test_a_text_that_cannot_be_asked_is_refused(tmp_path: Path, text: str) -> None:
    async def scene() -> None:
        with pytest.raises(InputError):
            await ask(open_queue(tmp_path, ScriptedEngine(answers)), text=text)

    run(scene)
    assert not list(tmp_path.iterdir())


def test_a_visitor_asks_one_question_at_a_time_and_the_line_is_not_endless(tmp_path: Path) -> None:
    async def scene() -> None:
        queue = open_queue(tmp_path, ScriptedEngine(thinks))
        waiting = [asyncio.create_task(ask(queue, str(n))) for n in range(MOST_WAITING + 1)]
        await asyncio.sleep(1)
        for visitor in ("0", "one more"):
            with pytest.raises(InputError):
                await ask(queue, visitor)
        for n in range(MOST_WAITING + 1):
            queue.leave(str(n))
        await asyncio.gather(*waiting)

    run(scene)


def test_an_engine_that_dies_is_reported_and_the_next_question_works(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = ScriptedEngine(lambda prompt, params: f"one two {BREAK}")
        queue = open_queue(tmp_path, engine, engine__retries=0)
        asked = await ask(queue)
        assert asked.solution is not None
        assert asked.solution.stop is StopReason.ENGINE_ERROR
        assert asked.engine_event == ENGINE_FAILED
        assert {lane.sample and lane.sample.end for lane in asked.lanes} == {SampleEnd.ENGINE_ERROR}
        engine.down = True
        assert (await ask(queue)).failure == "the engine is down"
        engine.down, engine.reply = False, answers
        after = await ask(queue)
        assert after.solution is not None
        assert after.solution.answer == 42

    run(scene)


def test_a_directory_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def scene() -> None:
        asked = await ask(open_queue(tmp_path / "file", ScriptedEngine(answers)))
        assert "cannot be written" in asked.failure

    run(scene)


def test_an_error_that_nobody_expected_is_not_hidden(tmp_path: Path) -> None:
    class Broken(ScriptedEngine):
        async def ready(self) -> None:
            raise ZeroDivisionError

    async def scene() -> None:
        asked = await ask(open_queue(tmp_path, Broken(answers)))
        assert "ZeroDivisionError" in asked.failure

    run(scene)
    assert not issubclass(ZeroDivisionError, AgentError | EngineError)
