"""The check of a model is paid once, however many runs its agent solves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent import Agent
from agent.cost.ledger import recorded_cost
from agent.journal.journal import RunRecord, read_run
from tests.support.servers.chat_server import ChatServer, said, serving_chat

KEYS = {
    "engine.model": "served",
    "engine.api_key_env": "",
    "sample.count": 1,
    "price.input_per_million": 1e6,
    "price.output_per_million": 1e6,
}
TOKENS = 20 + 2  # that the server counts for each reply


def solved(url: str, *directories: Path) -> list[RunRecord]:
    async def main() -> list[RunRecord]:
        async with Agent.open("hosted", {"engine.url": url, **KEYS}, on_engine_event=lambda text: None) as agent:
            for each in directories:
                await agent.solve("What is 6 times 7?", run_dir=each)
            await agent.solve("What is 6 times 7?", run_dir=directories[0], resume=True)
            assert agent.checked is not None and agent.checked.cost > 0
        return [read_run(each) for each in directories]

    return asyncio.run(main())


def test_only_the_first_run_of_an_agent_bears_the_cost_of_its_check(tmp_path: Path) -> None:
    with serving_chat(ChatServer(lambda body: [said("It is \\boxed{42}.")])) as server:
        first, second = solved(server.url, tmp_path / "first", tmp_path / "second")
    assert [check.right for check in (*first.checks, *second.checks)] == [2, 2]  # each says how it went, once
    assert second.checks[0].cost == 0 and recorded_cost(second) == pytest.approx(TOKENS)
    assert recorded_cost(first) == pytest.approx(first.checks[0].cost + TOKENS)
    assert first.checks[0].cost >= 2 * TOKENS
