"""Whole problems over a chat endpoint: tools, forced answers, broken streams, a server of one user, a resumed run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent import Agent, Problem
from agent.config import Config
from agent.engine.configured import open_engine
from agent.errors import ConfigError
from agent.types import SampleEnd, Solution
from tests.support.doubles import Recorder, ScriptedSandbox, config_with
from tests.support.servers.chat_server import DROP, ChatServer, called, said, serving_chat, with_tools

PROBLEM = Problem("p1", "What is 6 times 7?", 42)
CODE = "print(6 * 7)"


def config(server: ChatServer, **keys: Any) -> Config:
    engine = {
        "engine__kind": "http",
        "engine__url": server.url,
        "engine__model": "",
        "engine__check": "never",
        "engine__context_tokens": 32_768,
    }
    return config_with(**{**engine, "sample__family": "chat", "sample__count": 2, "stopping__margin": 9, **keys})


async def solved(
    server: ChatServer,
    seen: Recorder,
    events: list[str] | None = None,
    run_dir: Path | None = None,
    resume: bool = False,
    **keys: Any,
) -> tuple[Solution, ScriptedSandbox]:
    settled = config(server, **keys)
    tell = events.append if events is not None else seen.engine_events.append
    engine = open_engine(settled, None, Path("log"), tell)
    sandbox = ScriptedSandbox(seconds=0.0)
    async with Agent(settled, engine, sandbox, on_engine_event=tell) as agent:
        solution = await agent.solve(PROBLEM, listeners=[seen], run_dir=run_dir, resume=resume)
    return solution, sandbox


async def test_a_problem_is_solved_with_python_over_messages() -> None:
    seen, events = Recorder(), list[str]()
    with serving_chat(ChatServer(with_tools)) as server:
        solution, sandbox = await solved(server, seen, events)
    assert solution.answer == 42 and solution.tally.votes[0].samples == 2
    assert sandbox.cells == [CODE] * 2 and not sandbox.open_sessions
    for sample in seen.samples:
        assert sample.end is SampleEnd.ANSWERED and not sample.forced and len(sample.turns) == 2
        assert sample.turns[0].prompt_tokens == 20 and sample.turns[0].tokens == 7
        assert sample.text.startswith("<think>\nLet me compute.\n</think>\n\n<tool_call>\n")
    assert any("is sent messages" in event for event in events)


async def test_what_the_model_says_of_a_mark_in_its_code_ends_no_turn() -> None:
    code = "print('<|im_end|>', '</tool_call>', 6 * 7)"

    def reply(body: dict[str, Any]) -> list[Any]:
        return [said("\\boxed{42}")] if body["messages"][-1]["role"] == "tool" else called(code)

    with serving_chat(ChatServer(reply)) as server:
        _, sandbox = await solved(server, Recorder())
    assert sandbox.cells == [code] * 2


async def test_fenced_code_is_run_where_the_family_asks_for_it() -> None:
    def reply(body: dict[str, Any]) -> list[Any]:
        assert "tools" not in body
        last = body["messages"][-1]["content"]
        return (
            [said("It is \\boxed{42}.")]
            if "```output\n42\n```" in last
            else [said(f"So:\n```python\n{CODE}\n```\nand")]
        )

    with serving_chat(ChatServer(reply)) as server:
        solution, sandbox = await solved(server, Recorder(), sample__family="chat-fenced")
    assert solution.answer == 42 and sandbox.cells == [f"{CODE}\n"] * 2


async def test_a_lane_that_ends_without_a_box_is_asked_for_its_answer() -> None:
    def reply(body: dict[str, Any]) -> list[Any]:
        forced = "final answer now" in body["messages"][-1]["content"]
        return [said("\\boxed{42}")] if forced else [{"reasoning": "hm"}, said("It is forty-two.")]

    seen = Recorder()
    with serving_chat(ChatServer(reply)) as server:
        solution, _ = await solved(server, seen)
    assert solution.answer == 42 and all(sample.forced for sample in seen.samples)
    assert [sample.turns[-1].text for sample in seen.samples] == ["42}"] * 2


async def test_a_stream_that_breaks_in_mid_turn_costs_no_lane() -> None:
    def reply(body: dict[str, Any]) -> list[Any]:
        broke = body["messages"][-1]["content"].startswith("Your last message was cut off")
        return [said("it is \\boxed{42}.")] if broke else [said("So I think"), DROP]

    seen = Recorder()
    with serving_chat(ChatServer(reply)) as server:
        solution, _ = await solved(server, seen)
    assert solution.answer == 42
    assert {sample.text for sample in seen.samples} == {"So I think\n\nit is \\boxed{42}."}
    assert all(sample.turns[0].resumed_at == (1,) for sample in seen.samples)


async def test_a_call_that_a_broken_stream_cut_off_is_made_anew() -> None:
    def reply(body: dict[str, Any]) -> list[Any]:
        if body["messages"][-1]["role"] == "tool":
            return [said("\\boxed{42}")]
        broke = body["messages"][-1]["content"].startswith("Your last message was cut off")
        return called(CODE) if broke else [*called(CODE)[:2], DROP]

    with serving_chat(ChatServer(reply)) as server:
        solution, sandbox = await solved(server, Recorder())
    assert solution.answer == 42 and sandbox.cells == [CODE] * 2


@pytest.mark.further
async def test_a_server_that_takes_one_request_at_a_time_loses_no_lane() -> None:
    seen = Recorder()
    with serving_chat(ChatServer(with_tools, most=1)) as server:
        solution, _ = await solved(server, seen, sample__count=4, stopping__rule="wait-for-all")
    assert solution.tally.votes[0].samples == 4 and server.busy
    assert {sample.end for sample in seen.samples} == {SampleEnd.ANSWERED}


async def test_an_estimate_of_tokens_is_said_to_be_one() -> None:
    seen = Recorder()
    with serving_chat(ChatServer(lambda body: [said("\\boxed{42}")], usage=False)) as server:
        solution, _ = await solved(server, seen)
    assert solution.tokens == 2
    assert sum("reports no usage" in event for event in seen.engine_events) == 1


async def test_a_run_is_resumed_without_drawing_anything_again(tmp_path: Path) -> None:
    with serving_chat(ChatServer(with_tools)) as server:
        first, _ = await solved(server, Recorder(), run_dir=tmp_path / "run")
        requests = len(server.bodies)
        again, _ = await solved(server, Recorder(), run_dir=tmp_path / "run", resume=True)
    assert again.answer == first.answer == 42 and len(server.bodies) == requests


async def test_a_family_that_is_left_to_be_found_is_the_one_of_messages() -> None:
    with serving_chat(ChatServer(with_tools)) as server:
        settled = config(server, sample__family="auto")
        async with Agent(
            settled, open_engine(settled, None, Path("log"), lambda text: None), ScriptedSandbox()
        ) as agent:
            assert agent.config.sample.family == "chat" and agent.config.engine.model == "served"


@pytest.mark.parametrize("family", ["gpt-oss", "r1-distill-qwen"])
async def test_a_family_that_cannot_be_written_in_messages_is_refused_with_what_to_set(family: str) -> None:
    with serving_chat(ChatServer(with_tools)) as server:
        with pytest.raises(ConfigError, match=r"set sample\.family to chat"):
            await solved(server, Recorder(), sample__family=family)
        assert not server.bodies


async def test_a_family_that_closes_its_thinking_with_another_tag_is_refused_before_any_request(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        'dialect = "chatml-calls"\ninstructions = "Think."\ntool_instructions = "Call."\nthink_close = "</thought>"\n'
    )
    with serving_chat(ChatServer(with_tools)) as server:
        with pytest.raises(ConfigError, match="its thinking ends with '</thought>'"):
            await solved(server, Recorder(), sample__family=str(own))
        assert not server.bodies


async def test_a_family_that_begins_calls_for_the_model_is_refused_before_any_request() -> None:
    with serving_chat(ChatServer(with_tools)) as server:
        with pytest.raises(ConfigError, match=r"no call can be begun for the model.*set sample.family to chat"):
            await solved(server, Recorder(), sample__family="qwen-coder-calls")
        assert not server.bodies


@pytest.mark.parametrize("family", ["qwq-calls", "qwen3"])
async def test_families_with_function_calls_need_no_change(family: str) -> None:
    with serving_chat(ChatServer(with_tools)) as server:
        solution, sandbox = await solved(server, Recorder(), sample__family=family)
    assert solution.answer == 42 and sandbox.cells == [CODE] * 2
