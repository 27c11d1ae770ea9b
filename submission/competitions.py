"""What each competition asks of a submission beyond the range of its answers."""

from __future__ import annotations

from dataclasses import dataclass

from agent.editions import EDITIONS
from agent.errors import InputError
from agent.types import Edition


@dataclass(frozen=True, slots=True)
class Competition:
    """One competition on Kaggle; `profile` is the agent's set-up for its machine.

    `response_seconds` is what the gateway waits for an answer (None: as long as the run may take); its first call has
    no deadline, because the model is loaded then. A notebook is run `scored_runs` times for the private score. The
    run ends `margin_seconds` before the edition's limit: the container's start and end are not on our clock.
    """

    edition: Edition
    slug: str
    machine_shape: str
    profile: str
    response_seconds: float | None
    scored_runs: int
    margin_seconds: float = 600.0


COMPETITIONS = {
    "aimo1": Competition(EDITIONS["aimo1"], "ai-mathematical-olympiad-prize", "NvidiaTeslaT4", "kaggle-t4x2", None, 1),
    "aimo2": Competition(
        EDITIONS["aimo2"],
        "ai-mathematical-olympiad-progress-prize-2",
        "NvidiaL4",
        "kaggle-l4x4",
        response_seconds=1_800.0,
        scored_runs=1,
    ),
    "aimo3": Competition(
        EDITIONS["aimo3"], "ai-mathematical-olympiad-progress-prize-3", "NvidiaH100", "kaggle-h100", None, 2
    ),
}


def competition_of(edition: str) -> Competition:
    """The competition of an edition's name. Raises InputError for an unknown one."""
    if edition not in COMPETITIONS:
        raise InputError(f"unknown edition {edition!r}: give one of {', '.join(COMPETITIONS)}")
    return COMPETITIONS[edition]
