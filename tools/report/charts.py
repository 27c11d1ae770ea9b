"""The charts of a report: votes, time, accuracy against samples, histograms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from markupsafe import Markup

from agent.types import Solution
from agent.views.verdict import weight_text
from tools.report.data import TimeSplit, VoteStatus
from tools.report.stats import CurvePoint, bin_counts, nice_edges
from tools.report.svg import (
    BELOW,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    Segment,
    across,
    axis_name,
    down,
    image,
    levels,
    line,
    node,
    rectangle,
    stacked_bar,
    tick,
)
from tools.shared.intervals import Interval

_BINS = 16
_TICKS = 7
KINDS = {
    VoteStatus.RIGHT: "right",
    VoteStatus.WRONG: "wrong",
    VoteStatus.NO_VOTE: "none",
    VoteStatus.UNKNOWN: "unknown",
}
"""The CSS class for the colour of each vote status."""


def vote_bar(solution: Solution, truth: int | None) -> Markup:
    """Draw the votes for each answer by their weight, the right one marked, and the samples without a vote."""
    segments = []
    for vote in solution.tally.votes:
        kind = "unknown" if truth is None else "right" if vote.answer == truth else "wrong"
        mark = ", right" if kind == "right" else ""
        segments.append(
            Segment(
                kind,
                vote.weight,
                f"{vote.answer}: {counted(vote.samples, 'vote')}, weight {weight_text(vote.weight)}{mark}",
            )
        )
    silent = solution.samples_started - sum(vote.samples for vote in solution.tally.votes)
    if silent > 0:
        segments.append(Segment("none", silent, f"{counted(silent, 'sample')} without a vote"))
    return stacked_bar(segments, "votes: " + ("; ".join(segment.label for segment in segments) or "none"))


def split_bar(split: TimeSplit, *, whole: float | None = None) -> Markup:
    """Draw how the time was spent; `whole` seconds fill the width."""
    parts = (
        ("engine", split.generating, "engine generating"),
        ("tool", split.tools, "only tools"),
        ("none", split.other, "other"),
    )
    segments = [
        Segment(kind, size, f"{name}: {size:,.1f} s ({size / split.wall:.0%})")
        for kind, size, name in parts
        if size > 0
    ]
    return stacked_bar(segments, "; ".join(segment.label for segment in segments) or "no time", whole=whole)


def majority_chart(points: Sequence[CurvePoint]) -> Markup:
    """Draw the accuracy of the vote over the number of samples; a dashed line marks the level of one sample."""
    widest = math.log2(points[-1].samples) or 1.0
    places = [math.log2(point.samples) / widest for point in points]
    height = TOP + HEIGHT + BELOW
    upper = [(across(x), down(point.accuracy.high)) for x, point in zip(places, points, strict=True)]
    lower = [(across(x), down(point.accuracy.low)) for x, point in zip(places, points, strict=True)]
    middle = [(across(x), down(point.accuracy.value)) for x, point in zip(places, points, strict=True)]
    curve = node(
        "svg",
        node("polygon", points=_path([*upper, *lower[::-1]]), class_="band"),
        node("polyline", points=_path(middle), class_="curve"),
        viewBox=f"0 0 100 {height:g}",
        preserveAspectRatio="none",
        width="100%",
        height=height,
    )
    single = middle[0][1]
    dots = [
        node("circle", node("title", point_text(point)), cx=f"{x:.3f}%", cy=y, r=4, class_="dot")
        for point, (x, y) in zip(points, middle, strict=True)
    ]
    ticks = [tick(place, str(point.samples)) for place, point in _spread(places, points)]
    title = f"Accuracy of the vote against the number of samples: {point_text(points[0])}, {point_text(points[-1])}"
    return image(
        title,
        height,
        [
            *levels([(share / 4, f"{share / 4:.0%}") for share in range(5)]),
            curve,
            line(LEFT, RIGHT, single, single, "base"),
            *dots,
            *ticks,
            axis_name("samples, on a logarithmic scale"),
        ],
    )


def histogram(values: Mapping[VoteStatus, Sequence[float]], name: str, title: str) -> Markup:
    """Draw a histogram of a quantity from or up to 0, stacked by vote status. There must be a value."""
    edges = nice_edges([0.0, *(value for group in values.values() for value in group)], _BINS)
    bins = len(edges) - 1
    piles = {verdict: bin_counts(group, edges) for verdict, group in values.items()}
    most = max(map(sum, zip(*piles.values(), strict=True)))
    pillars = []
    for place in range(bins):
        below = 0
        for verdict, pile in piles.items():
            if pile[place]:
                said = f"{edges[place]:g} to {edges[place + 1]:g}: {pile[place]} {verdict}"
                below += pile[place]
                pillars.append(
                    rectangle(
                        across((place + 0.06) / bins),
                        (RIGHT - LEFT) * 0.88 / bins,
                        down(below / most),
                        HEIGHT * pile[place] / most,
                        f"fill-{KINDS[verdict]}",
                        said,
                    )
                )
    step = math.ceil(bins / _TICKS)
    ticks = [tick(place / bins, _short(edges[place])) for place in range(0, bins + 1, step)]
    marks = [(mark / most, f"{mark:g}") for mark in nice_edges([0.0, most], 4) if mark <= most and mark == int(mark)]
    return image(title, TOP + HEIGHT + BELOW, [*levels(marks), *pillars, *ticks, axis_name(name)])


def counted(count: int, name: str) -> str:
    """Return a count with its noun in singular or plural."""
    return f"{count:,} {name}{'s' * (count != 1)}"


def share_text(found: Interval) -> str:
    """Format a share with its interval."""
    return f"{found.value:.0%} ({found.low:.0%} to {found.high:.0%})"


def point_text(point: CurvePoint) -> str:
    """Describe a point of the curve."""
    return f"maj@{point.samples} {share_text(point.accuracy)}"


def _path(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.3f},{y:.1f}" for x, y in points)


def _spread(places: Sequence[float], points: Sequence[CurvePoint]) -> Iterator[tuple[float, CurvePoint]]:
    """Yield the points whose labels do not overlap, always including the last one."""
    last = -1.0
    for place, point in zip(places, points, strict=True):
        if place == places[-1] or (place - last >= 0.07 and places[-1] - place >= 0.07):
            last = place
            yield place, point


def _short(value: float) -> str:
    return f"{value / 1_000:g}k" if abs(value) >= 1_000 else f"{value:g}"
