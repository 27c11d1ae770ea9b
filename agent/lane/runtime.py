"""What all samples of a run work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from agent.chat.dialects import chat_format
from agent.chat.format import ChatFormat
from agent.chat.task import CompetitionTask, Task
from agent.config import Config
from agent.cost.ledger import CostLedger
from agent.engine.persistent import PersistentEngine
from agent.events import Listener
from agent.policy.planning.speed import DecodingSpeed
from agent.sandbox.base import Sandbox


@dataclass(frozen=True)
class Runtime:
    """The parts of a run; `emit` is given its events; `clock` gives seconds since it began.

    `own_task` is the kind of question where that is not a problem of the configured edition; `ledger` keeps the run's
    money, None where no cost is counted; `expected_speed` is what hardware and model let expect, None where that is not
    known.
    """

    config: Config
    engine: PersistentEngine
    sandbox: Sandbox
    emit: Listener
    clock: Callable[[], float]
    own_task: Task | None = None
    ledger: CostLedger | None = None
    expected_speed: DecodingSpeed | None = None

    @cached_property
    def task(self) -> Task:
        """The kind of question that is asked."""
        return self.own_task or CompetitionTask(self.config.rules)

    @cached_property
    def chat(self) -> ChatFormat:
        """How the model is spoken to."""
        sample = self.config.sample
        return chat_format(sample.family, tools=sample.tools, max_rounds=sample.max_rounds)
