"""Render runs as a self-contained HTML page: the overview as plain HTML, transcripts compressed."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from agent.types import Sample
from agent.views.table import code_facts, duration, short
from agent.views.verdict import COLUMN_MEANINGS, STOP_MEANINGS, guesses, votes_text, weight_text, why_won
from tools.report.charts import (
    KINDS,
    counted,
    histogram,
    majority_chart,
    share_text,
    split_bar,
    vote_bar,
)
from tools.report.compare import Comparison
from tools.report.data import ProblemRecord, ProblemStatus, ReportedRun, TimeSplit, VoteStatus, time_split
from tools.report.stats import (
    MAX_SUBSETS,
    Figure,
    confidence_auroc,
    majority_curve,
    projected_score,
    run_figures,
)
from tools.report.transcript import packed, transcript
from tools.report.waterfall import MARKS, end_text, waterfall
from tools.shared.intervals import RESAMPLES, Interval
from tools.shared.markup import code_css, printable, to_html
from tools.shared.pages import page_environment, page_style

PAGE = Path(__file__).with_name("page")
_OUTCOME_MARKS = {
    ProblemStatus.RIGHT: "✓",
    ProblemStatus.WRONG: "✗",
    ProblemStatus.NO_ANSWER: "∅",
    ProblemStatus.UNKNOWN: "?",
    ProblemStatus.OPEN: "…",
}
_OUTCOME_KINDS = {
    ProblemStatus.RIGHT: "right",
    ProblemStatus.WRONG: "wrong",
    ProblemStatus.NO_ANSWER: "none",
    ProblemStatus.UNKNOWN: "unknown",
    ProblemStatus.OPEN: "none",
}


class SampleView:
    """A sample for the page."""

    def __init__(self, problem: ProblemRecord, sample: Sample, key: str) -> None:
        self.key = key
        self.sample = sample
        self.verdict = problem.verdict(sample)
        self.kind = KINDS[self.verdict]
        self.mark = MARKS[self.verdict]
        self.end = end_text(sample)


class ProblemView:
    """A problem for the page."""

    def __init__(self, record: ProblemRecord, key: str) -> None:
        self.key = key
        self.record = record
        self.solution = record.solution
        self.kind = _OUTCOME_KINDS[record.outcome]
        self.mark = _OUTCOME_MARKS[record.outcome]
        self.split = time_split(record.samples, [record.span])
        self.samples = [SampleView(record, sample, f"{key}-{n}") for n, sample in enumerate(record.samples)]

    @property
    def text(self) -> Markup:
        """The question with rendered formulas."""
        return to_html(self.record.problem.text.strip())

    @property
    def answers(self) -> list[int]:
        """All answers given to the problem and the correct one, each once."""
        own = [self.solution.answer if self.solution else None, self.record.problem.answer]
        return sorted({a for a in (*own, *(s.answer for s in self.record.samples)) if a is not None})

    @property
    def votes(self) -> str:
        """The leader's weight of that of all votes, and the runner-up's."""
        return votes_text(self.solution, self.record.samples) if self.solution else ""

    @property
    def why(self) -> str:
        """One sentence on why its answer won."""
        return why_won(self.solution, self.record.samples) if self.solution else ""

    def guesses(self, answer: int) -> int:
        """How many of its samples guessed this answer."""
        return guesses(self.record.samples, answer)

    @property
    def vote_bar(self) -> Markup:
        """Votes by answer."""
        return vote_bar(self.solution, self.record.problem.answer) if self.solution else Markup()

    @property
    def time_bar(self) -> Markup:
        """How the time was spent, compared with the allowance."""
        return split_bar(self.split, whole=max(self.split.wall, self.record.allowance or 0.0) or None)

    @property
    def waterfall(self) -> Markup:
        """Its lanes over time."""
        return waterfall(self.record)


class RunView:
    """A run for the page; `key` is the prefix of its elements' ids."""

    def __init__(self, run: ReportedRun, key: str) -> None:
        self.key = key
        self.run = run
        self.config = run.record.config
        self.sums = run.sums
        self.problems = [ProblemView(problem, f"{key}{n}") for n, problem in enumerate(run.problems)]
        self.curve = majority_curve(run)
        self.projected = projected_score(run)

    def key_of(self, problem: ProblemRecord) -> str:
        """Return the id of a problem's element."""
        return next(view.key for view in self.problems if view.record is problem)

    @cached_property
    def split(self) -> TimeSplit:
        """How the time of the run was spent."""
        spans = [problem.span for problem in self.run.problems if problem.solution]
        return time_split([sample for _, sample in self.run.samples], spans)

    @property
    def split_bar(self) -> Markup:
        """A chart of how the time of the run was spent."""
        return split_bar(self.split)

    @property
    def majority_chart(self) -> Markup:
        """Accuracy against the number of samples."""
        return majority_chart(self.curve)

    @cached_property
    def token_chart(self) -> Markup | None:
        """The lengths of samples, None without samples."""
        values = self._values(lambda sample: float(sample.tokens))
        title = "Generated tokens of a sample, by what its vote was worth"
        return histogram(values, "generated tokens of a sample", title) if values else None

    @cached_property
    def confidence_chart(self) -> Markup | None:
        """The confidence of samples; None where that was not recorded."""
        values = self._values(lambda sample: sample.mean_logprob)
        title = "Mean log-probability of a sample's tokens, by what its vote was worth"
        return histogram(values, "mean log-probability of a sample's tokens", title) if values else None

    @cached_property
    def confidence_auroc(self) -> float | None:
        """How well confidence tells right votes from wrong ones."""
        return confidence_auroc(self.run)

    @cached_property
    def code_worth(self) -> str:
        """What the samples that ran code were worth, and the others; "" where no problem has an answer."""
        return "".join(code_facts(self.sums.with_code, self.sums.without_code)[1:])

    @cached_property
    def figures(self) -> list[Figure]:
        """The means of the metrics."""
        return run_figures(self.run)

    @cached_property
    def outcomes(self) -> dict[ProblemStatus, int]:
        """The number of problems with each outcome that occurs."""
        counts = {outcome: sum(p.record.outcome is outcome for p in self.problems) for outcome in ProblemStatus}
        return {outcome: count for outcome, count in counts.items() if count}

    def _values(self, measure: Callable[[Sample], float | None]) -> dict[VoteStatus, list[float]]:
        values: dict[VoteStatus, list[float]] = {}
        for verdict in VoteStatus:
            found = [measure(s) for problem, s in self.run.samples if problem.verdict(s) is verdict]
            told = [value for value in found if value is not None]
            if told:
                values[verdict] = told
        return values


