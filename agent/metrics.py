"""The figures of runs, each defined once: correctness, pass@k, maj@k, time, tokens.

A figure of reports is a `Metric` in METRICS: the report's table, its page and the comparison of two runs show all that
is in there, and `agent.solve` below its table those with a `summary`. To add one, write its function and enter it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from agent.config import Config
from agent.cost.money import cost_of
from agent.policy.voting import tally
from agent.types import Problem, Sample, SampleEnd, Solution, is_kept


@dataclass(frozen=True, slots=True)
class ClosedProblem:
    """A problem that a run has closed, with all samples that were drawn for it."""

    problem: Problem
    solution: Solution
    samples: tuple[Sample, ...]

    @property
    def right(self) -> bool | None:
        """Whether its answer is right; None where the truth is not known."""
        return is_right(self.solution.answer, self.problem.answer)

    @property
    def attempts(self) -> tuple[Sample, ...]:
        """The samples that count as attempts."""
        return attempts_of(self.samples)


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of a closed problem; that of a run is its mean over the problems of which it is not None.

    `digits` after the point are shown. One that is `signed` is shown with its sign even where it is no difference.
    `summary` is what `agent.solve` shows of it, with a place for the value, as in "pass@1 {:.0%}"; nothing where empty.
    """

    name: str
    value: Callable[[ClosedProblem, Config], float | None]
    digits: int
    signed: bool = False
    summary: str = ""

    def mean(self, closed: Iterable[ClosedProblem], config: Config) -> float | None:
        """Its value for a run that closed these problems; None where it says nothing of any."""
        return mean_of_known(self.value(problem, config) for problem in closed)

    def text(self, value: float, *, difference: bool = False) -> str:
        """A value as it is shown."""
        sign = "+" if difference or self.signed else ""
        return f"{value:{sign},.{self.digits}f}"


def closed_problems(
    problems: Sequence[Problem], solutions: Sequence[Solution], samples: Sequence[Sample]
) -> list[ClosedProblem]:
    """The problem of each solution, in their order; of one that is not in the set neither text nor truth is known."""
    by_id = {problem.id: problem for problem in problems}
    drawn: dict[str, list[Sample]] = {}
    for sample in samples:
        drawn.setdefault(sample.problem_id, []).append(sample)
    return [
        ClosedProblem(by_id.get(one.problem_id, Problem(one.problem_id, "")), one, tuple(drawn.get(one.problem_id, ())))
        for one in solutions
    ]


def is_right(answer: int | None, truth: int | None) -> bool | None:
    """Whether the answer is the truth; None where the truth is not known."""
    return None if truth is None else answer == truth


