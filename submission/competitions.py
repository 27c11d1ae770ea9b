"""What each competition on Kaggle asks of a submission, a record each; its rules for answers are its edition's."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from agent.editions import EDITIONS
from agent.errors import InputError
from agent.types import Edition


@dataclass(frozen=True, slots=True)
class Competition:
    """One competition; `profile` is the agent's set-up for its machine.

    `package` is Kaggle's evaluation package in the competition's data. Its `server` serves the notebook's `predict`,
    its `gateway` calls that in a scored run, both as `module.Class`; None where the package gives the notebook an
    iterator over the problems instead. `response_seconds` is what the gateway waits for an answer (None: as long as
    the run may take); its first call has no deadline, because the model is loaded then. A notebook is run
    `scored_runs` times for the private score. The run ends `margin_seconds` before the edition's limit: the
    container's start and end are not on our clock.
    """

    edition: Edition
    slug: str
    machine_shape: str
    profile: str
    package: str
    server: str | None
    gateway: str | None
    response_seconds: float | None
    scored_runs: int
    margin_seconds: float = 600.0


COMPETITIONS = {
    competition.edition.name: competition
    for competition in (
        Competition(
            EDITIONS["aimo1"],
            slug="ai-mathematical-olympiad-prize",
            machine_shape="NvidiaTeslaT4",
            profile="kaggle-t4x2",
            package="aimo",
            server=None,
            gateway=None,
            response_seconds=None,
            scored_runs=1,
        ),
        Competition(
            EDITIONS["aimo2"],
            slug="ai-mathematical-olympiad-progress-prize-2",
            machine_shape="NvidiaL4",
            profile="kaggle-l4x4",
            package="kaggle_evaluation",
            server="kaggle_evaluation.aimo_2_inference_server.AIMO2InferenceServer",
            gateway="kaggle_evaluation.aimo_2_gateway.AIMO2Gateway",
            response_seconds=1_800.0,
            scored_runs=1,
        ),
        Competition(
            EDITIONS["aimo3"],
            slug="ai-mathematical-olympiad-progress-prize-3",
            machine_shape="NvidiaH100",
            profile="kaggle-h100",
            package="kaggle_evaluation",
            server="kaggle_evaluation.aimo_3_inference_server.AIMO3InferenceServer",
            gateway="kaggle_evaluation.aimo_3_gateway.AIMO3Gateway",
            response_seconds=None,
            scored_runs=2,
        ),
    )
}


def competition_of(edition: str) -> Competition:
    """The competition of an edition's name. Raises InputError for an unknown one."""
    if edition not in COMPETITIONS:
        raise InputError(f"unknown edition {edition!r}: give one of {', '.join(COMPETITIONS)}")
    return COMPETITIONS[edition]


def imported_class(path: str) -> Any:
    """The class of Kaggle's package that is named as `module.Class`; the package must be importable."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)
