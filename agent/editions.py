"""The AIMO editions, and how many problems of one are still to come."""

from __future__ import annotations

from agent.types import Edition

HOUR = 3600.0
_MORE = 4  # problems that are expected once all that were have come

EDITIONS = {
    edition.name: edition
    for edition in (
        Edition("aimo1", max_answer=999, modulus=1000, problem_count=50, time_limit_seconds=9 * HOUR),
        Edition("aimo2", max_answer=999, modulus=1000, problem_count=50, time_limit_seconds=5 * HOUR),
        Edition("aimo3", max_answer=99_999, modulus=None, problem_count=50, time_limit_seconds=5 * HOUR),
    )
}


def problems_to_come(expected: int, answered: int) -> int:
    """How many problems to reckon with where the gateway tells none, after so many were `answered` of those `expected`.

    Where it asks more than were expected, it is a few, so that none of them gets all the time that is left.
    """
    return expected - answered if expected > answered else _MORE
