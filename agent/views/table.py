"""The result of a run as a table for a terminal or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.config import Config
from agent.cost.money import cost_of, cost_text, money_text
from agent.metrics import METRICS, ClosedProblem, closed_problems, is_right
from agent.types import Edition, Problem, Sample, Solution
from agent.views.totals import AttemptCount, Totals, totals
from agent.views.verdict import COLUMN_MEANINGS, STOP_MEANINGS, is_doubtful, votes_text, why_won

_MOST_DOUBTS = 10  # lines below the table


def as_json(
    problems: Sequence[Problem], solutions: Sequence[Solution], samples: Sequence[Sample], edition: Edition
) -> dict[str, object]:
    """The outcome as JSON values; `truth` and `correct` are null where no truth is known."""
    truths = _truths(problems)
    rows = []
    for solution in solutions:
        row = asdict(solution)
        truth = truths.get(solution.problem_id)
        votes = list(row.pop("tally")["votes"])
        rows.append({**row, "votes": votes, "truth": truth, "correct": is_right(solution.answer, truth)})
    sums = totals(problems, solutions, samples, edition)
    derived = {
        "majority": sums.majority,
        "tokens_per_second": sums.tokens_per_second,
        "projected_seconds": sums.projected_seconds,
    }
    return {"solutions": rows, "totals": {**asdict(sums), **derived}}


def render(
    problems: Sequence[Problem], solutions: Sequence[Solution], samples: Sequence[Sample], config: Config
) -> RenderableType:
    """The outcome for a terminal: a row for each solution in the order given, the totals below."""
    if not solutions:
        return Text(f"0 of {len(problems)} problems closed")
    sums = totals(problems, solutions, samples, config.rules)
    closed = closed_problems(problems, solutions, samples)
    figures = _summaries(closed, config)
    lines = Text("\n").join(Text(" · ").join(map(Text, parts)) for parts in _total_lines(sums, figures))
    drawn = {each.problem.id: each.samples for each in closed}
    table = SolutionTable(solutions, _truths(problems), drawn)
    return Group(table, *doubt_lines(solutions, drawn), _legend(solutions), Text(), lines)


def short(text: str, cells: int) -> str:
    """Text in one line of at most `cells` terminal cells, without anything a terminal would obey."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if cell_len(line) <= cells else set_cell_size(line, max(0, cells - 1)).rstrip() + "…"


class SolutionTable:
    """A line for each solution below one of headings; a narrow terminal gets fewer columns."""

    def __init__(
        self,
        solutions: Sequence[Solution],
        truths: Mapping[str, int | None],
        samples: Mapping[str, Sequence[Sample]] | None = None,
    ) -> None:
        """Draw these solutions; the samples of each problem, where they are given, tell guesses from other votes."""
        self._solutions = tuple(solutions)
        self._truths = truths
        self._samples = samples or {}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Draw the columns that have room."""
        known = any(truth is not None for truth in self._truths.values())
        priced = any(cost_of(samples) is not None for samples in self._samples.values())
        columns = [
            column
            for column in _COLUMNS
            if column.needs_width <= options.max_width
            and (known or column.heading != "truth")
            and (priced or column.heading != "cost")
        ]
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for column in columns:
            table.add_column(
                column.heading,
                justify="right" if column.right else "left",
                min_width=column.min_width,
                no_wrap=True,
                overflow="ellipsis",
            )
        for solution in self._solutions:
            truth = self._truths.get(solution.problem_id)
            samples = self._samples.get(solution.problem_id, ())
            table.add_row(*(column.cell(solution, truth, samples) for column in columns))
        yield table


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the table, shown from a terminal of `needs_width` cells on."""

    heading: str
    cell: Callable[[Solution, int | None, Sequence[Sample]], Text]
    min_width: int  # so that columns keep their place while rows come in
    right: bool = False
    needs_width: int = 0


def _answer_cell(solution: Solution, truth: int | None, samples: Sequence[Sample]) -> Text:
    return Text("none" if solution.answer is None else short(str(solution.answer), 12), "bold")


def _truth_cell(solution: Solution, truth: int | None, samples: Sequence[Sample]) -> Text:
    if truth is None:
        return Text()
    right = is_right(solution.answer, truth)
    return Text(f"{'✓' if right else '✗'} {short(str(truth), 12)}", "green" if right else "red")


def _cost_cell(solution: Solution, truth: int | None, samples: Sequence[Sample]) -> Text:
    return Text(cost_text(samples))


