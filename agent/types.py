"""The vocabulary of the whole project: frozen records and the facts derived from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class SampleEnd(StrEnum):
    """Why a sample ended."""

    ANSWERED = "answered"
    NO_ANSWER = "no answer"  # the model closed its turn without a readable box
    INCOMPLETE = "incomplete"  # it closed its turn in the middle of something: a call, code, a box, its thinking
    TOKEN_LIMIT = "token limit"
    ROUND_LIMIT = "round limit"  # only in journals of earlier versions: such a sample now continues without the tool
    FAILED_CODE = "failed code"  # as many tool runs failed as it was allowed
    DEADLINE = "deadline"
    REPEATING = "repeating"
    ENGINE_ERROR = "engine error"
    INTERNAL_ERROR = "internal error"  # something unforeseen was raised in the agent
    CANCELLED = "cancelled"  # the vote was settled without it


_CUT_SHORT = (SampleEnd.DEADLINE, SampleEnd.ENGINE_ERROR, SampleEnd.CANCELLED)


class StopReason(StrEnum):
    """Why a problem was closed."""

    UNCATCHABLE = "uncatchable"  # the lanes still running cannot change the leader
    MARGIN = "margin"  # the leader is far enough ahead
    AGREED = "agreed"  # a published rule holds the vote for settled
    PATIENCE = "patience"  # more votes are not worth the wait for them
    SHARE = "share spent"  # only in journals of earlier versions: an answer leads, the even share of the bank is spent
    SCATTERED = "scattered"  # the votes agree on nothing
    ALL_DONE = "all done"
    DEADLINE = "deadline"
    REQUESTED = "requested"  # the caller asked for the answer before the vote was settled
    OUT_OF_TIME = "out of time"  # the run had no time left to start this problem
    COST_LIMIT = "cost limit"  # the run had no money left to start this problem, or all of its samples
    ENGINE_ERROR = "engine error"


class ToolStatus(StrEnum):
    """How a tool run ended; `killed` and `timeout` may have cost the session its variables (the output says so)."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Edition:
    """The rules of one competition: answers lie in 0..`max_answer`, after reduction by `modulus` if it has one.

    The scored run asks `problem_count` problems within `time_limit_seconds`.
    """

    name: str
    max_answer: int
    modulus: int | None
    problem_count: int
    time_limit_seconds: float

    def reduce(self, value: int) -> int | None:
        """The answer that an integer stands for: its residue where there is a modulus; None where it is out of range.

        A residue is never negative: -900 is 100 modulo 1000.
        """
        residue = value if self.modulus is None else value % self.modulus
        return residue if 0 <= residue <= self.max_answer else None


@dataclass(frozen=True, slots=True)
class Problem:
    """One question; `answer` is the truth where the file had one."""

    id: str
    text: str
    answer: int | None = None


@dataclass(frozen=True, slots=True)
class ToolRun:
    """One execution of a code block in the sample's own Python session.

    `output` is what a notebook would show; before the model gets it, text that could pass for more than output is
    defused.
    """

    code: str
    output: str
    status: ToolStatus
    seconds: float


