"""Builders of samples, tool runs and solutions: plain ones, of which a test names only what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from agent.types import Sample, SampleEnd, Solution, StopReason, Tally, ToolRun, ToolStatus, Turn, Vote


def sample(answer: int | None, *, index: int = 0, tokens: int = 10, **changes: object) -> Sample:
    """A sample of problem `p1` that ended by itself after one turn."""
    end = SampleEnd.ANSWERED if answer is not None else SampleEnd.NO_ANSWER
    turns = (Turn("text", tokens, 1.0),)
    plain = Sample("p1", index, index, turns, answer, end, forced=False, started=0.0, seconds=1.0)
    return replace(plain, **changes)  # type: ignore[arg-type]


def tool_run(
    output: str = "42", status: ToolStatus = ToolStatus.OK, *, code: str = "print(6 * 7)", seconds: float = 1.0
) -> ToolRun:
    """A cell that printed the output."""
    return ToolRun(code, output, status, seconds)


def votes_of(counts: Mapping[int, int]) -> Tally:
    """So many votes for each answer, the leader first; each weighs 1."""
    return Tally(tuple(Vote(answer, float(count), count) for answer, count in counts.items()))


def solution(problem_id: str = "p1", votes: Mapping[int, int] | None = None, **changes: object) -> Solution:
    """A problem that was closed with these votes (one for 42 unless told otherwise), for its leader."""
    tally = votes_of({42: 1} if votes is None else votes)
    samples = sum(vote.samples for vote in tally.votes)
    plain = Solution(
        problem_id,
        tally.leader.answer if tally.leader else None,
        tally,
        StopReason.ALL_DONE,
        samples_started=samples,
        samples_finished=samples,
        tokens=10,
        tool_runs=0,
        seconds=5.0,
        allowance=60.0,
        at=7.0,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]
