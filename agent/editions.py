"""The three AIMO editions."""

from __future__ import annotations

from agent.types import Edition

HOUR = 3600.0

EDITIONS = {
    edition.name: edition
    for edition in (
        Edition("aimo1", max_answer=999, modulus=1000, problem_count=50, time_limit_seconds=9 * HOUR),
        Edition("aimo2", max_answer=999, modulus=1000, problem_count=50, time_limit_seconds=5 * HOUR),
        Edition("aimo3", max_answer=99_999, modulus=None, problem_count=50, time_limit_seconds=5 * HOUR),
    )
}
