"""What the zygote is told when it starts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Sizes are in bytes. `base` is an empty directory for the zygote, `without` names layers to leave out.

    `memory`, `scratch`, `file`, `entries`, `open_files` and `threads` limit one session (`memory` counts
    what it has beyond the zygote's own), `total_memory` all of them together.
    """

    base: str
    control: int
    memory: int
    total_memory: int
    scratch: int
    file: int
    entries: int
    open_files: int
    threads: int
    without: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The text from which `from_json` makes an equal record."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """The record behind a text."""
        fields = json.loads(text)
        return cls(**{**fields, "without": tuple(fields["without"])})
