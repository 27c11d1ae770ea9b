"""What happens in a run, as records, for whoever listens: the journal, a view, a user's own function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.types import Learnt, Problem, Sample, Solution, ToolRun

InsertedKind = Literal["result", "hint", "forcing"]


@dataclass(frozen=True, slots=True)
class ProblemStarted:
    """`lanes` samples of a problem start from `prompt`, with `allowance` seconds granted."""

    problem: Problem
    prompt: str
    allowance: float
    lanes: int


@dataclass(frozen=True, slots=True)
class TextGenerated:
    """A running sample, identified by its problem and its index, has generated `tokens` more tokens.

    Its text has grown by `text`, which may come with a later event than its tokens: characters that may turn out to be
    the mark of a turn's end are held back. These texts and those of `TextInserted`, joined, are `Sample.text`.
    """

    problem_id: str
    index: int
    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class TextInserted:
    """The agent has written `text` into a running sample: a tool run's result, a hint, or what forces its answer."""

    problem_id: str
    index: int
    text: str
    kind: InsertedKind


@dataclass(frozen=True, slots=True)
class ToolRan:
    """A running sample has run a code block."""

    problem_id: str
    index: int
    tool_run: ToolRun


@dataclass(frozen=True, slots=True)
class RequestCharged:
    """A request of a sample has ended and has cost so much; `total` is what the run has cost until now."""

    problem_id: str
    index: int
    cost: float
    total: float
    currency: str


@dataclass(frozen=True, slots=True)
class SampleEnded:
    """A sample has ended, for whatever reason."""

    sample: Sample


@dataclass(frozen=True, slots=True)
class ProblemSolved:
    """A problem is closed, with or without an answer."""

    solution: Solution


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """The engine has come up, failed or been restarted: a one-line message, `at` seconds after the run began."""

    text: str
    at: float


@dataclass(frozen=True, slots=True)
class ServerMemory:
    """The memory of a server of ours once it was up, each None where that is not known.

    On a GPU the weights take `weights_gib` and the KV cache has `kv_cache_gib`, where GPUs differ that of the fullest;
    the cache holds `kv_cache_tokens`. `used_gib` of the `total_gib` of all GPUs are in use, as the driver tells.
    """

    weights_gib: float | None = None
    kv_cache_gib: float | None = None
    kv_cache_tokens: int | None = None
    used_gib: float | None = None
    total_gib: float | None = None

    @property
    def text(self) -> str:
        """What is known in one line, "" where nothing is."""
        cache = [] if self.kv_cache_gib is None else [f"{self.kv_cache_gib:.2f} GiB a GPU"]
        cache += [] if self.kv_cache_tokens is None else [f"{self.kv_cache_tokens:,} tokens"]
        told = [] if self.weights_gib is None else [f"weights {self.weights_gib:.2f} GiB a GPU"]
        told += [f"KV cache {', '.join(cache)}"] if cache else []
        if self.used_gib is not None and self.total_gib is not None:
            told.append(f"{self.used_gib:.1f} of {self.total_gib:.1f} GiB in use on all GPUs")
        return " \u00b7 ".join(told)


@dataclass(frozen=True, slots=True)
class EngineStarted:
    """A server of ours was started for the run and its model checked: the seconds of each part, in their order.

    `memory` is that of the server with which the run begins.
    """

    parts: dict[str, float]
    memory: ServerMemory = ServerMemory()

    @property
    def text(self) -> str:
        """The parts in one line."""
        whole = sum(self.parts.values())
        parts = " \u00b7 ".join(f"{part} {seconds:.1f} s" for part, seconds in self.parts.items())
        return f"{whole:.1f} s: {parts}"


@dataclass(frozen=True, slots=True)
class RunWarning:
    """Something is to be set otherwise for the run to do what it could: a one-line message, `at` as in EngineEvent."""

    text: str
    at: float


@dataclass(frozen=True, slots=True)
class HealthChecked:
    """Before the run the served model was checked, for `seconds`: `right` of the `asked` problems were answered right.

    `fault` says what was wrong with it, "" if it is sound; `changed` holds the dotted configuration keys that were set
    anew for its sake, and are in force. `cost` is what its requests cost, 0 where no prices are configured, `learnt`
    what each problem told of the speed, with the lanes of all of them.
    """

    right: int
    asked: int
    seconds: float
    fault: str = ""
    changed: dict[str, Any] = field(default_factory=dict)
    cost: float = field(default=0.0, compare=False)  # runs of one agent share a check, and one of them pays it
    learnt: tuple[Learnt, ...] = ()

    @property
    def changes(self) -> list[str]:
        """The changed keys with their values, as texts."""
        return [f"{key} = {value!r}" for key, value in self.changed.items()]

    @property
    def text(self) -> str:
        """The outcome in one line."""
        outcome = f"{self.right} of {self.asked} easy problems right, {self.seconds:.0f} s"
        changed = f"; set for its sake: {', '.join(self.changes)}" if self.changed else ""
        return f"model checked: {outcome}{changed}{f'; {self.fault}' if self.fault else ''}"


Event = (
    ProblemStarted
    | TextGenerated
    | TextInserted
    | ToolRan
    | RequestCharged
    | SampleEnded
    | ProblemSolved
    | EngineEvent
    | EngineStarted
    | RunWarning
    | HealthChecked
)
# Called with each event of a run, in the order in which they happen, on the loop that solves: it has to return quickly.
Listener = Callable[[Event], None]


def fan_out(listeners: Iterable[Listener]) -> Listener:
    """A listener that passes each event on to all of these, in order."""
    members = tuple(listeners)
    if len(members) == 1:
        return members[0]

    def emit(event: Event) -> None:
        for listener in members:
            listener(event)

    return emit
