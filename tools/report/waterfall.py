"""The lanes of one problem over time: their turns, tool runs, forced answers and ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from agent.types import Sample
from tools.report.charts import KINDS
from tools.report.data import ProblemRecord, Span, VoteStatus, lane_turns
from tools.report.stats import nice_edges
from tools.report.svg import image, label, line, node, rectangle

MARKS = {VoteStatus.RIGHT: "✓", VoteStatus.WRONG: "✗", VoteStatus.NO_VOTE: "∅", VoteStatus.UNKNOWN: "?"}
_LANE = 17.0  # pixels
_LEFT, _RIGHT = 9.0, 84.0  # per cent
_BELOW = 22.0
_MOMENT = 0.35  # per cent; what is shorter is drawn so wide, to be seen


@dataclass(frozen=True, slots=True)
class _Scale:
    """Converts seconds since the run began to per cent of the picture."""

    begin: float
    length: float

    def __call__(self, at: float) -> float:
        share = min(1.0, max(0.0, (at - self.begin) / self.length))
        return _LEFT + (_RIGHT - _LEFT) * share


def waterfall(problem: ProblemRecord) -> Markup:
    """Draw a row for each sample, on one axis of seconds since the problem began."""
    begin = min([problem.span[0], *(sample.started for sample in problem.samples)])
    end = max([problem.span[1], *(sample.started + sample.seconds for sample in problem.samples)])
    scale = _Scale(begin, max(end - begin, 1e-3))
    bottom = _LANE * len(problem.samples) + 4
    shapes = []
    for second in nice_edges([0.0, scale.length], 5):
        if second <= scale.length:
            x = scale(begin + second)
            shapes += [line(x, x, 0, bottom, "grid"), label(x, bottom + 15, f"{second:g} s", "tick")]
    for row, sample in enumerate(problem.samples):
        shapes += _lane(sample, problem.verdict(sample), row * _LANE, scale)
    if problem.allowance is not None and problem.span[0] + problem.allowance <= end:
        x = scale(problem.span[0] + problem.allowance)
        said = node("title", f"the allowance of {problem.allowance:,.0f} s was spent")
        shapes.append(line(x, x, 0, bottom, "limit", said))
    title = f"{len(problem.samples)} lanes of {problem.problem.id} over {scale.length:,.1f} seconds"
    return image(title, bottom + _BELOW, shapes, "waterfall")


def end_text(sample: Sample) -> str:
    """Return why a sample ended, and whether its answer was forced."""
    return f"{sample.end}, answer forced" if sample.forced and sample.answer is not None else str(sample.end)


def _lane(sample: Sample, verdict: VoteStatus, top: float, scale: _Scale) -> Iterator[Markup]:
    base = top + _LANE / 2 + 5
    yield label(_LEFT - 1, base, f"#{sample.index}", "lane")
    for number, (turn, times) in enumerate(zip(sample.turns, lane_turns(sample), strict=True), 1):
        forced = sample.forced and number == len(sample.turns)
        name = "forced answer" if forced else f"turn {number}"
        said = f"{name}: {turn.tokens:,} tokens in {turn.seconds:,.1f} s"
        yield _stretch(times.generating, top, scale, "fill-forced" if forced else "fill-engine", said)
        if times.tool is not None and turn.tool_run is not None:
            said = f"Python, {turn.tool_run.status}: {turn.tool_run.seconds:,.2f} s"
            yield _stretch(times.tool, top, scale, f"fill-tool {turn.tool_run.status}", said)
    x = scale(sample.started + sample.seconds)
    yield line(x, x, top + 1, top + _LANE - 1, f"end stroke-{KINDS[verdict]}")
    answer = MARKS[verdict] if sample.answer is None else f"{MARKS[verdict]} {sample.answer}"
    said = f"{end_text(sample)} after {sample.seconds:,.1f} s"
    yield label(_RIGHT + 1.5, base, answer, f"answer text-{KINDS[verdict]}", node("title", said))


def _stretch(span: Span, top: float, scale: _Scale, kind: str, said: str) -> Markup:
    x = scale(span[0])
    return rectangle(x, max(_MOMENT, scale(span[1]) - x), top + 3, _LANE - 6, kind, said)
