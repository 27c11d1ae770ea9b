"""A run in sums, as the views and reports show it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.cost.money import cost_of, currency_of
from agent.metrics import attempts_of, closed_problems, is_right, mean_of_known, pass_at_1
from agent.types import Edition, Problem, Sample, Solution


@dataclass(frozen=True, slots=True)
class AttemptCount:
    """Of so many `samples` that count as attempts, those that voted for their problem's answer.

    `known` are those at problems whose truth is known, `right` those of them that have it.
    """

    samples: int
    voted_for_answer: int
    known: int
    right: int


@dataclass(frozen=True, slots=True)
class Totals:
    """A run in figures.

    Of the `problems` of the set, `closed` have a solution; `attempted` those of them that were given time and money,
    `answered` those with an answer, `known` those whose truth is known, `correct` those that match it.
    Samples, tokens and tool runs are summed over the solutions. `seconds` is the wall time with at least one
    problem in flight: problems solved side by side count once, pauses between problems not at all.
    `samples_with_unrun_code` counts the samples that opened a block of code that was not run, those that were cut
    short from outside left aside. `with_code` counts the attempts at the closed problems that ran code, `without_code`
    the others. `scored_problems` is how many a scored run of the edition has. `cost` is that of the samples, in
    `currency`; None where none of them has one.

    `pass_at_1` is the chance that one sample drawn at random is right: the mean, over the known problems with
    a sample that counts, of the share of those samples that are right; None where there is no such problem.
    """

    problems: int
    closed: int
    attempted: int
    answered: int
    known: int
    correct: int
    samples: int
    samples_finished: int
    tokens: int
    tool_runs: int
    seconds: float
    pass_at_1: float | None
    samples_with_unrun_code: int
    with_code: AttemptCount
    without_code: AttemptCount
    scored_problems: int
    cost: float | None = None
    currency: str = ""

    @property
    def majority(self) -> float | None:
        """Share of the known problems whose answer is right; None where no truth is known."""
        return self.correct / self.known if self.known else None

    @property
    def tokens_per_second(self) -> float:
        """Generated tokens by wall time; 0 where no time has passed."""
        return self.tokens / self.seconds if self.seconds > 0 else 0.0

    @property
    def projected_seconds(self) -> float | None:
        """What a scored run would take at the mean of the attempted problems; None where none was attempted."""
        return self.seconds / self.attempted * self.scored_problems if self.attempted else None


def totals(
    problems: Sequence[Problem], solutions: Sequence[Solution], samples: Sequence[Sample], edition: Edition
) -> Totals:
    """The figures of a run from what was recorded of it; `solutions` holds one for each closed problem."""
    truths = {problem.id: problem.answer for problem in problems}
    closed = closed_problems(problems, solutions, samples)
    verdicts = [each.right for each in closed]
    attempts = attempts_of(samples)
    return Totals(
        problems=len(problems),
        closed=len(solutions),
        attempted=sum(solution.attempted for solution in solutions),
        answered=sum(solution.answer is not None for solution in solutions),
        known=sum(verdict is not None for verdict in verdicts),
        correct=verdicts.count(True),
        samples=sum(solution.samples_started for solution in solutions),
        samples_finished=sum(solution.samples_finished for solution in solutions),
        tokens=sum(solution.tokens for solution in solutions),
        tool_runs=sum(solution.tool_runs for solution in solutions),
        seconds=busy_seconds(solutions),
        pass_at_1=mean_of_known(pass_at_1(each.samples, each.problem.answer) for each in closed),
        samples_with_unrun_code=sum(sample.unrun_blocks > 0 for sample in samples),
        with_code=count_attempts(solutions, [sample for sample in attempts if sample.tool_runs], truths),
        without_code=count_attempts(solutions, [sample for sample in attempts if not sample.tool_runs], truths),
        scored_problems=edition.problem_count,
        cost=cost_of(samples),
        currency=currency_of(samples),
    )


def count_attempts(
    solutions: Sequence[Solution], samples: Sequence[Sample], truths: Mapping[str, int | None]
) -> AttemptCount:
    """Count those of the samples that are attempts at the closed problems."""
    answers = {solution.problem_id: solution.answer for solution in solutions}
    counted = [sample for sample in attempts_of(samples) if sample.problem_id in answers]
    verdicts = [is_right(sample.answer, truths.get(sample.problem_id)) for sample in counted]
    agreeing = sum(sample.answer is not None and sample.answer == answers[sample.problem_id] for sample in counted)
    return AttemptCount(len(counted), agreeing, len(verdicts) - verdicts.count(None), verdicts.count(True))


def busy_seconds(solutions: Sequence[Solution]) -> float:
    """The time with at least one problem in flight; overlaps count once."""
    total, covered = 0.0, -math.inf
    for begin, end in sorted((solution.at - solution.seconds, solution.at) for solution in solutions):
        total += max(0.0, end - max(begin, covered))
        covered = max(covered, end)
    return total
