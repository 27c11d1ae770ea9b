"""A solution together with its samples, which a notebook shows as a page and a terminal as a few lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from agent.config import Config
from agent.cost.money import cost_text
from agent.jupyter.solution_html import solution_html
from agent.types import Problem, Sample, Solution
from agent.views.sample_votes import shortest_backer
from agent.views.verdict import STOP_MEANINGS, votes_text, why_won


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class SolutionWithSamples(Solution):
    """A solution with its problem and samples; `config` is the configuration in force when it was solved.

    As the value of a notebook's cell it shows the answer, the votes with their weights, why the answer won, and the
    shortest sample that agrees; everything that a model wrote is escaped.
    """

    problem: Problem
    samples: tuple[Sample, ...] = ()
    config: Config = field(compare=False)

    @property
    def evidence(self) -> Sample | None:
        """The shortest sample that gave the answer, a forced one only where there is no other."""
        return shortest_backer(self.samples, self.answer)

    def __repr__(self) -> str:
        answer = "no answer" if self.answer is None else f"answer {self.answer}"
        cost = cost_text(self.samples)
        paid = f" · cost {cost}" if cost else ""
        votes = f" · votes {votes_text(self, self.samples)}" if self.tally.votes else ""
        lines = [
            f"{self.problem_id}: {answer}{votes}",
            why_won(self, self.samples),
            f"Closed because {STOP_MEANINGS[self.stop]} · {self.seconds:,.0f} s · {self.tokens:,} tokens · "
            f"{self.tool_runs:,} tool runs{paid}",
            *([f"The engine failed: {self.failure}"] if self.failure else []),
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return solution_html(self, self.problem, self.samples, self.config)


def with_samples(
    solutions: Sequence[Solution], problems: Sequence[Problem], samples: Mapping[str, Sequence[Sample]], config: Config
) -> list[SolutionWithSamples]:
    """Join each solution with its problem, of the same place, and with the samples by the problem's id."""
    return [
        SolutionWithSamples(
            **{each.name: getattr(solution, each.name) for each in fields(Solution)},
            problem=problem,
            samples=tuple(samples.get(problem.id, ())),
            config=config,
        )
        for solution, problem in zip(solutions, problems, strict=True)
    ]
