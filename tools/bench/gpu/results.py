"""What was measured, one record each, as it is written to a line of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tools.bench.clients import Speed
from tools.bench.gpu.matrix import ServingMatrix, ServingVariant
from tools.bench.gpu.schedule import MatrixStep
from tools.bench.gpu.server_facts import was_late


@dataclass(frozen=True, slots=True)
class MatrixPlan:
    """What is measured where; a matrix is resumed only with the same model, files, machine and vLLM.

    `model` is its name with what tells its files apart, `random` the architecture of random weights or "". `machine`
    names GPUs or processor, `vllm` is the version. `config` is the configuration before the matrix varies it, of
    `profile`. Each lane of a speed generates `tokens`; accuracy is that of the bundled `problems`, named "" for none.
    """

    model: str
    digest: str
    random: str
    machine: str
    vllm: str
    profile: str
    config: Mapping[str, Any]
    matrix: ServingMatrix
    tokens: int
    problems: str
    problem_count: int


@dataclass(frozen=True, slots=True)
class ServerStarted:
    """A server that came up: after how many seconds, by parts where its log tells them, and what it took of memory.

    `weight_gib` are those of the weights, `kv_tokens` those that its KV cache holds, by its log; `gpu_gib` is what the
    driver reports of all GPUs. None where not told.
    """

    variant: ServingVariant
    seconds: float
    parts: Mapping[str, float] = field(default_factory=dict)
    weight_gib: float | None = None
    kv_tokens: int | None = None
    gpu_gib: float | None = None


@dataclass(frozen=True, slots=True)
class SpeedMeasured:
    """Lanes drawn through the agent and again through vLLM's own client, None where that failed.

    `roofline` is in tokens/s, `acceptance` the share of drafted tokens that the model accepted while the agent drew,
    `accepted_length` the mean tokens of a step, the model's own included; None where not known or nothing was drafted.
    `seconds` is what the measurement took in all.
    """

    variant: ServingVariant
    lanes: int
    agent: Speed
    vllm: Speed | None
    roofline: float | None
    acceptance: float | None
    accepted_length: float | None
    seconds: float

    @property
    def ratio(self) -> float | None:
        """The agent's speed over that of vLLM's client."""
        return self.agent.per_second / self.vllm.per_second if self.vllm else None

    @property
    def roofline_share(self) -> float | None:
        """The agent's speed over the roofline, which is that without speculation."""
        return self.agent.per_second / self.roofline if self.roofline else None


@dataclass(frozen=True, slots=True)
class ProblemVotes:
    """A problem's vote: the answer voted for, the right one, and the votes for either of all that were cast."""

    problem: str
    answer: int | None
    truth: int | None
    votes_for_answer: int
    votes_for_truth: int
    votes: int

    @property
    def right(self) -> bool:
        """Whether the vote is right."""
        return self.answer is not None and self.answer == self.truth


@dataclass(frozen=True, slots=True)
class AccuracyMeasured:
    """The bundled problems solved by the agent; `seconds` is what that took, `tokens` those of all samples."""

    variant: ServingVariant
    problems: tuple[ProblemVotes, ...]
    tokens: int
    seconds: float

    @property
    def right(self) -> int:
        """The number of problems whose vote is right."""
        return sum(problem.right for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Refused:
    """What vLLM or the machine cannot do, with the reason: a variant, or a step of it where `lanes` or `accuracy`."""

    variant: ServingVariant
    reason: str
    lanes: int | None = None
    accuracy: bool = False

    @property
    def step(self) -> MatrixStep | None:
        """The step, None where it is the whole variant."""
        return None if self.lanes is None and not self.accuracy else MatrixStep(self.variant, self.lanes)


Measured = ServerStarted | SpeedMeasured | AccuracyMeasured | Refused


@dataclass(frozen=True, slots=True)
class MatrixResults:
    """A plan with what was measured of it, in the order in which it was; of what is told twice the last counts."""

    plan: MatrixPlan
    records: tuple[Measured, ...] = ()

    def to_resume(self) -> MatrixResults:
        """The results to begin with when resumed: a server that was late, as on a busy machine, gets another chance."""
        kept = (each for each in self.records if not (isinstance(each, Refused) and was_late(each.reason)))
        return replace(self, records=tuple(kept))

    @property
    def servers(self) -> Mapping[ServingVariant, ServerStarted]:
        """The servers that came up."""
        return {each.variant: each for each in self.records if isinstance(each, ServerStarted)}

    @property
    def speeds(self) -> Mapping[tuple[ServingVariant, int], SpeedMeasured]:
        """The speeds by variant and lanes."""
        return {(each.variant, each.lanes): each for each in self.records if isinstance(each, SpeedMeasured)}

    @property
    def accuracies(self) -> Mapping[ServingVariant, AccuracyMeasured]:
        """The accuracies by variant."""
        return {each.variant: each for each in self.records if isinstance(each, AccuracyMeasured)}

    @property
    def refusals(self) -> Mapping[tuple[ServingVariant, MatrixStep | None], str]:
        """The reasons by what was refused."""
        return {(each.variant, each.step): each.reason for each in self.records if isinstance(each, Refused)}

    @property
    def refused_variants(self) -> list[ServingVariant]:
        """The variants that cannot be served at all."""
        return [variant for variant, step in self.refusals if step is None]

    @property
    def closed(self) -> list[MatrixStep]:
        """The steps that need not be taken again: measured or refused."""
        speeds = [MatrixStep(variant, lanes) for variant, lanes in self.speeds]
        accuracies = [MatrixStep(variant, None) for variant in self.accuracies]
        return speeds + accuracies + [step for _, step in self.refusals if step is not None]