@dataclass(frozen=True, slots=True)
class Turn:
    """Generated text, and what the agent inserted after it: tool output, a hint, or the opening of a forced answer.

    The prompt of turn n is the sample's prompt followed by `text + inserted` of the earlier turns, without the thinking
    in them where the family leaves that out. `prompt_tokens` is
    the length of that prompt and `cached_tokens` the part of it in the engine's prefix cache; both are None if the
    engine did not report them, as for a turn that was cut at a code block. `resumed_at` holds the number of tokens
    received at each point where the stream broke and was resumed. `unrun_blocks` counts its code blocks that were not
    run: not closed when the turn ended, or opened in a way that is not recognized as Python. `hint_at` is what the
    model was about to write where it was given a hint instead, which is `inserted` then; "" for all other turns.
    """

    text: str
    tokens: int
    seconds: float
    inserted: str = ""
    tool_run: ToolRun | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    resumed_at: tuple[int, ...] = ()
    unrun_blocks: int = 0
    hint_at: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """A running sample's current answer, forced in a separate request after `tokens` tokens; that took `seconds`."""

    tokens: int
    answer: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Usage:
    """What the requests of a sample took and cost, also those that broke, were closed early or forced an answer.

    `prompt_tokens` hold the `cached_tokens`; `tokens` are those generated. Of `unreported` requests the server did not
    tell the tokens: their prompts are taken at an upper bound, none of it cached. `cost` is in `currency`.
    """

    requests: int
    unreported: int
    prompt_tokens: int
    cached_tokens: int
    tokens: int
    cost: float
    currency: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One generated solution of one problem, finished or cut.

    `forced` is true if the answer was forced from an unfinished sample. `started` is in seconds since the run began.
    The log-probabilities are means over the tokens generated before any forced answer, of all and of the last 256; None
    if the engine does not report them. `language_mixing` counts letters of scripts that mathematics in English does
    not use. `failure` is the error that ended the sample, "" if there was none. `usage` is what it cost, None where no
    prices are configured. `copies_example`: the answer is one of an example in the prompt, and no code printed it.
    """

    problem_id: str
    index: int
    seed: int
    turns: tuple[Turn, ...]
    answer: int | None
    end: SampleEnd
    forced: bool
    started: float
    seconds: float
    mean_logprob: float | None = None
    tail_logprob: float | None = None
    language_mixing: int = 0
    probes: tuple[Probe, ...] = ()
    failure: str = ""
    usage: Usage | None = None
    copies_example: bool = False

    @property
    def tokens(self) -> int:
        """Generated tokens of all turns; inserted text is not counted."""
        return sum(turn.tokens for turn in self.turns)

    @property
    def text(self) -> str:
        """The full text after the prompt, generated and inserted."""
        return "".join(turn.text + turn.inserted for turn in self.turns)

    @property
    def tool_runs(self) -> tuple[ToolRun, ...]:
        """The tool runs in their order."""
        return tuple(turn.tool_run for turn in self.turns if turn.tool_run is not None)

    @property
    def hints(self) -> int:
        """How many hints it was given."""
        return sum(bool(turn.hint_at) for turn in self.turns)

    @property
    def unrun_blocks(self) -> int:
        """Blocks of code that were not run, of a sample that was not cut short from outside."""
        return 0 if self.end in _CUT_SHORT else sum(turn.unrun_blocks for turn in self.turns)


def is_kept(sample: Sample) -> bool:
    """Whether the sample need not be drawn again when its problem is taken up once more."""
    drawn_again = (SampleEnd.ENGINE_ERROR, SampleEnd.INTERNAL_ERROR, SampleEnd.CANCELLED, SampleEnd.DEADLINE)
    return sample.answer is not None or sample.end not in drawn_again


@dataclass(frozen=True, slots=True)
class Vote:
    """The votes for one answer: their weight and the number of samples."""

    answer: int
    weight: float
    samples: int


@dataclass(frozen=True, slots=True)
class Tally:
    """Votes by answer, the leader first. A sample without an answer is in no vote."""

    votes: tuple[Vote, ...] = ()

    @property
    def leader(self) -> Vote | None:
        """The answer that wins if nothing more comes."""
        return self.votes[0] if self.votes else None

    @property
    def lead(self) -> float:
        """Weight by which the leader is ahead of the runner-up; 0 where nobody voted."""
        first, second = [*(vote.weight for vote in self.votes[:2]), 0.0, 0.0][:2]
        return first - second


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the time bank grants one problem: all lanes end after `seconds`, and reason for `reasoning_seconds` of them.

    The rest is for the forced answers of lanes that are unfinished then. Time in which the engine was down is given
    back, but at most `extension_seconds` of it. `share` is the problem's even share of the bank in seconds, which a
    stopping rule may look at; `lanes` how many samples are worth starting (None: as many as are configured), `price`
    the right answers that a second would buy elsewhere (0: none).
    """

    seconds: float
    reasoning_seconds: float
    extension_seconds: float = 0.0
    share: float = math.inf
    lanes: int | None = None
    price: float = 0.0


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a run learns of a problem for those after it.

    Of `lanes` that started together each had written `tokens` in `seconds` when the first vote came that was no guess
    (`voted`), or at the end; None where the engine was down. `agreed` of `asked` unfinished lanes answered as the vote.
    """

    lanes: int
    tokens: float
    seconds: float | None
    voted: bool
    asked: int = 0
    agreed: int = 0


@dataclass(frozen=True, slots=True)
class Solution:
    """The answer given for one problem (None where no sample voted), with its evidence and its cost.

    `seconds` is the wall time spent, `allowance` what the time bank granted, `at` the seconds since the run
    began when it was closed, `tokens` those generated by all its samples; `first_vote` the seconds from its start to
    its first vote, None where nobody voted. `failure` says why the engine failed where it cost most of the samples.
    """

    problem_id: str
    answer: int | None
    tally: Tally
    stop: StopReason
    samples_started: int
    samples_finished: int
    tokens: int
    tool_runs: int
    seconds: float
    allowance: float
    at: float
    first_vote: float | None = None
    failure: str = ""
    learnt: Learnt | None = None

    @property
    def attempted(self) -> bool:
        """Whether the run had time and money left for the problem."""
        unpaid = self.stop is StopReason.COST_LIMIT and not self.samples_started
        return not unpaid and self.stop is not StopReason.OUT_OF_TIME