def attempts_of(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """The samples that count as attempts.

    One that was cancelled because the vote was settled does not, as it was never finished, nor one that was lost with
    the engine and then drawn again. Every other does: one without an answer as wrong, a forced answer as what it is.
    """
    finished = [sample for sample in samples if sample.end is not SampleEnd.CANCELLED]
    kept = {(sample.problem_id, sample.index) for sample in finished if is_kept(sample)}
    return tuple(one for one in finished if is_kept(one) or (one.problem_id, one.index) not in kept)


def pass_at_k(drawn: int, right: int, k: int) -> float:
    """The chance that of k samples, taken at random from those drawn, one is right.

    The unbiased estimator of Chen et al. (2021): 1 - C(n - c, k) / C(n, k). Raises ValueError for more than were drawn.
    """
    if not 1 <= k <= drawn:
        raise ValueError(f"{k} of {drawn} samples")
    return 1.0 - math.comb(drawn - right, k) / math.comb(drawn, k)


def plain_majority(votes: Mapping[str, int], truths: Mapping[str, bool]) -> float:
    """Whether the answer with the most votes is right: 1 or 0, and where several lead, the share of them that is.

    `votes` counts each answer, `truths` says which are right. 0 where nobody voted.
    """
    most = max(votes.values(), default=0)
    leaders = [truths[answer] for answer, count in votes.items() if count == most]
    return fmean(leaders) if leaders else 0.0


def pass_at_1(samples: Sequence[Sample], truth: int | None) -> float | None:
    """The share of the attempts at a problem that are right; None where the truth is not known or there is none."""
    verdicts = [is_right(sample.answer, truth) for sample in attempts_of(samples)]
    if truth is None or not verdicts:
        return None
    return pass_at_k(len(verdicts), verdicts.count(True), 1)


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are there; None where none is."""
    told = [value for value in values if value is not None]
    return fmean(told) if told else None


def _single(closed: ClosedProblem, config: Config) -> float | None:
    return pass_at_1(closed.samples, closed.problem.answer)


def _majority(closed: ClosedProblem, config: Config) -> float | None:
    """Whether the vote of all attempts is right, by the run's own rule."""
    if closed.problem.answer is None or not closed.attempts:
        return None
    leader = tally(closed.attempts, config.voting, config.rules).leader
    return float(leader is not None and leader.answer == closed.problem.answer)


def _voting_gain(closed: ClosedProblem, config: Config) -> float | None:
    voted, single = _majority(closed, config), _single(closed, config)
    return None if voted is None or single is None else voted - single


def _tokens_a_sample(closed: ClosedProblem, config: Config) -> float | None:
    return fmean(sample.tokens for sample in closed.attempts) if closed.attempts else None


def _attempts(closed: ClosedProblem, *, code: bool) -> list[Sample]:
    return [sample for sample in closed.attempts if bool(sample.tool_runs) == code]


def _share_with_code(closed: ClosedProblem, config: Config) -> float | None:
    return len(_attempts(closed, code=True)) / len(closed.attempts) if closed.attempts else None


def _tool_runs_a_sample(closed: ClosedProblem, config: Config) -> float | None:
    return fmean(len(sample.tool_runs) for sample in closed.attempts) if closed.attempts else None


def _single_by_code(closed: ClosedProblem, *, code: bool) -> float | None:
    return pass_at_1(_attempts(closed, code=code), closed.problem.answer)


def _code_gain(closed: ClosedProblem, config: Config) -> float | None:
    """What the samples with code have more of pass@1 than the others, at a problem that has both."""
    ran, others = _single_by_code(closed, code=True), _single_by_code(closed, code=False)
    return None if ran is None or others is None else ran - others


def _agreement(closed: ClosedProblem, *, code: bool) -> float | None:
    """The share of votes for the answer, where only the votes tell what is right."""
    samples = _attempts(closed, code=code)
    answer = closed.solution.answer
    if closed.problem.answer is not None or answer is None or not samples:
        return None
    return fmean(sample.answer == answer for sample in samples)


METRICS = (
    Metric("share right", lambda closed, _: closed.right, 3, summary="majority {:.0%}"),
    Metric("pass@1", _single, 3, summary="pass@1 {:.0%}"),
    Metric("majority of all samples", _majority, 3),
    Metric("gain of voting over pass@1", _voting_gain, 3, signed=True),
    Metric("tokens by sample", _tokens_a_sample, 0),
    Metric("tokens by problem", lambda closed, _: float(closed.solution.tokens), 0),
    Metric("seconds by problem", lambda closed, _: closed.solution.seconds, 1),
    Metric("cost by problem", lambda closed, _: cost_of(closed.samples), 4),
    Metric("samples that ran code", _share_with_code, 3),
    Metric("tool runs by sample", _tool_runs_a_sample, 2),
    Metric("pass@1 with code", lambda closed, _: _single_by_code(closed, code=True), 3),
    Metric("pass@1 without code", lambda closed, _: _single_by_code(closed, code=False), 3),
    Metric("gain of code within a problem", _code_gain, 3, signed=True),
    Metric("votes for the answer with code", lambda closed, _: _agreement(closed, code=True), 3),
    Metric("votes for the answer without code", lambda closed, _: _agreement(closed, code=False), 3),
)
"""The figures that reports show, in their order."""
