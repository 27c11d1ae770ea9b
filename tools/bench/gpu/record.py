"""The file of a matrix: JSON lines, the plan first, then each measurement as it is made."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from agent.errors import InputError, JournalError
from agent.journal.lines import close_last_line
from tools.bench.gpu.results import (
    AccuracyMeasured,
    MatrixPlan,
    MatrixResults,
    Measured,
    Refused,
    ServerStarted,
    SpeedMeasured,
)

MEASUREMENTS = "measurements.jsonl"
_KINDS: dict[str, TypeAdapter[Any]] = {
    "plan": TypeAdapter(MatrixPlan),
    "server": TypeAdapter(ServerStarted),
    "speed": TypeAdapter(SpeedMeasured),
    "accuracy": TypeAdapter(AccuracyMeasured),
    "refused": TypeAdapter(Refused),
}
_NAMES = {MatrixPlan: "plan", ServerStarted: "server", SpeedMeasured: "speed", AccuracyMeasured: "accuracy"}


def append_record(directory: Path, record: Measured | MatrixPlan) -> None:
    """Add a line, the first of which is the plan; it is on disk when this returns. Raises JournalError."""
    line = json.dumps({"kind": _NAMES.get(type(record), "refused")} | asdict(record)) + "\n"
    try:
        with (directory / MEASUREMENTS).open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise JournalError(f"{directory} cannot be written ({error.strerror}): free space, then --resume it") from error


def read_matrix(directory: Path) -> MatrixResults:
    """Read the file of a matrix, ready to be continued: a last line that is torn is cut off.

    Lines of a kind that is not known here are left out. Raises InputError, naming the line, if it cannot be read.
    """
    path = directory / MEASUREMENTS
    try:
        close_last_line(path)
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({reason}): give --resume the directory of a matrix") from error
    read = [_record(path, number, line) for number, line in enumerate(lines, 1)]
    if not read or not isinstance(read[0], MatrixPlan):
        raise InputError(f"{path} does not begin with the plan of a matrix: start a new one with --run-dir")
    known = [each for each in read[1:] if each is not None and not isinstance(each, MatrixPlan)]
    return MatrixResults(read[0], tuple(known))


def _record(path: Path, number: int, line: str) -> Measured | MatrixPlan | None:
    try:
        fields = json.loads(line)
        kind = _KINDS.get(fields.pop("kind"))
        return None if kind is None else kind.validate_python(fields)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        reason = "it is no measurement" if isinstance(error, ValidationError) else error
        raise InputError(
            f"line {number} of {path} cannot be read ({reason}): remove that line to measure it again"
        ) from error
