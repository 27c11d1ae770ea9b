"""One problem with little money: samples that wait for it may still vote, and what is reserved is given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

import pytest

from agent.config import Config
from agent.cost.ledger import CostLedger, open_ledger
from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.engine.persistent import PersistentEngine
from agent.lane.runtime import Runtime
from agent.lane.seed import sample_seed
from agent.lane.transcript import most_tokens
from agent.solver import solve_problem
from agent.types import Allowance, Sample, SampleEnd, Solution, StopReason
from tests.support.doubles import PROBLEM, Recorder, ScriptedEngine, ScriptedSandbox, config_with
from tests.support.samples import sample
from tests.support.virtual_time import run_virtual

Keys = dict[str, object]

PRICED: Keys = {"price__input_per_million": 1e6, "price__output_per_million": 2e6, "sample__max_tokens": 50}
AMPLE = Allowance(500, 490)


def answers(*given: int) -> Callable[[str, SamplingParams], str]:
    """Sample n gives the nth answer after 20 tokens, or at once where it is forced."""
    by_seed = {sample_seed(0, "p1", index): answer for index, answer in enumerate(given)}

    def reply(prompt: str, params: SamplingParams) -> str:
        answer = f"{by_seed[params.seed or 0]}}}"
        return answer if prompt.endswith("\\boxed{") else " ".join(["word"] * 19) + f" \\boxed{{{answer}"

    return reply


def with_ledger(engine: ScriptedEngine, emit: Recorder, config: Config, clock: Callable[[], float]) -> Runtime:
    return Runtime(config, PersistentEngine(engine), ScriptedSandbox(), emit, clock, ledger=open_ledger(config))


def solve(
    engine: ScriptedEngine, keys: Keys, *, allowance: Allowance = AMPLE, prior: tuple[Sample, ...] = ()
) -> tuple[Solution, list[Sample]]:
    heard = Recorder()

    async def main() -> Solution:
        setting = with_ledger(engine, heard, config_with(**keys), asyncio.get_running_loop().time)
        return await solve_problem(PROBLEM, setting, allowance, prior)

    return run_virtual(main()), heard.samples


def costs() -> tuple[float, float]:
    """What is reserved for a sample, and what one costs."""
    config = config_with(**PRICED)
    _, (drawn,) = solve(ScriptedEngine(answers(42)), {**PRICED, "sample__count": 1})
    ledger = open_ledger(config)
    assert ledger is not None and drawn.usage is not None
    setting = with_ledger(ScriptedEngine(answers(42)), Recorder(), config, lambda: 0.0)
    return ledger.needed(most_tokens(setting.chat.prompt(setting.task, PROBLEM))), drawn.usage.cost


def test_a_tie_that_no_money_is_left_to_break_ends_at_the_cost_limit() -> None:
    needed, cost = costs()
    allowance = Allowance(500, 490, lanes=2)
    engine = ScriptedEngine(answers(42, 7, 7, 7))
    keys = {**PRICED, "sample__count": 4, "budget__max_cost": needed + cost}
    solution, _ = solve(engine, keys, allowance=allowance)
    assert (solution.answer, solution.stop, solution.samples_started) == (7, StopReason.COST_LIMIT, 2)


def test_samples_that_wait_for_money_may_still_catch_the_leader() -> None:
    needed, cost = costs()
    keys = {**PRICED, "sample__count": 8, "stopping__rule": "uncatchable", "budget__max_cost": needed + 7 * cost}
    solution, drawn = solve(ScriptedEngine(answers(7, 7, *[42] * 6)), keys)
    assert (solution.answer, solution.stop, solution.samples_started) == (42, StopReason.UNCATCHABLE, 7)
    assert all(each.tokens for each in drawn)


def test_a_vote_that_the_last_sample_settled_was_not_closed_for_want_of_money() -> None:
    needed, cost = costs()
    keys = {**PRICED, "sample__count": 4, "stopping__margin": 2, "budget__max_cost": needed + cost}
    solution, drawn = solve(ScriptedEngine(answers(42, 42, 7, 7)), keys)
    assert (solution.stop, len(drawn)) == (StopReason.MARGIN, 2)


def test_no_sample_is_started_where_those_of_an_earlier_try_have_settled_the_vote() -> None:
    prior = (sample(42), sample(42, index=1))
    solution, drawn = solve(ScriptedEngine(answers()), {"sample__count": 4, "stopping__margin": 2}, prior=prior)
    assert (solution.answer, solution.stop, drawn) == (42, StopReason.MARGIN, [])


class SlowlyClosed(ScriptedEngine):
    """Its streams take a second to close."""

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        try:
            async for chunk in super().stream(prompt, params):
                yield chunk
        finally:
            await asyncio.sleep(1)


@pytest.mark.parametrize("cancelled_at", [0.0, 5.5, 50.5, 51.5])  # before, in, after the samples, in forced answers
def test_a_problem_that_is_cancelled_gives_back_the_money_of_its_samples(cancelled_at: float) -> None:
    heard = Recorder()

    async def main() -> CostLedger:
        clock = asyncio.get_running_loop().time
        config = config_with(**{**PRICED, "sample__count": 3, "sample__max_tokens": 400, "budget__max_cost": 1e6})
        engine = SlowlyClosed(lambda prompt, params: "word " * 300)
        setting = with_ledger(engine, heard, config, clock)
        solving = asyncio.create_task(solve_problem(PROBLEM, setting, Allowance(60, 50)))
        await asyncio.sleep(cancelled_at)
        solving.cancel()
        with suppress(asyncio.CancelledError):
            await solving
        assert solving.cancelled() and setting.ledger is not None
        return setting.ledger

    ledger = run_virtual(main())
    assert not ledger.open_accounts and ledger.reserved == pytest.approx(0.0)
    assert (ledger.spent > 0) is (cancelled_at > 0)
    assert not any(each.end is SampleEnd.CANCELLED for each in heard.samples)


def test_a_forced_answer_is_paid_for_with_what_was_kept_for_it() -> None:
    needed, _ = costs()
    engine = ScriptedEngine(lambda prompt, params: "42}" if params.forces_answer else "word " * 400)
    _, (drawn,) = solve(engine, {**PRICED, "sample__count": 1, "budget__max_cost": needed})
    assert (drawn.answer, drawn.forced, drawn.end) == (42, True, SampleEnd.TOKEN_LIMIT)


def test_a_probe_that_no_money_is_left_for_is_left_out_and_costs_nothing() -> None:
    needed, cost = costs()
    keys = {**PRICED, "sample__count": 1, "sample__probe_tokens": 5}
    paid, scarce = ScriptedEngine(answers(42)), ScriptedEngine(answers(42))
    probed, unprobed = (
        solve(engine, {**keys, "budget__max_cost": limit})[1][0]
        for engine, limit in ((paid, 100 * needed), (scarce, needed))
    )
    assert probed.probes and len(paid.prompts) > 1
    assert (unprobed.answer, unprobed.probes, len(scarce.prompts)) == (42, (), 1)
    assert unprobed.usage is not None and unprobed.usage.cost == pytest.approx(cost)
