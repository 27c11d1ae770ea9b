"""Typed messages between the notebook's own process and the worker, each a JSON object on a line of its own.

The worker is started with `WorkerSettings`. It reads a `SolveRequest` for each problem from its standard input and
writes a `WorkerEvent` to its standard output whenever there is news. Kaggle's own Python runs one end of this, so
nothing but the standard library is used.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar, get_origin, get_type_hints

WARNING_CHARS = 300  # for one warning: the gateway's channel for errors takes 8 KB and loses the run beyond
REHEARSED = "rehearsed"  # begins the line of a setup that says what a rehearsal runs in its place
AUTO_PROFILE = "auto"  # in place of a profile's name: the worker chooses one for the model and the GPUs
CHECK_FILE = "model-check-begun"  # in the run's directory, until the model is checked
LAUNCHED_VARIABLE = "AIMO_WORKER_LAUNCHED"  # when the worker's Python was started, on the monotonic clock
_KIND = "event"  # the key that names an event, which marks a line as one

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """`profile` with `overrides` (dotted keys) is the agent's configuration; the run is recorded in `run_dir`.

    `limit_seconds` is the length of the whole run, of which `spent_seconds` had gone when the worker was started.
    `models` are the paths of those that are attached, among which the worker chooses, and `sources` Kaggle's names of
    what is attached, the preferred ones first. `stand_in` are keys for the engine of a rehearsal, which takes the place
    of the one that was chosen, and plays to load for `load_seconds` more.
    """

    profile: str
    run_dir: str
    limit_seconds: float
    spent_seconds: float = 0.0
    overrides: dict[str, Any] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    stand_in: dict[str, Any] = field(default_factory=dict)
    load_seconds: float = 0.0

    def after(self, spent_seconds: float) -> WorkerSettings:
        """The same for a worker that starts when so much time has gone."""
        return replace(self, spent_seconds=spent_seconds)

    def to_json(self) -> str:
        """The text from which `from_json` makes an equal record."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> WorkerSettings:
        """The record that a text encodes. Raises ValueError for anything else."""
        return _record_of(cls, json.loads(text))


@dataclass(frozen=True, slots=True)
class SolveRequest:
    """A problem to solve: its `id` and text, and with it `problems_left` to go in the run.

    The events about it carry its `number`. The answer is wanted within `seconds` of the arrival of the request.
    """

    number: int
    id: str
    problem: str
    problems_left: int
    seconds: float


@dataclass(frozen=True, slots=True)
class WorkerWarning:
    """Something went wrong that the run survives; `why` is a short sentence."""

    why: str


@dataclass(frozen=True, slots=True)
class SetupChosen:
    """What the worker runs, in a line or two: the model, its family, the profile, and what else was there."""

    text: str


@dataclass(frozen=True, slots=True)
class StartupPart:
    """A part of the worker's start is done, and took `seconds`."""

    part: str
    seconds: float


@dataclass(frozen=True, slots=True)
class SandboxTried:
    """The worker has run a cell in its sandbox, or samples run none: a line on its layers and how long that took."""

    text: str


@dataclass(frozen=True, slots=True)
class WorkerStarted:
    """The worker's engine has started; `failure` says why no good answers can be expected, "" if they can.

    `at` is when that was on the machine's monotonic clock: a notebook that waits for no event hears of it later.
    """

    failure: str
    at: float


@dataclass(frozen=True, slots=True)
class AllowanceGranted:
    """The worker has begun with a request and takes at most `seconds` for it."""

    number: int
    seconds: float


@dataclass(frozen=True, slots=True)
class LeadingAnswer:
    """The leader of the votes so far; `votes` says in a few words what it rests on."""

    number: int
    answer: int
    votes: str


@dataclass(frozen=True, slots=True)
class RequestSolved:
    """The last event about a request: the voted answer (None where nobody voted), and why the problem was closed."""

    number: int
    answer: int | None
    closed: str
    votes: str


WorkerEvent = (
    WorkerWarning
    | SetupChosen
    | SandboxTried
    | StartupPart
    | WorkerStarted
    | AllowanceGranted
    | LeadingAnswer
    | RequestSolved
)
_EVENTS: dict[str, type[WorkerEvent]] = {
    "warning": WorkerWarning,
    "setup": SetupChosen,
    "sandbox": SandboxTried,
    "part": StartupPart,
    "started": WorkerStarted,
    "granted": AllowanceGranted,
    "leader": LeadingAnswer,
    "solved": RequestSolved,
}
_NAMES = {kind: name for name, kind in _EVENTS.items()}


def encode_request(request: SolveRequest) -> str:
    """The request as one line, without its line end."""
    return json.dumps(asdict(request))


def decode_request(line: str | bytes) -> SolveRequest:
    """The request in a line. Raises ValueError for anything else."""
    return _record_of(SolveRequest, json.loads(line))


def encode_event(event: WorkerEvent) -> str:
    """The event as one line, without its line end."""
    return json.dumps({_KIND: _NAMES[type(event)], **asdict(event)})


def decode_event(line: str | bytes) -> WorkerEvent | None:
    """The event in a line; None for anything else, such as what a library prints or a line torn by a kill."""
    try:
        values = json.loads(line)
        kind = _EVENTS.get(str(values.get(_KIND))) if isinstance(values, dict) else None
        return None if kind is None else _record_of(kind, values)
    except (ValueError, RecursionError):
        return None


def _record_of(kind: type[_T], values: Any) -> _T:
    """The record with these values, of which those that it has no field for do not matter.

    Raises ValueError if they are no JSON object, or one is missing or of another type.
    """
    if not isinstance(values, dict):
        raise ValueError(f"no {kind.__name__}: not a JSON object")
    types = get_type_hints(kind)
    for name, type_ in types.items():
        if name not in values or not _fits(values[name], type_):
            raise ValueError(f"no {kind.__name__}: {name} is missing or of another type")
    return kind(**{name: values[name] for name in types})


def _fits(value: object, type_: Any) -> bool:
    """Whether the value is of the type; a whole number is a float, too, but no truth value is a number."""
    if get_origin(type_) in (dict, list):
        return isinstance(value, get_origin(type_))
    return isinstance(value, (int, float) if type_ is float else type_) and not isinstance(value, bool)
