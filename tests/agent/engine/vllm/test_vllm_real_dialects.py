"""The coder family on the real vLLM with a real small model: in the three dialects of its calls, and as it is found."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from agent import Agent
from agent.chat.dialects import chat_format
from agent.chat.task import CompetitionTask
from agent.config import load_config
from agent.editions import EDITIONS
from agent.engine.base import SamplingParams
from agent.engine.chat_completion.engine import ChatEngine
from agent.engine.persistent import PersistentEngine
from agent.lane.runtime import Runtime
from agent.problems.reader import starter_problems
from agent.solver import solve_problem
from agent.types import Allowance, Problem
from tests.agent.engine.vllm.test_vllm_real import client, serving
from tests.support.doubles import Recorder, ScriptedSandbox
from tests.support.servers.vllm_installed import hf_model, needs_vllm

pytestmark = needs_vllm

FAMILIES = ("qwen-coder", "qwen-coder-calls", "qwen-coder-tagged")
LANES = {
    "sample.count": 4,
    "sample.max_tokens": 200,
    "sample.accept_printed_answer": True,
    "stopping.rule": "wait-for-all",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server of the small coder model, which reads calls out of the replies to messages."""
    model = hf_model("qwen2.5-coder-0.5b")
    reads_calls = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes")
    with serving(tmp_path_factory.mktemp("vllm"), model=model, context=2_048, extra_args=reads_calls) as port:
        yield port


async def test_the_lanes_of_each_dialect_run_their_code_and_a_call_that_is_broken_off_is_counted(server: int) -> None:
    """This model often ends its turn in place of the tag that closes a call, and now and then within the code."""
    clock = asyncio.get_running_loop().time
    async with client(server) as http:
        engine = PersistentEngine(http)
        for family in FAMILIES:
            recorder, spoken = Recorder(), load_config("vllm-cpu", LANES | {"sample.family": family})
            runtime = Runtime(spoken, engine, ScriptedSandbox("225"), recorder, clock)
            solution = await solve_problem(starter_problems()[0], runtime, Allowance(600, 590))
            assert solution.answer == 225, family
            whole = [sample for sample in recorder.samples if sample.turns[0].tokens < spoken.sample.max_tokens]
            said = [sample.turns[0].text for sample in whole]
            assert len(whole) > 1 and all(sample.tool_runs or sample.unrun_blocks for sample in whole), said


async def test_the_family_of_what_a_server_serves_is_found_and_its_model_checked_and_used(server: int) -> None:
    keys = LANES | {"sample.family": "auto", "engine.kind": "http", "engine.url": f"http://127.0.0.1:{server}"}
    async with Agent.open("cpu", keys) as agent:
        assert (agent.config.sample.family, agent.config.engine.model) == ("qwen-coder", "model")
        assert agent.checked is not None and agent.checked.fault == ""
        solution = await agent.solve(starter_problems()[0])
    assert solution.answer == 225 and solution.tool_runs > 0


async def test_as_messages_it_takes_a_call_with_its_result_and_continues_an_answer_that_was_begun(server: int) -> None:
    chat, refusals = chat_format("chat", tools=True), list[str]()
    call = '<tool_call>\n{"name": "python", "arguments": {"code": "print(15 * 15)"}}\n</tool_call>'
    asked = chat.prompt(CompetitionTask(EDITIONS["aimo3"]), Problem("a", "How much is 15 times 15?"))
    begun = f"{asked}{call}{chat.tool_result('225')}"
    said = "The code has printed the answer."
    params = SamplingParams(24, temperature=0.0, stop=chat.stop_strings, answer_head=chat.answer_head)
    engine = ChatEngine(f"http://127.0.0.1:{server}/v1", probes=False, on_event=refusals.append)
    try:
        await engine.ready()
        after_result = [chunk async for chunk in engine.stream(begun, params)]
        prompt = begun + said + chat.force_answer(said).inserted
        forced = [chunk async for chunk in engine.stream(prompt, params._replace(forces_answer=True))]
    finally:
        await engine.close()
    assert sum(chunk.tokens for chunk in after_result) > 1 and after_result[-1].prompt_tokens
    assert "".join(chunk.text for chunk in forced).startswith("225}")
    assert refusals == []
