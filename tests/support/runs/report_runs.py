"""Runs made by hand or at any size, written as a run directory, for the tests of the report."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.config import Config
from agent.events import ProblemSolved, ProblemStarted, SampleEnded
from agent.journal.journal import Journal, create_run
from agent.policy.voting import tally
from agent.types import Problem, Sample, SampleEnd, Solution, StopReason, ToolRun, ToolStatus, Turn
from tests.support.doubles import config_with
from tests.support.samples import sample
from tests.support.texts.fenced import tool_result


def vote(index: int, answer: int | None, **changes: Any) -> Sample:
    """A sample that voted so."""
    return sample(answer, index=index, **changes)


def solved(
    problem_id: str,
    samples: Sequence[Sample],
    *,
    at: float = 10.0,
    seconds: float = 10.0,
    stop: StopReason = StopReason.ALL_DONE,
) -> Solution:
    """The solution that these samples vote for."""
    votes = tally(samples, config_with().voting, config_with().rules)
    tokens = sum(each.tokens for each in samples)
    runs = sum(len(each.tool_runs) for each in samples)
    answer = votes.leader.answer if votes.leader else None
    return Solution(problem_id, answer, votes, stop, len(samples), len(samples), tokens, runs, seconds, 60.0, at, 1.0)


def write_run(
    directory: Path,
    problems: Sequence[Problem],
    samples: Mapping[str, Sequence[Sample]],
    *,
    config: Config | None = None,
    closed: Sequence[Solution] | None = None,
) -> Path:
    """Record a run in which each problem took 10 seconds, one after the other, unless `closed` says otherwise."""
    create_run(directory, config or config_with(), problems)
    journal = Journal(directory)
    for place, problem in enumerate(problems):
        mine = [replace(each, problem_id=problem.id) for each in samples.get(problem.id, ())]
        journal(ProblemStarted(problem, f"PROMPT {problem.text}", 60.0, len(mine)))
        for each in mine:
            journal(SampleEnded(each))
        if closed is None and mine:
            journal(ProblemSolved(solved(problem.id, mine, at=10.0 * (place + 1))))
    for solution in closed or ():
        journal(ProblemSolved(solution))
    journal.close()
    return directory


_LETTERS = random.Random(1)
_WORDS = ["".join(_LETTERS.choices("etaoinshrdlu", k=_LETTERS.randint(2, 9))) for _ in range(6_000)]
FORMULAS = (
    r"\frac{a_{%d}}{b+%d}",
    r"x^{%d} \equiv %d \pmod{p}",
    r"\sum_{i=%d}^{n} \binom{n}{i} x^{%d}",
    r"\sqrt{%d + \frac{1}{%d}}",
    r"a_%d \le %d",
    r"\gcd(%d, %d)",
)


def synthetic_run(directory: Path, problems: int, samples: int, tokens: int, seed: int = 0) -> Path:
    """A run of made-up reasoning: prose of a skewed vocabulary with formulas, code and its output.

    A token stands for four characters. Paragraphs come from a store so large that a transcript hardly repeats one.
    """
    rng = random.Random(seed)
    store = [_paragraph(rng) for _ in range(4_000)]
    asked = [
        Problem(f"made-{place:02d}", f"Find $x_{{{place}}}$ where $x^2+{place}=7$.", place) for place in range(problems)
    ]
    drawn = {
        problem.id: [
            _made_up(rng, store, index, int(tokens * rng.uniform(0.7, 1.3)), place) for index in range(samples)
        ]
        for place, problem in enumerate(asked)
    }
    return write_run(directory, asked, drawn)


def _made_up(rng: random.Random, store: Sequence[str], index: int, tokens: int, truth: int) -> Sample:
    rounds = rng.randint(1, 5)
    turns = []
    for place in range(rounds):
        text = _prose(rng, store, 4 * tokens // rounds)
        if place < rounds - 1:
            code = "".join(f"for i in range({rng.randint(1, 999)}):\n    print(i ** {k})\n" for k in range(8))
            run = ToolRun(code, f"{rng.random()}\n" * 5, ToolStatus.OK, 0.3 * rng.random())
            text += f"\n```python\n{code}```"
            turns.append(Turn(text, tokens // rounds, 7.5 / rounds, tool_result(run.output), run))
        else:
            turns.append(Turn(text, tokens // rounds, 7.5 / rounds))
    answer = rng.choice((truth, truth, rng.randint(0, 999), None))
    end = SampleEnd.ANSWERED if answer is not None else SampleEnd.NO_ANSWER
    made = vote(index, answer, turns=tuple(turns), end=end, started=10.0 * truth + 0.1 * index, seconds=8.5)
    return replace(made, mean_logprob=-rng.random(), tail_logprob=-rng.random())


def _prose(rng: random.Random, store: Sequence[str], chars: int) -> str:
    pieces: list[str] = []
    length = 0
    while length < chars:
        pieces.append(rng.choice(store))
        length += len(pieces[-1])
    return "".join(pieces)


def _paragraph(rng: random.Random) -> str:
    sentences = []
    for _ in range(rng.randint(2, 6)):
        words = [_WORDS[int(len(_WORDS) ** rng.random()) - 1] for _ in range(12)]
        formula = rng.choice(FORMULAS) % (rng.randint(1, 99), rng.randint(1, 99))
        sentences.append(" ".join(words) + (f" ${formula}$" if rng.random() < 0.5 else ""))
    return ". ".join(sentences) + ".\n\n"
