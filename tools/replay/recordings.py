"""Read recorded samples: answers and lengths, from trace files or from elsewhere, and journals of our own runs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.chat.box import boxed
from agent.chat.dialects import chat_format
from agent.chat.format import ChatFormat, turn_start
from agent.editions import EDITIONS
from agent.engine.recorded import RecordedLane, RecordedTurn
from agent.errors import InputError
from agent.journal.journal import CONFIG_FILE, read_run
from agent.lane.logprobs import TAIL_TOKENS
from agent.types import Problem, Sample, SampleEnd, ToolRun
from tools.shared.samples.conversion import merged
from tools.shared.samples.drawn import ReadingRules, SampleFile
from tools.shared.samples.fields import Fields
from tools.shared.samples.sources import find_sources, read_source, recorded_problems

REPLAYED_EDITION = EDITIONS["aimo3"]
"""The edition that is replayed; answers that are no integer get numbers just below its largest."""
_MOST_CODES = 1_000  # such numbers of one problem
_TRACE_FAMILY = "qwq"  # trace files hold only answers and lengths, of reasoning models
_UNLIMITED = 10**6  # tool runs
_FORCING_SECONDS = 10.0  # what the profiles reserve for forced answers

_LAST_FINISH = dict.fromkeys((SampleEnd.ANSWERED, SampleEnd.NO_ANSWER, SampleEnd.INCOMPLETE), "stop")


@dataclass(frozen=True, slots=True)
class RecordedProblem:
    """A problem with its correct answer and all its recorded samples."""

    problem: Problem
    lanes: tuple[RecordedLane, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """The contents of one source: a model's trace file or a run directory.

    `family` is that of the prompts, which may have opened the first code block already. `accept_printed_answer`,
    `max_failed_tool_runs`, `max_rounds` and `answer_at_think_close` are those keys of the configuration: samples have
    ended by them. `tool_runs` are found by their code.
    `source` says what kind of files it was read from.
    `answer_reserve` are the seconds kept for asking unfinished lanes, 0 where their answers are not known.
    """

    name: str
    problems: tuple[RecordedProblem, ...]
    family: str = _TRACE_FAMILY
    tool_runs: dict[str, ToolRun] = field(default_factory=dict)
    answer_reserve: float = 0.0
    accept_printed_answer: bool = False
    max_failed_tool_runs: int = 0
    max_rounds: int = _UNLIMITED
    answer_at_think_close: bool = True
    source: str = "a trace file"


def load_recordings(paths: Sequence[Path], forced_from: float = math.inf) -> list[Recording]:
    """Read recordings, run directories, samples from elsewhere and folders of them.

    Each recording and run is one, and so are all samples of a task by one model. A traced lane whose answer is forced
    gives its recorded answer if it has at least the fraction `forced_from` of its recorded tokens, else none. Raises
    InputError, naming file, line and field, for invalid input.
    """
    read: list[tuple[str, Recording]] = []
    elsewhere: dict[Path, SampleFile] = {}
    for path in _files(paths):
        rows = None if path.is_dir() else recorded_problems(path)
        if path.is_dir():
            read.append((path.stem, _from_run(path)))
        elif rows is not None:
            if not rows:
                raise InputError(f"{path} holds no recorded problem: give a trace file with a line a problem")
            read.append((path.stem, _from_rows(path.stem, rows, forced_from)))
        else:
            elsewhere[path.resolve()] = read_source(path, ReadingRules())
    for each in merged(list(elsewhere.values()), None):
        rows = [Fields(f"{each.task}, {name}", row) for name, row in zip(each.problems, each.rows(), strict=True)]
        read.append((each.task, replace(_from_rows(each.model, rows, forced_from), source=each.kind)))
    return _distinct(read)


def check_drawable(recordings: Sequence[Recording], samples: int) -> None:
    """Raise InputError, saying how many can be drawn, for a problem with fewer recorded samples than are to be."""
    drawn = [(len(recorded.lanes), recorded.problem.id, each.name) for each in recordings for recorded in each.problems]
    fewest, problem, name = min(drawn, key=lambda each: each[0])
    if fewest < samples:
        known = "1 recorded sample" if fewest == 1 else f"{fewest} recorded samples"
        raise InputError(
            f"problem {problem} of {name} has {known}, and {samples} are to be drawn: give --samples {fewest}"
        )


def _files(paths: Sequence[Path]) -> list[Path]:
    """The run directories and files given, with the files in the folders given."""
    found: list[Path] = []
    for path in paths:
        files = [path]
        if path.is_dir() and not (path / CONFIG_FILE).is_file():
            files = sorted(path.glob("*.jsonl"))
            try:
                files += find_sources([path])
            except InputError:
                if not files:
                    raise InputError(
                        f"{path} holds neither a run nor trace files (*.jsonl) nor logs of Inspect, lm-eval or "
                        "lighteval: give a folder that does"
                    ) from None
        found += {file.resolve(): file for file in files}.values()
    return found


def _distinct(read: Sequence[tuple[str, Recording]]) -> list[Recording]:
    """Name recordings of the same name (a model's, on two sets of problems) after their files or tasks as well."""
    counts = Counter(recording.name for _, recording in read)
    named = [
        recording if counts[recording.name] == 1 else replace(recording, name=f"{recording.name} ({label})")
        for label, recording in read
    ]
    twice = [name for name, count in Counter(recording.name for recording in named).items() if count > 1]
    if twice:
        raise InputError(f"two recordings are called {twice[0]}: give each once, or rename the file of one")
    return named


def _from_rows(name: str, rows: Sequence[Fields], forced_from: float) -> Recording:
    """The recording of a file's lines, called by its model, or `name` where the lines have none."""
    problems = tuple(_problem(row, forced_from) for row in rows)
    models = [row.text("model") for row in rows if row.get("model") is not None]
    reserve = 0.0 if math.isinf(forced_from) else _FORCING_SECONDS
    return Recording(models[-1] if models else name, problems, answer_reserve=reserve)


def _problem(row: Fields, forced_from: float) -> RecordedProblem:
    codes: dict[str, int] = {}
    truth = _code(row.need("answer"), codes)
    if truth is None:
        raise row.wrong("answer", "is empty: give the true answer")
    think_close = chat_format(_TRACE_FAMILY, tools=False).think_close
    lanes = []
    for sample in row.objects("samples"):
        tokens, cut = sample.count("tokens"), sample.flag("truncated")
        answer = None if cut else _code(sample.get("answer"), codes)
        text = "" if answer is None else think_close + boxed(str(answer))
        forced = "" if answer is None else f"{answer}}}"
        turn = RecordedTurn(text, tokens, "length" if cut else "stop")
        lanes.append(RecordedLane((turn,), forced, forced_from * tokens))
    return RecordedProblem(Problem(row.text("problem_id"), "", truth), tuple(lanes))


def _code(answer: object, codes: dict[str, int]) -> int | None:
    """Return the integer that stands for an answer: the answer itself if it is in range, else an unused one."""
    if answer is None or str(answer).strip() == "":
        return None
    text = str(answer).strip()
    if text.isdecimal() and int(text) <= REPLAYED_EDITION.max_answer - _MOST_CODES:
        return int(text)
    return codes.setdefault(text, REPLAYED_EDITION.max_answer - len(codes))


def _from_run(directory: Path) -> Recording:
    record = read_run(directory)
    problems, settings = [], record.config.sample
    chat = chat_format(settings.family, tools=settings.tools)
    tool_runs = {code: run for sample in record.samples for code, run in _tool_runs(sample, chat)}
    for problem in record.problems:
        lanes = tuple(_lane(s, chat) for s in record.samples if s.problem_id == problem.id and s.tokens)
        if problem.answer is not None and lanes:
            problems.append(RecordedProblem(problem, lanes))
    if not problems:
        raise InputError(f"{directory} has no problem with both a true answer and samples: give another run directory")
    reserve = record.config.budget.answer_reserve_seconds
    return Recording(
        directory.name,
        tuple(problems),
        settings.family,
        tool_runs,
        reserve,
        settings.accept_printed_answer,
        settings.max_failed_tool_runs,
        settings.max_rounds,
        settings.answer_at_think_close,
        "a run",
    )


def _tool_runs(sample: Sample, chat: ChatFormat) -> Iterator[tuple[str, ToolRun]]:
    """Yield the tool runs of a sample with their code, as it is parsed from the text now."""
    for number, turn in enumerate(sample.turns):
        if turn.tool_run is not None:
            call = chat.call_scanner().feed(turn_start(chat, sample.turns[:number]) + turn.text)
            yield turn.tool_run.code if call is None else call.code, turn.tool_run


def _lane(sample: Sample, chat: ChatFormat) -> RecordedLane:
    """Convert a journal's sample, in its chat format. One that was cut has no text after its end."""
    turns = sample.turns[:-1] if sample.forced else sample.turns
    played: list[RecordedTurn] = []
    for turn in turns:
        before = turn_start(chat, turns[: len(played)])
        closed = turn.tool_run is not None and chat.call_scanner().feed(before + turn.text) is not None
        text = f"{turn.text}{turn.hint_at} " if turn.hint_at else turn.text  # up to where the lane takes its hint
        played.append(RecordedTurn(text, turn.tokens, None if closed or turn.hint_at else "stop"))
    if played and sample.turns[len(played) - 1].tool_run is None and not sample.turns[len(played) - 1].hint_at:
        last = played[-1]
        finish = _LAST_FINISH.get(sample.end, "length")
        played[-1] = RecordedTurn(last.text, last.tokens, finish, _logprobs(sample))
    forced = sample.turns[-1].text if sample.forced else ""
    return RecordedLane(tuple(played), forced, sum(turn.tokens for turn in turns) if sample.forced else math.inf)


def _logprobs(sample: Sample) -> tuple[float, ...]:
    """Return values that have the journal's two means, of all tokens and of the last ones."""
    mean, tail = sample.mean_logprob, sample.tail_logprob
    if mean is None or tail is None:
        return ()
    return (2 * mean - tail,) * TAIL_TOKENS + (tail,) * TAIL_TOKENS
