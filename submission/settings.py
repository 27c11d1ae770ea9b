"""What the notebook tells the worker process when it starts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Settings:
    """`profile` with `overrides` (dotted keys) is the agent's configuration; the run is recorded in `run_dir`.

    `limit_seconds` is the length of the whole run, of which `spent_seconds` had gone when the worker was started.
    """

    profile: str
    run_dir: str
    limit_seconds: float
    spent_seconds: float = 0.0
    overrides: dict[str, Any] = field(default_factory=dict)

    def after(self, spent_seconds: float) -> Settings:
        """The same for a worker that starts when so much time has gone."""
        return replace(self, spent_seconds=spent_seconds)

    def to_json(self) -> str:
        """The text from which `from_json` makes an equal record."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """The record behind a text."""
        return cls(**json.loads(text))
