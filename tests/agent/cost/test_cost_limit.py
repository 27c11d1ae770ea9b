"""The limit on what a run costs: no random mix of lengths, breaks and outages makes a run pass it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import Config
from agent.cost.ledger import CostLedger, open_ledger, recorded_cost, run_ledger
from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.engine.persistent import PersistentEngine
from agent.errors import EngineUnavailableError, StreamBrokenError
from agent.events import RequestCharged, RunWarning, fan_out
from agent.journal.journal import Journal, RunRecord, create_run, read_run
from agent.lane.runtime import Runtime
from agent.lane.transcript import most_tokens
from agent.policy.budget import TimeBank
from agent.run import run_problems
from agent.types import Problem, Solution, StopReason
from tests.support.doubles import Recorder, ScriptedEngine, ScriptedSandbox, config_with
from tests.support.tiers.cases import examples
from tests.support.virtual_time import run_virtual

PROBLEMS = [Problem(f"p{n}", f"Problem {n}?", n) for n in range(4)]
CODE = "```python\nprint(1)\n```\n"
PRICED = {"price__input_per_million": 1e6, "price__output_per_million": 2e6}  # 1 and 2 a token


@dataclass
class BillingEngine(ScriptedEngine):
    """Bills every token that it reads and writes, and reports the counts of some of its requests."""

    rng: random.Random = field(default_factory=random.Random)
    shakes: bool = False  # whether it breaks streams, is away and keeps counts to itself
    bill: float = 0.0
    requests: int = 0
    most_running: int = 0

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        chance = self.rng.random() if self.shakes else 1.0
        await asyncio.sleep(self.seconds)
        if chance < 0.05:
            raise EngineUnavailableError("busy")
        assert isinstance(prompt, str)
        length = len(prompt.split(" "))
        self.requests += 1
        self.bill += length
        generated = 0
        async for chunk in super().stream(prompt, params):
            generated += chunk.tokens
            self.bill += 2 * chunk.tokens
            self.most_running = max(self.most_running, self.running)
            tells = chunk.finish is not None and chance > 0.3
            yield Chunk(chunk.text, chunk.tokens, chunk.finish, prompt_tokens=length if tells else None)
            if 0.05 < chance < 0.15 and generated > 3:
                raise StreamBrokenError("broken")


def write(rng: random.Random) -> str:
    """A reply of random length, which may call Python, and may never end."""
    words = " ".join(["word"] * rng.randint(1, 60))
    end = rng.choice([CODE, CODE, "\\boxed{7} .", "\\boxed{8} .", "and " * 400, "no box"])
    return f"{words}\n{end}"


def run(
    engine: BillingEngine,
    config: Config,
    ledger: CostLedger | None,
    emit: Recorder | Journal,
    recorder: Recorder,
    before: RunRecord | None = None,
    *,
    stop_after: float | None = None,
) -> list[Solution]:
    async def main() -> list[Solution]:
        bank = TimeBank(config.time_limit_seconds, asyncio.get_running_loop().time)
        both = fan_out([emit, recorder])
        sandbox = ScriptedSandbox()
        parts = Runtime(config, PersistentEngine(engine), sandbox, both, lambda: bank.spent, ledger=ledger)
        async with asyncio.timeout(stop_after):
            return await run_problems(PROBLEMS, parts, bank, before=before)

    return run_virtual(main())


@dataclass
class Charges(Recorder):
    """A listener that keeps what was charged too, and what was warned of."""

    charges: list[RequestCharged] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __call__(self, event: object) -> None:
        match event:
            case RequestCharged():
                self.charges.append(event)
            case RunWarning(text):
                self.warnings.append(text)
            case _:
                super().__call__(event)  # type: ignore[arg-type]


@examples(60)
@given(
    st.integers(0, 10_000),
    st.floats(100, 60_000),
    st.integers(1, 6),
    st.integers(1, 3),
    st.integers(20, 400),
    st.booleans(),
)
def test_the_bill_never_passes_the_limit(
    seed: int, limit: float, lanes: int, in_flight: int, tokens: int, shakes: bool
) -> None:
    rng = random.Random(seed)
    config = config_with(
        **PRICED,
        budget__max_cost=limit,
        sample__count=lanes,
        problems_in_flight=in_flight,
        sample__max_tokens=tokens,
        sample__probe_tokens=rng.choice([0, 25]),
        stopping__rule=rng.choice(["price", "margin", "wait-for-all"]),
        budget__time_limit_seconds=rng.choice([200, 20_000]),
    )
    engine = BillingEngine(lambda prompt, params: write(rng), rng=rng, shakes=shakes)
    ledger = open_ledger(config)
    assert ledger is not None
    heard = Charges()
    solutions = run(engine, config, ledger, Recorder(), heard)
    assert engine.bill <= ledger.spent + 1e-6 <= limit + 1e-3
    assert sum(charge.cost for charge in heard.charges) == pytest.approx(ledger.spent)
    assert sum(sample.usage.cost for sample in heard.samples if sample.usage) == pytest.approx(ledger.spent)
    assert sum(sample.usage.requests for sample in heard.samples if sample.usage) >= engine.requests
    assert ledger.reserved == pytest.approx(0.0, abs=1e-6)
    limited = [each for each in solutions if each.stop is StopReason.COST_LIMIT]
    assert len(heard.warnings) == bool(limited)


def test_what_the_server_tells_is_what_it_costs_cached_tokens_at_their_own_price() -> None:
    class Telling(ScriptedEngine):
        async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
            async for chunk in super().stream(prompt, params):
                yield chunk
            yield Chunk("", 5, None, prompt_tokens=1_000, cached_tokens=900)

    config = config_with(sample__count=1, price__cached_input_per_million=1e5, **PRICED)
    heard = Charges()
    ledger = open_ledger(config)

    async def main() -> None:
        parts = Runtime(
            config,
            PersistentEngine(Telling(lambda prompt, params: "so \\boxed{7} .")),
            ScriptedSandbox(),
            heard,
            asyncio.get_running_loop().time,
            ledger=ledger,
        )
        await run_problems(PROBLEMS[:1], parts, TimeBank(1_000, asyncio.get_running_loop().time))

    run_virtual(main())
    (sample,) = heard.samples
    assert sample.usage is not None
    assert (sample.usage.requests, sample.usage.unreported) == (1, 0)
    assert (sample.usage.prompt_tokens, sample.usage.cached_tokens, sample.usage.tokens) == (1_000, 900, sample.tokens)
    assert sample.usage.cost == pytest.approx(100 + 90 + 2 * sample.tokens)


def test_without_prices_nothing_is_counted() -> None:
    config = config_with(sample__count=2)
    assert open_ledger(config) is None
    heard = Charges()
    run(BillingEngine(lambda prompt, params: "so \\boxed{7} ."), config, None, Recorder(), heard)
    assert [sample.usage for sample in heard.samples] == [None] * len(heard.samples)
    assert not heard.charges


def test_a_problem_for_which_no_money_is_left_has_no_answer_and_the_run_says_why_once() -> None:
    config = config_with(**PRICED, budget__max_cost=1.0, sample__count=2)
    engine, heard = BillingEngine(lambda prompt, params: "so \\boxed{7} ."), Charges()
    solutions = run(engine, config, open_ledger(config), Recorder(), heard)
    assert [(each.answer, each.stop, each.attempted) for each in solutions] == [
        (None, StopReason.COST_LIMIT, False)
    ] * len(PROBLEMS)
    assert not engine.requests
    (warning,) = heard.warnings
    assert warning.startswith(
        "the cost limit is reached: 0.0000 USD of 1.00 USD are spent, and another sample may cost"
    )


def test_a_problem_waits_for_what_the_samples_of_another_one_have_reserved() -> None:
    keys = {**PRICED, "sample__count": 1, "problems_in_flight": 4, "sample__max_tokens": 50}
    ledger = open_ledger(config_with(**keys))
    assert ledger is not None
    limit = 2.5 * ledger.needed(prompt_tokens())
    config = config_with(**keys, budget__max_cost=limit)
    engine = BillingEngine(lambda prompt, params: "so \\boxed{7} .")
    assert 4 * ledger.needed(prompt_tokens()) > limit > 5 * price_of_one(engine, config)
    solutions = run(engine, config, open_ledger(config), Recorder(), Charges())
    assert [each.answer for each in solutions] == [7] * len(PROBLEMS)
    assert engine.most_running == 2


def test_a_resumed_run_counts_what_its_earlier_parts_cost(tmp_path: Path) -> None:
    keys = {**PRICED, "sample__count": 1, "sample__max_tokens": 50}
    unlimited = open_ledger(config_with(**keys))
    assert unlimited is not None
    config = config_with(**keys, budget__max_cost=1.01 * unlimited.needed(prompt_tokens()))
    create_run(tmp_path, config, PROBLEMS)
    engine = BillingEngine(lambda prompt, params: "so \\boxed{7} .")

    def part(config: Config) -> tuple[list[Solution], RunRecord]:
        before = read_run(tmp_path)
        journal = Journal(tmp_path)
        solutions = run(engine, config, run_ledger(config, before, None), journal, Charges(), before)
        journal.close()
        return solutions, read_run(tmp_path)

    first, record = part(config)
    assert [each.stop is StopReason.COST_LIMIT for each in first] == [False, True, True, True]
    assert [*record.solved] == ["p0"]
    requests, spent = engine.requests, recorded_cost(record)
    assert spent == pytest.approx(record.samples[0].usage.cost if record.samples[0].usage else 0.0)
    again, record = part(config)
    assert (engine.requests, recorded_cost(record)) == (requests, spent)
    assert [each.stop for each in again] == [each.stop for each in first]
    raised = config_with(**keys, budget__max_cost=100 * unlimited.needed(prompt_tokens()))
    last, record = part(raised)
    assert [each.answer for each in last] == [7] * len(PROBLEMS)
    assert recorded_cost(record) == pytest.approx(4 * spent, rel=0.01)


def test_what_an_interrupted_sample_has_cost_is_recorded(tmp_path: Path) -> None:
    config = config_with(**PRICED, sample__count=2)
    create_run(tmp_path, config, PROBLEMS)
    journal, engine = Journal(tmp_path), BillingEngine(lambda prompt, params: "word " * 500)
    with pytest.raises(TimeoutError):
        run(engine, config, open_ledger(config), journal, Charges(), stop_after=30)
    journal.close()
    record = read_run(tmp_path)
    assert not record.samples
    assert recorded_cost(record) >= engine.bill > 0


def prompt_tokens() -> int:
    """An upper bound on those of the problems' prompts, as the agent takes it."""
    heard = Charges()
    config = config_with(sample__count=1)
    run(BillingEngine(lambda prompt, params: "so \\boxed{7} ."), config, None, Recorder(), heard)
    return most_tokens(heard.started[0][1])


def price_of_one(engine: BillingEngine, config: Config) -> float:
    """What a sample of the engine's costs."""
    other, heard = BillingEngine(engine.reply), Charges()
    run(other, config_with(**PRICED, sample__count=1), open_ledger(config_with(**PRICED)), Recorder(), heard)
    return max(sample.usage.cost for sample in heard.samples if sample.usage)
