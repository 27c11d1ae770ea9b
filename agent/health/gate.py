"""The health gate: no run begins with a served model that fails its check, if safer settings of the server help."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.config import Config, override_config
from agent.engine.base import Engine, OnEvent
from agent.engine.persistent import PersistentEngine
from agent.errors import ConfigError, EngineError, UnhealthyModelError
from agent.events import HealthChecked
from agent.health.check import CHECK_SECONDS, check_served_model
from agent.health.ladder import SaferStep, safer_steps
from agent.health.verdict import Health
from agent.sandbox.base import Sandbox

_LADDER_SECONDS = 1_200.0  # from the first start of the engine; a notebook waits half an hour for its first answer


@dataclass(slots=True)
class HealthGate:
    """Checks the model of an engine that serves since its start at `started`, on the loop's clock.

    `config` is the one in force and `engine` that of it, also where the check fails in the end. `reopen` creates the
    engine of another one, or raises ConfigError; `say` is called with what is done about a failed check. The run has
    cost `cost_before` already.
    """

    config: Config
    engine: PersistentEngine
    sandbox: Sandbox
    reopen: Callable[[Config], Engine]
    say: OnEvent
    started: float
    cost_before: float = 0.0
    outcome: HealthChecked | None = None
    _changed: dict[str, Any] = field(default_factory=dict)
    _start_seconds: float = 0.0
    _cost: float = 0.0

    async def check(self) -> None:
        """Check the model, with safer settings of its server one after the other until it passes.

        Raises UnhealthyModelError if it does not, RequestRefusedError if the server refuses the requests for good, and
        EngineError if the server does not come up again.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        self._start_seconds = began - self.started
        health = await self._health(self.config)
        try:
            for step in safer_steps(self.config):
                if not health.fault or health.unpaid:
                    break
                health = await self._checked_with(step, health)
        finally:  # also where the server does not come up again
            seconds = clock() - began
            self.outcome = HealthChecked(
                health.right, health.asked, seconds, health.fault, dict(self._changed), self._cost, health.learnt
            )
        if health.fault:
            raise _unhealthy(self.outcome, self.config, health)

    async def _checked_with(self, step: SaferStep, before: Health) -> Health:
        """The health with another step, or as `before` if the server does not start with it.

        A step is given up while there is time to start the server again as before.
        """
        loop = asyncio.get_running_loop()
        ends = self.started + _LADDER_SECONDS
        if loop.time() + 2 * self._start_seconds + CHECK_SECONDS > ends:
            self.say(f"{_failed(before)}; there is no time left to start the server again with {step.name}")
            return before
        self.say(f"{_failed(before)}; the server is started again with {step.name}")
        safer = override_config(self.config, step.keys)
        try:
            await self._restart(safer, ends - max(self._start_seconds + CHECK_SECONDS / 2, CHECK_SECONDS))
        except ConfigError as error:  # the server that there was still runs
            self.say(f"the server is not started with {step.name}: {error}")
            return before
        except (EngineError, TimeoutError) as error:
            self.say(f"the server does not start with {step.name}: {str(error) or 'it takes too long'}")
            await self._start_as_before(ends)
            return before
        self.config = safer
        self._changed |= step.keys
        return await self._health(safer)

    async def _health(self, config: Config) -> Health:
        health = await check_served_model(config, self.engine, self.sandbox, spent=self.cost_before + self._cost)
        self._cost += health.cost
        return health

    async def _start_as_before(self, until: float) -> None:
        try:
            await self._restart(self.config, until)
        except TimeoutError as error:
            raise EngineError(
                f"the server was started again as before its check and was not up {_LADDER_SECONDS:.0f} s after its "
                "first start: see its log, or skip the check with --no-check (engine.check = 'never')"
            ) from error

    async def _restart(self, config: Config, until: float) -> None:
        """Start the server anew. Raises TimeoutError if it is not up by `until` on the loop's clock."""
        engine = self.reopen(config)
        await self.engine.close()  # however long that takes: it holds the memory
        self.engine = PersistentEngine(engine, on_event=self.say, start_seconds=config.engine.start_seconds)
        async with asyncio.timeout_at(until):
            await self.engine.start()


def _unhealthy(checked: HealthChecked, config: Config, health: Health) -> UnhealthyModelError:
    """The error for the last `health` of a check, with the step that would help."""
    skip = "or skip the check with --no-check (engine.check = 'never')"
    tried = f", also with {', '.join(checked.changes)}" if checked.changed else ""
    failed = f"the served model failed its check{tried}: {checked.fault}"
    if health.unpaid:
        return UnhealthyModelError(
            f"the cost limit ended the check of the served model: {checked.fault}; give more with --max-cost "
            f"(budget.max_cost), {skip}"
        )
    if health.unserved and config.engine.kind == "http":
        return UnhealthyModelError(
            f"{failed} in {checked.seconds:.0f} s; start again when the server answers requests, {skip}: the run then "
            "waits for it as long as its time lasts"
        )
    return UnhealthyModelError(
        f"{failed}; try other weights or another version of the engine, see that sample.family "
        f"({config.sample.family}) is the model's, {skip}"
    )


def _failed(health: Health) -> str:
    return f"the served model failed its check: {health.fault}"
