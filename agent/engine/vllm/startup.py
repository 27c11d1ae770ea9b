"""The parts of a vLLM server's start with their seconds, as its own log tells them: lines in, parts out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

PROCESS = "process and imports"
"""From the start of the process until the first weights are asked for: Python, imports, the engine's own processes."""

WEIGHTS = "weights read"
MODEL_SETUP = "model set-up"
"""What loading the model took besides reading its weights: its layers, and weights that are packed anew."""

COMPILATION = "compilation"
"""torch.compile, or what it left in its cache being loaded."""

WARM_UP = "profiling run"
"""The first run of the compiled model, which vLLM calls initial profiling and warm-up."""

GRAPHS = "graph capture"
KV_CACHE = "KV cache and warm-up"
"""What setting up the engine took besides compilation, that run and the graphs: its memory measured and laid out."""

SERVER = "server"
"""What else it took until the server answered: its tokenizer, its routes."""

FIRST_TOKEN = "first token"
"""The first request, of one token."""

_PREFIX = re.compile(r"^\s*\((?P<process>[^)]{1,80})\)\s")  # which of vLLM's processes says it
_STAMP = re.compile(r"\b(?:DEBUG|INFO|WARNING|ERROR) (\d\d)-(\d\d) (\d\d):(\d\d):(\d\d) ")
_SECONDS = r"(\d{1,9}(?:\.\d{1,9})?) ?s"  # "s", "secs" or "seconds", as versions differ
_INIT = "init"
_LOADED = "loaded"
_TIMED = {
    WEIGHTS: re.compile(rf"Loading weights took {_SECONDS}"),
    _LOADED: re.compile(rf"Model loading took [\d.]+ Gi?B(?: memory)? and {_SECONDS}"),
    COMPILATION: re.compile(rf"torch\.compile (?:and [\w /]{{1,40}} )?(?:takes|took) {_SECONDS}"),
    WARM_UP: re.compile(rf"Initial profiling/warmup run took {_SECONDS}"),
    GRAPHS: re.compile(rf"Graph capturing finished in {_SECONDS}"),
    _INIT: re.compile(rf"init engine \([^)]{{1,80}}\) took {_SECONDS}"),
}
_LOAD_BEGINS = "Starting to load model"


def startup_parts(lines: Iterable[str], began: datetime | None = None) -> dict[str, float]:
    """The seconds of each part that the log of one start tells, in the order of the start; lines of others are skipped.

    Parts do not overlap. Where several processes say the same, the slowest of them counts; what one of them says of
    several models is added. `began` is when the process was started, in the server's local time; without it the first
    part begins with the first line that has a time. Never raises.
    """
    told: dict[str, dict[str, float]] = {part: defaultdict(float) for part in _TIMED}
    first, load = began, None
    for line in lines:
        stamp = _time_of(line, began)
        first = first or stamp
        if load is None and _LOAD_BEGINS in line:
            load = stamp
        for part, pattern in _TIMED.items():
            if found := pattern.search(line):
                prefix = _PREFIX.match(line)
                told[part][prefix["process"] if prefix else ""] += float(found[1])
    process = max(0.0, (load - first).total_seconds()) if first and load else None
    return _without_overlap({part: max(values.values()) for part, values in told.items() if values}, process)


def whole_start(parts: Mapping[str, float], seconds: float, first_token: float) -> dict[str, float]:
    """The parts of a start that took so many seconds, those of the first token included, with what no part tells."""
    rest = max(0.0, seconds - first_token - sum(parts.values()))
    return {**parts, SERVER: rest, FIRST_TOKEN: first_token}


def start_text(parts: Mapping[str, float]) -> str:
    """The parts in one line, those of less than a tenth of a second left out; "" where none took more."""
    return ", ".join(f"{part} {seconds:.1f} s" for part, seconds in parts.items() if seconds >= 0.1)


def _without_overlap(told: Mapping[str, float], process: float | None) -> dict[str, float]:
    """The parts, where what the log says of the whole is left with what its parts do not take."""
    parts = {PROCESS: process} if process is not None else {}
    if WEIGHTS in told:
        parts[WEIGHTS] = told[WEIGHTS]
    if _LOADED in told:
        parts[MODEL_SETUP] = max(0.0, told[_LOADED] - told.get(WEIGHTS, 0.0))
    within = {part: told[part] for part in (COMPILATION, WARM_UP, GRAPHS) if part in told}
    parts |= within
    if _INIT in told:
        parts[KV_CACHE] = max(0.0, told[_INIT] - sum(within.values()))
    return parts


def _time_of(line: str, began: datetime | None) -> datetime | None:
    """The time at which a line was written; None for one that does not say it. The log tells no year."""
    found = _STAMP.search(line)
    if found is None:
        return None
    month, day, hour, minute, second = map(int, found.groups())
    year = began.year if began else 2000  # a leap year
    try:
        stamp = datetime(year, month, day, hour, minute, second)
        return stamp.replace(year=year + 1) if began and (began - stamp).days > 180 else stamp
    except ValueError:
        return None
