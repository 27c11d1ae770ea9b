"""The AIMO editions, and how many problems of one are still to come."""

from __future__ import annotations

from agent.types import Edition

HOUR = 3600.0
_MORE = 4  # problems that are expected at least once all that were have come
_PART = 10  # one problem for so many that came may come beyond those that were expected

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

    A tenth of those that were answered may always come, as no number is sure enough to spend all time on the last one.
    Where more were answered than were expected, it is that tenth, and no fewer than four.
    """
    more = answered // _PART
    return max(expected - answered, more) if answered < expected else max(_MORE, more)
