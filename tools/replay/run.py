"""Play one full run, or one problem, of recorded samples through the real solver in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from agent.agent import Agent
from agent.config import Config, load_config
from agent.editions import problems_to_come
from agent.engine.recorded import RecordedEngine, RecordedLane
from agent.events import Event, ProblemStarted, SampleEnded
from agent.gateway_run import next_allowance, solve_persistently
from agent.hardware.roofline import Hardware
from agent.lane.seed import sample_seed
from agent.metrics import is_right
from agent.run import OpenRun
from agent.sandbox.base import Session
from agent.solver import solve_problem
from agent.types import Allowance, Problem, Sample, SampleEnd, Solution, ToolRun, ToolStatus
from agent.virtual_time import run_virtual
from tools.replay.policies import policy_keys
from tools.replay.recordings import REPLAYED_EDITION, Recording

NO_LIMIT = 1e9  # seconds
_CUT = (SampleEnd.CANCELLED, SampleEnd.DEADLINE)


@dataclass(frozen=True, slots=True)
class Setting:
    """The settings shared by all runs of an experiment; `limit` is the time limit of a run in seconds.

    `stated` is how many problems the agent expects; None: as many as there are, of which it knows all from the start.
    """

    hardware: Hardware
    samples: int
    problems: int
    limit: float
    token_cap: int | None
    seed: int
    stated: int | None = None


@dataclass(frozen=True, slots=True)
class ProblemOutcome:
    """The outcome of one problem of a run; `index` is its place in the recording.

    `cut` counts the samples stopped before their end; `starved` says that the bank had no time left for it.
    """

    index: int
    correct: bool
    seconds: float
    tokens: int
    cut: int
    starved: bool


@dataclass(frozen=True, slots=True)
class Collector:
    """A listener that keeps the ended samples by problem."""

    samples: dict[str, list[Sample]]

    def __call__(self, event: Event) -> None:
        """Keep the sample that has ended; a problem that starts once more begins anew."""
        match event:
            case ProblemStarted(problem):
                self.samples[problem.id] = []
            case SampleEnded(sample):
                self.samples[sample.problem_id].append(sample)


@dataclass(frozen=True, slots=True)
class RecordedSandbox:
    """A sandbox that returns each code block's recorded result, after the time that it took."""

    tool_runs: dict[str, ToolRun]

    async def session(self, seed: int | None = None) -> Session:
        """Return a session that knows every recorded block."""
        return _RecordedSession(self.tool_runs)

    async def close(self) -> None:
        """Nothing to free."""


@dataclass(frozen=True, slots=True)
class _RecordedSession:
    tool_runs: dict[str, ToolRun]

    async def run(self, code: str, timeout: float | None = None) -> ToolRun:  # noqa: ASYNC109
        recorded = self.tool_runs.get(code, ToolRun(code, "", ToolStatus.ERROR, 0.0))
        await asyncio.sleep(recorded.seconds)
        return recorded

    async def close(self) -> None:
        pass


def replay_config(policy: str, recording: Recording, setting: Setting) -> Config:
    """Return the configuration of a run under the named policy: the profile's, without limits that hide the policy.

    That is, without a context limit and without the floor and ceiling of a problem's time.
    """
    keys = {
        "edition": REPLAYED_EDITION.name,
        "engine.context_tokens": 10**8,
        "sample.count": setting.samples,
        "sample.tools": bool(recording.tool_runs),
        "sample.max_tokens": setting.token_cap or 10**7,
        "sample.max_rounds": recording.max_rounds,
        "sample.answer_at_think_close": recording.answer_at_think_close,
        "sample.accept_printed_answer": recording.accept_printed_answer,
        "sample.max_failed_tool_runs": recording.max_failed_tool_runs,
        "sample.max_seconds": NO_LIMIT,
        "budget.time_limit_seconds": setting.limit,
        "budget.floor_seconds": 0,
        "budget.ceiling_seconds": NO_LIMIT,
        "budget.answer_reserve_seconds": recording.answer_reserve,
        "seed": setting.seed,
    }
    config = load_config("qwq", keys | policy_keys(policy))
    # As it was recorded: a family of one's own may have keys that its file could not have now.
    return config.model_copy(update={"sample": config.sample.model_copy(update={"family": recording.family})})


