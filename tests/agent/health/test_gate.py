"""The check and the ladder in virtual time: what is drawn, when it ends, what is changed, and what is said of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from agent.config import Config, load_config
from agent.engine.base import SamplingParams
from agent.engine.persistent import PersistentEngine
from agent.errors import ConfigError, EngineError, UnhealthyModelError
from agent.health.check import CHECK_SECONDS
from agent.health.gate import HealthGate
from agent.problems.reader import check_problems
from tests.support.doubles import ScriptedEngine, ScriptedSandbox
from tests.support.virtual_time import run_virtual

NOISE = " ".join(["??"] * 4_000)
SPECULATION = ("--speculative-config", '{"method": "ngram", "num_speculative_tokens": 4}')
RISKY = {"vllm.kv_cache_dtype": "fp8", "vllm.extra_args": [*SPECULATION, "--seed", "3"]}
Sound = Callable[[Config], bool]


def right(prompt: str, params: SamplingParams) -> str:
    asked = next(problem for problem in check_problems() if problem.text in prompt)
    return f"It is easy to see that the answer is \\boxed{{{asked.answer}}}"


def wrong(prompt: str, params: SamplingParams) -> str:
    return "It is easy to see that the answer is \\boxed{7}"


def noise(prompt: str, params: SamplingParams) -> str:
    return NOISE


@dataclass
class Server(ScriptedEngine):
    """A server of one configuration; it takes `start_seconds` to start and refuses a second start once closed."""

    start_seconds: float = 100.0
    dies: bool = False
    closed: bool = False

    async def ready(self) -> None:
        assert not self.closed
        if not self.restarts:
            await asyncio.sleep(self.start_seconds)
        if self.dies:
            raise EngineError("the server died at its start")
        await super().ready()

    async def close(self) -> None:
        self.closed = True


@dataclass
class Machine:
    """Starts servers: those of a `sound` configuration answer right. One at a time, as the GPU holds one."""

    sound: Sound
    broken: Callable[[str, SamplingParams], str] = noise
    starts: Callable[[Config], float | None] = lambda config: 100.0
    fits: Sound = lambda config: True
    servers: list[tuple[Config, Server]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    last: HealthGate = field(init=False)

    def open(self, config: Config) -> Server:
        if not self.fits(config):
            raise ConfigError("one lane does not fit the memory")
        seconds = self.starts(config)
        reply = right if self.sound(config) else self.broken
        server = Server(reply, 0.02, start_seconds=seconds or 20.0, dies=seconds is None)
        self.servers.append((config, server))
        return server

    async def pass_gate(self, config: Config, cost_before: float = 0.0) -> HealthGate:
        engine = PersistentEngine(self.open(config))
        started = asyncio.get_running_loop().time()
        await engine.start()
        gate = HealthGate(config, engine, ScriptedSandbox(), self._reopen, self.said.append, started, cost_before)
        self.last = gate
        try:
            await gate.check()
        finally:
            assert [server.closed for _, server in self.servers[:-1]] == [True] * (len(self.servers) - 1)
            assert gate.engine.wrapped is self.servers[-1][1] and gate.config == self.servers[-1][0]
        return gate

    def _reopen(self, config: Config) -> Server:
        return self.open(config)


def vllm_config(**keys: Any) -> Config:
    return load_config("vllm", {"engine.model": "some-model", "sample.family": "qwq-preview", **RISKY, **keys})


def steps_of(config: Config) -> tuple[str, bool, bool]:
    speculates = "--speculative-config" in config.vllm.extra_args
    return config.vllm.kv_cache_dtype, speculates, config.vllm.enforce_eager


def test_a_sound_model_passes_at_once_and_nothing_is_changed() -> None:
    machine = Machine(sound=lambda config: True)
    gate = run_virtual(machine.pass_gate(vllm_config()))
    assert gate.outcome is not None
    assert (gate.outcome.right, gate.outcome.asked, gate.outcome.fault, gate.outcome.changed) == (2, 2, "", {})
    assert gate.outcome.seconds < 2
    assert (len(machine.servers), machine.said, gate.config) == (1, [], vllm_config())


@pytest.mark.parametrize(
    ("sound", "servers", "in_force"),
    [
        (lambda c: c.vllm.kv_cache_dtype == "auto", 2, ("auto", True, False)),
        (lambda c: "--speculative-config" not in c.vllm.extra_args, 3, ("auto", False, False)),
        (lambda c: c.vllm.enforce_eager, 4, ("auto", False, True)),
    ],
)
def test_the_ladder_is_walked_to_the_first_settings_that_help(
    sound: Sound, servers: int, in_force: tuple[str, bool, bool]
) -> None:
    machine = Machine(sound)
    gate = run_virtual(machine.pass_gate(vllm_config()))
    assert len(machine.servers) == servers
    assert steps_of(gate.config) == in_force
    assert gate.config.vllm.extra_args[-2:] == ("--seed", "3")
    assert len(machine.said) == servers - 1
    assert all("wrote no language but one character over and over, like '?? ??" in said for said in machine.said)
    assert gate.outcome is not None and gate.outcome.fault == ""
    assert set(gate.outcome.changed) == {"vllm.kv_cache_dtype", "vllm.extra_args", "vllm.enforce_eager"} & {
        "vllm.kv_cache_dtype",
        *(["vllm.extra_args"] if servers > 2 else []),
        *(["vllm.enforce_eager"] if servers > 3 else []),
    }
    assert "vllm.kv_cache_dtype = 'auto'" in gate.outcome.text


@pytest.mark.parametrize(("broken", "seen"), [(noise, "'?? ?? ??"), (wrong, "'It is easy to see")])
def test_a_model_that_nothing_helps_is_stopped_with_what_it_wrote_and_the_last_settings_stay(
    broken: Callable[[str, SamplingParams], str], seen: str
) -> None:
    machine = Machine(lambda config: False, broken)
    with pytest.raises(UnhealthyModelError) as caught:
        run_virtual(machine.pass_gate(vllm_config()))
    message = str(caught.value)
    assert seen in message and "also with vllm.kv_cache_dtype = 'auto'" in message
    assert "--no-check" in message and "sample.family (qwq-preview)" in message and "\n" not in message
    assert [steps_of(config) for config, _ in machine.servers] == [
        ("fp8", True, False),
        ("auto", True, False),
        ("auto", False, False),
        ("auto", False, True),
    ]


def keeps_fp8(config: Config) -> bool:
    return config.vllm.kv_cache_dtype == "fp8"


@pytest.mark.parametrize("fault", ["does not fit", "does not start"])
def test_settings_that_cannot_be_started_are_left_out_of_the_next_ones(fault: str) -> None:
    machine = Machine(sound=lambda config: config.vllm.enforce_eager)
    if fault == "does not fit":
        machine.fits = keeps_fp8
    else:
        machine.starts = lambda config: 100.0 if keeps_fp8(config) else None
    gate = run_virtual(machine.pass_gate(vllm_config()))
    assert steps_of(gate.config) == ("fp8", False, True)
    assert gate.outcome is not None and "vllm.kv_cache_dtype" not in gate.outcome.changed


def test_a_server_that_does_not_come_up_in_time_is_started_as_before() -> None:
    machine = Machine(sound=lambda config: False, starts=lambda config: 100.0 if keeps_fp8(config) else 1e6)
    with pytest.raises(UnhealthyModelError):
        run_virtual(machine.pass_gate(vllm_config()))
    assert [keeps_fp8(config) for config, _ in machine.servers] == [True, False, True]
    assert "the server does not start with its KV cache in 16 bits: it takes too long" in machine.said


@pytest.mark.parametrize("seconds", [5.0, 100.0, 300.0])
def test_the_way_back_from_a_step_that_takes_too_long_ends_within_the_ladder_s_limit(seconds: float) -> None:
    machine = Machine(sound=lambda config: False)
    machine.starts = lambda config: 1e6 if machine.servers else seconds

    async def main() -> float:
        with pytest.raises(EngineError, match=r"was started again as before its check and was not up 1200 s after"):
            await machine.pass_gate(vllm_config())
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(1_200.0, abs=1.0)
    assert [keeps_fp8(config) for config, _ in machine.servers] == [True, False, True]


@pytest.mark.parametrize("seconds", [5.0, 100.0, 300.0])
def test_a_step_that_takes_too_long_leaves_time_to_start_as_slowly_as_at_first(seconds: float) -> None:
    machine = Machine(sound=lambda config: False, starts=lambda config: seconds if keeps_fp8(config) else 1e6)

    async def main() -> float:
        with pytest.raises(UnhealthyModelError):
            await machine.pass_gate(vllm_config())
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) <= 1_200.0
    assert [keeps_fp8(config) for config, _ in machine.servers] == [True, False, True]


def test_a_server_that_does_not_come_up_again_at_all_is_an_error() -> None:
    machine = Machine(sound=lambda config: False)
    machine.starts = lambda config: None if len(machine.servers) else 100.0
    with pytest.raises(EngineError, match="died at its start"):
        run_virtual(machine.pass_gate(vllm_config()))


def test_a_server_that_starts_slowly_is_not_started_again_and_again() -> None:
    machine = Machine(sound=lambda config: False, starts=lambda config: 900.0)

    async def main() -> float:
        with pytest.raises(UnhealthyModelError):
            await machine.pass_gate(vllm_config())
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) < 900 + 2 * CHECK_SECONDS
    assert len(machine.servers) == 1
    assert all("no time left to start the server again" in said for said in machine.said)


@pytest.mark.parametrize("before", [0.0, 2.0])
def test_all_checks_together_and_what_the_run_has_cost_before_stay_within_its_limit(before: float) -> None:
    """A word costs 1."""
    limit = 3_000.0
    price = {"price.input_per_million": 1e-3, "price.output_per_million": 1e6, "budget.max_cost": limit}
    keys = {**price, "sample.max_tokens": 500, "sample.count": 2}
    for spent in (before, before + limit / 2, before + limit):
        machine = Machine(sound=lambda config: False)
        gate = machine.pass_gate(vllm_config(**keys), cost_before=spent)
        with pytest.raises(UnhealthyModelError):
            run_virtual(gate)
        assert machine.last.outcome is not None
        assert spent + machine.last.outcome.cost <= max(limit, spent) * (1 + 1e-6)
        assert (machine.last.outcome.cost > 0) == (spent < limit)


@pytest.mark.parametrize("limit", [1e5, 30.0, 1.0])
@pytest.mark.parametrize("seconds", [0.001, 0.05, 5.0, 1e5])
def test_the_check_ends_in_time_however_slow_the_model_is_and_no_later_than_the_run(
    seconds: float, limit: float
) -> None:
    async def main() -> float:
        engine = PersistentEngine(Server(noise, seconds, start_seconds=0.0))
        await engine.start()
        config = load_config("cpu", {"budget.time_limit_seconds": limit})
        gate = HealthGate(config, engine, ScriptedSandbox(), lambda config: engine.wrapped, print, 0.0)
        with pytest.raises(UnhealthyModelError):
            await gate.check()
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) <= min(CHECK_SECONDS, limit) + 1


def test_only_a_few_lanes_and_tokens_are_drawn_under_the_settings_of_the_run() -> None:
    asked: list[SamplingParams] = []

    def reply(prompt: str, params: SamplingParams) -> str:
        asked.append(params)
        return "word " * 50_000

    machine = Machine(sound=lambda config: False, broken=reply)
    config = vllm_config(**{"sampling.temperature": 0.55, "sampling.top_k": 17, "vllm.enforce_eager": True})
    with pytest.raises(UnhealthyModelError):
        run_virtual(machine.pass_gate(config))
    first = asked[:4]
    assert len(machine.servers) == 3
    assert all((params.temperature, params.top_k) == (0.55, 17) for params in first)
    assert all(params.max_tokens <= 2_048 for params in first)
    assert len({params.seed for params in first}) == 4


def test_all_checks_together_cost_no_more_than_the_run_may() -> None:
    ample, scarce = (Machine(sound=lambda config: not steps_of(config)[1]) for _ in range(2))
    prices = {"price.input_per_million": 1e6, "price.output_per_million": 1e6}
    gate = run_virtual(ample.pass_gate(vllm_config(**prices, **{"budget.max_cost": 1e6})))
    assert gate.outcome is not None and gate.outcome.cost > 1.5e4
    with pytest.raises(UnhealthyModelError, match=r"the cost limit ended the check .* more with --max-cost") as ended:
        run_virtual(scarce.pass_gate(vllm_config(**prices, **{"budget.max_cost": 1.5e4})))
    assert "other weights" not in str(ended.value)
    assert "wrote no language" in scarce.said[0]  # there was money for the first check
