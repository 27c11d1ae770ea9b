"""The served model of an agent: its engine is started, what was left to be found is settled, and it is checked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from agent.chat.dialects import chat_format
from agent.chat.task import CompetitionTask, Task
from agent.config import Config
from agent.engine.base import Engine, OnEvent
from agent.engine.persistent import PersistentEngine
from agent.events import EngineStarted, HealthChecked, ServerMemory
from agent.hardware.detect import CPU, find_gpus, kv_cache_warning, lesser_gpus
from agent.hardware.expected_speed import expected_speed, roofline_speed
from agent.health.gate import HealthGate
from agent.policy.planning.speed import DecodingSpeed
from agent.sandbox.base import Sandbox

Reopen = Callable[[Config], Engine]
"""Creates another engine, of other settings of the server. Raises ConfigError if these do not fit this machine."""


class ModelService:
    """An `engine` with the `config` that is in force for it, also after a check that failed.

    `checked` says how the check went, `gpu_mismatch` what speaks against this machine's GPUs. `say` is called with
    what may be wrong, `tell` with what was found out; `cost_before` is what the run has cost already.
    `start_parts` are the seconds that the parts of the start took; where the check starts the server again, that counts
    as part of the check.
    """

    def __init__(self, config: Config, engine: Engine | PersistentEngine, *, say: OnEvent, tell: OnEvent) -> None:
        self._say = say
        self._tell = tell
        self.config = config
        if not isinstance(engine, PersistentEngine):
            engine = PersistentEngine(engine, on_event=say, start_seconds=config.engine.start_seconds)
        self.engine = engine
        self.cost_before = 0.0
        self.reopen: Reopen | None = None  # where the model is checked
        self.checked: HealthChecked | None = None
        self._billed = False
        self.gpu_mismatch = ""
        self.start_parts: dict[str, float] = {}
        self._memory: ServerMemory | None = None  # None for a server that tells nothing of its start
        self._roofline: DecodingSpeed | None = None

    @property
    def started(self) -> EngineStarted | None:
        """How the server came up, for the record of a run; None if it tells no parts of its start."""
        return None if self._memory is None else EngineStarted(dict(self.start_parts), self._memory)

    @property
    def expected_speed(self) -> DecodingSpeed | None:
        """How fast lanes are expected to be, by the hardware and the check; None where neither tells."""
        return expected_speed(self._roofline, self.checked.learnt if self.checked else ())

    def bill_check(self) -> HealthChecked | None:
        """How the model was checked, for the record of a run: the first one bears the cost, for the others it is 0."""
        checked, billed, self._billed = self.checked, self._billed, True
        return replace(checked, cost=0.0) if checked and billed else checked

    def settle(self, config: Config) -> None:
        """Take the configuration with what was left to be found, and tell which family that is."""
        if self.config.sample.family != config.sample.family:
            self._tell(f"sample.family is {config.sample.family}, by the model's chat template and name")
        self.config = config

    async def start(self, sandbox: Sandbox, task: Task | None) -> None:
        """Start the engine, with the task's prompt prefix evaluated, then check the model.

        Raises EngineError if the engine does not come up, ConfigError if the family of what a server serves is to be
        found but is not certain, UnhealthyModelError if the model fails its check: it serves all the same.
        """
        from agent.engine.configured import settle_model, start_of  # its clients are slow to import, often not needed

        clock = asyncio.get_running_loop().time
        started = clock()
        has_gpus = self.config.engine.kind == "vllm" and self.config.vllm.gpu != CPU
        gpus = find_gpus() if has_gpus else ()
        self.gpu_mismatch = lesser_gpus(self.config, gpus)
        self._roofline = roofline_speed(self.config, gpus)
        for warning in filter(None, (self.gpu_mismatch, kv_cache_warning(self.config))):
            self._say(warning)
        await self.engine.start()
        served = clock()
        told = start_of(self.engine.wrapped)
        self.start_parts = dict(told.parts) if told else {"engine, with its weights": served - started}
        self._memory = told.memory if told else None
        self.settle(await settle_model(self.config, self.engine.wrapped))
        sample = self.config.sample
        chat = chat_format(sample.family, tools=sample.tools, max_rounds=sample.max_rounds)
        await self.engine.warm(chat.prefix(task or CompetitionTask(self.config.rules)))
        self.start_parts["warm-up"] = (warmed := clock()) - served
        if self.reopen is not None:
            try:
                await self._check(self.reopen, sandbox, started)
            finally:
                self.start_parts["check of the model"] = clock() - warmed
                if again := start_of(self.engine.wrapped):  # the check may have started another server
                    self._memory = again.memory

    async def _check(self, reopen: Reopen, sandbox: Sandbox, started: float) -> None:
        gate = HealthGate(self.config, self.engine, sandbox, reopen, self._say, started, self.cost_before)
        try:
            await gate.check()
        finally:
            self.config, self.engine, self.checked = gate.config, gate.engine, gate.outcome
            self._billed = False