def draw_run(recording: Recording, setting: Setting, repeat: int) -> list[tuple[int, Problem, list[RecordedLane]]]:
    """Draw the problems of one run in order, each with its place in the recording and the samples of its lanes.

    Runs 2n and 2n + 1 are two runs over the same problems, in another order and with other samples. Where a recording
    has fewer problems than a run, some come twice. Samples are drawn without replacement. The draw depends on seed,
    recording and repeat alone, so policies are compared on the same runs.
    """
    chosen = random.Random(f"{setting.seed}/{recording.name}/{repeat // 2}/problems")
    indexes = list(range(len(recording.problems)))
    drawn: list[int] = []
    while len(drawn) < setting.problems:
        chosen.shuffle(indexes)
        drawn += indexes[: setting.problems - len(drawn)]
    rng = random.Random(f"{setting.seed}/{recording.name}/{repeat}/run")
    rng.shuffle(drawn)
    run = []
    for place, index in enumerate(drawn):
        recorded = recording.problems[index]
        problem = replace(recorded.problem, id=f"{recorded.problem.id}#{place}")
        run.append((index, problem, rng.sample(recorded.lanes, setting.samples)))
    return run


def play_run(
    config: Config, recording: Recording, setting: Setting, repeat: int
) -> tuple[list[ProblemOutcome], list[list[Sample]]]:
    """Play one full run; return each problem's outcome, in the order of the run, and its samples as they ended."""
    run = draw_run(recording, setting, repeat)
    lanes = {
        sample_seed(config.seed, problem.id, place): lane
        for _, problem, drawn in run
        for place, lane in enumerate(drawn)
    }
    agent = _agent(config, recording, setting, lanes)
    collector = Collector({})

    async def main() -> list[Solution]:
        with agent.begin([collector]) as under_way:
            problems = [problem for _, problem, _ in run]
            if setting.stated is None:
                return await under_way.solve_all(problems)
            return await _solve_one_by_one(problems, under_way, setting.stated)

    solutions = run_virtual(main())
    samples = [collector.samples[problem.id] for _, problem, _ in run]
    outcomes = [
        _outcome(index, problem, solution, drawn)
        for (index, problem, _), solution, drawn in zip(run, solutions, samples, strict=True)
    ]
    return outcomes, samples


async def _solve_one_by_one(problems: Sequence[Problem], run: OpenRun, stated: int) -> list[Solution]:
    """Solve problems as a gateway gives them, one after the other, with `stated` of them expected."""
    past: list[Solution] = []
    for problem in problems:
        left = problems_to_come(stated, len(past))
        allowance = next_allowance(run.bank, run.runtime.config, past, problems_left=left, at_most=run.bank.left)
        past.append(await solve_persistently(problem, run.runtime, allowance))
    return past


def play_problem(
    config: Config, recording: Recording, setting: Setting, index: int, drawn: Sequence[RecordedLane]
) -> tuple[ProblemOutcome, list[Sample]]:
    """Play one problem without a time limit; return its outcome, and its samples in the order in which they ended."""
    problem = recording.problems[index].problem
    lanes = {sample_seed(config.seed, problem.id, place): lane for place, lane in enumerate(drawn)}
    collector = Collector({})

    async def main() -> Solution:
        with _agent(config, recording, setting, lanes).begin([collector]) as run:
            return await solve_problem(problem, run.runtime, Allowance(NO_LIMIT, NO_LIMIT))

    solution = run_virtual(main())
    samples = collector.samples[problem.id]
    return _outcome(index, problem, solution, samples), samples


def _agent(config: Config, recording: Recording, setting: Setting, lanes: Mapping[int, RecordedLane]) -> Agent:
    return Agent(config, RecordedEngine(lanes, setting.hardware), RecordedSandbox(recording.tool_runs))


def _outcome(index: int, problem: Problem, solution: Solution, samples: Sequence[Sample]) -> ProblemOutcome:
    return ProblemOutcome(
        index=index,
        correct=bool(is_right(solution.answer, problem.answer)),
        seconds=solution.seconds,
        tokens=solution.tokens,
        cut=sum(sample.end in _CUT for sample in samples),
        starved=not solution.attempted,
    )