_COLUMNS = (
    _Column("problem", lambda solution, *_: Text(short(solution.problem_id, 12)), 7),
    _Column("answer", _answer_cell, 6, right=True),
    _Column("truth", _truth_cell, 7),
    _Column("votes", lambda solution, _, samples: Text(votes_text(solution, samples)), 12, needs_width=46),
    _Column(
        "time",
        lambda solution, *_: Text(f"{solution.seconds:,.0f} / {solution.allowance:,.0f} s"),
        11,
        True,
        60,
    ),
    _Column("tokens", lambda solution, *_: Text(f"{solution.tokens:,}"), 7, True, 72),
    _Column("cost", _cost_cell, 6, True, 84),
    _Column("closed by", lambda solution, *_: Text(solution.stop), 11, needs_width=72),
)


def doubt_lines(solutions: Sequence[Solution], samples: Mapping[str, Sequence[Sample]]) -> Iterator[Text]:
    """Lines on why doubtful answers won: without the most votes, or with guesses or copies alone; some, if many."""
    doubtful = [each for each in solutions if is_doubtful(each, samples.get(each.problem_id, ()))]
    if doubtful:
        yield Text("why these answers won")
    for solution in doubtful[:_MOST_DOUBTS]:
        reason = why_won(solution, samples.get(solution.problem_id, ()))
        yield Text(f"  {short(solution.problem_id, 12)}: {reason}")
    if doubtful[_MOST_DOUBTS:]:
        yield Text(f"  and {len(doubtful) - _MOST_DOUBTS} more such answers, explained on the page of tools.report")


def _legend(solutions: Sequence[Solution]) -> Text:
    """What the columns and the reasons that occur mean."""
    stops = [stop for stop in STOP_MEANINGS if any(solution.stop is stop for solution in solutions)]
    closed = "; ".join(f"{stop}, {STOP_MEANINGS[stop]}" for stop in stops)
    meanings = {**COLUMN_MEANINGS, "closed by": closed}
    return Text("\n" + "\n".join(f"{name}: {meaning}" for name, meaning in meanings.items()), "dim")


def _truths(problems: Sequence[Problem]) -> dict[str, int | None]:
    return {problem.id: problem.answer for problem in problems}


def _summaries(closed: Sequence[ClosedProblem], config: Config) -> list[str]:
    """The metrics that have a summary and say something of the run."""
    means = [(metric.summary, metric.mean(closed, config)) for metric in METRICS if metric.summary]
    return [summary.format(mean) for summary, mean in means if mean is not None]


def _total_lines(sums: Totals, figures: Sequence[str]) -> Iterator[list[str]]:
    known = [f"{sums.correct} of {sums.known} known correct"] if sums.known else []
    yield [f"{sums.answered} of {sums.closed} answered", *known, *figures]
    yield [
        f"{sums.samples:,} samples, {sums.samples_finished:,} finished",
        f"{sums.tool_runs:,} tool runs",
        f"{sums.tokens:,} tokens",
        f"{sums.tokens_per_second:,.0f} tokens/s",
    ]
    if sums.cost is not None:
        each = money_text(sums.cost / max(1, sums.attempted), sums.currency)
        yield [f"{money_text(sums.cost, sums.currency)} for the samples", f"{each} a problem"]
    if sums.with_code.samples:
        yield code_facts(sums.with_code, sums.without_code)
    if sums.samples_with_unrun_code:
        count = sums.samples_with_unrun_code
        yield [f"{count:,} {'sample' if count == 1 else 'samples'} opened code that was not run"]
    time = [f"{duration(sums.seconds)} for {sums.closed} of {sums.problems} problems"]
    if sums.projected_seconds is not None:
        time.append(f"a scored run of {sums.scored_problems} would take {duration(sums.projected_seconds)}")
    yield time


def code_facts(ran: AttemptCount, others: AttemptCount) -> list[str]:
    """How many samples ran code, and how many of them and of the others were right, or else voted for the answer."""
    facts = [f"{ran.samples:,} of {ran.samples + others.samples:,} samples ran code"]
    if ran.known or others.known:
        worth = f"{ran.right:,} of {ran.known:,} right with code, {others.right:,} of {others.known:,} without"
    elif ran.voted_for_answer or others.voted_for_answer:
        votes = f"{ran.voted_for_answer:,} of {ran.samples:,}", f"{others.voted_for_answer:,} of {others.samples:,}"
        worth = f"{votes[0]} voted for the answer with code, {votes[1]} without"
    else:  # no problem has an answer
        return facts
    return [*facts, worth]


def duration(seconds: float) -> str:
    """Whole seconds as H:MM:SS.

    >>> duration(3725.9)
    '1:02:05'
    """
    return str(timedelta(seconds=int(max(0.0, seconds))))