def page(
    runs: Sequence[ReportedRun], progress: Callable[[Sequence[ProblemView]], Iterator[ProblemView]]
) -> Iterator[str]:
    """Render the page in pieces; `progress` wraps the iteration over problems."""
    views = [RunView(run, key) for run, key in zip(runs, "ab", strict=False)]
    problems = [problem for view in views for problem in view.problems]
    yield from (
        report_templates()
        .get_template("page.html.j2")
        .generate(
            views=views,
            comparison=Comparison(*runs) if len(runs) == 2 else None,
            outcomes=[o for o in ProblemStatus if any(o in view.outcomes for view in views)],
            **page_parts("page.js"),
            blobs=_blobs(views, progress(problems)),
        )
    )


def _blobs(views: Sequence[RunView], problems: Iterator[ProblemView]) -> Iterator[tuple[str, Markup]]:
    """Yield the parts that are opened on demand: element id and compressed HTML."""
    configs = {view.key: view.config for view in views}
    for problem in problems:
        if problem.record.start is not None:
            prompt = Markup('<pre class="prompt">{}</pre>').format(printable(problem.record.start.prompt))
            yield f"{problem.key}-prompt", packed(prompt)
        for sample in problem.samples:
            yield sample.key, packed(transcript(sample.sample, configs[problem.key[0]]))


def page_parts(script: str) -> dict[str, str]:
    """The script of a page behind the one that unpacks transcripts, its hash for the page's policy, and the style."""
    text = "".join((PAGE / name).read_text(encoding="utf-8") for name in ("unpack.js", script))
    return {
        "script": Markup(text),
        "script_hash": base64.b64encode(hashlib.sha256(text.encode()).digest()).decode(),
        "style": page_style(PAGE / "page.css") + Markup(code_css()),
    }


def report_templates() -> Environment:
    """Return the environment of the templates of reports, with what they compute."""
    environment = page_environment(PAGE)
    environment.filters |= {
        "counted": counted,
        "weight": weight_text,
        "duration": duration,
        "short": short,
        "share": share_text,
        "span": _span,
    }
    environment.globals |= {
        "subsets": MAX_SUBSETS,
        "resamples": RESAMPLES,
        "columns": COLUMN_MEANINGS,
        "stops": STOP_MEANINGS,
    }
    return environment


def _span(found: Interval) -> str:
    return f"{found.low:.1f} to {found.high:.1f}"
