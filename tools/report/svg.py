"""SVG for a report: widths in per cent, so that text stays legible at any width, and colours by class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tools.shared.markup import printable

LEFT, RIGHT = 8.0, 98.0  # edges of a plot, in per cent
TOP, HEIGHT, BELOW = 8.0, 190.0, 40.0  # a plot's, and the height below it, in pixels


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of a stacked bar: its CSS class, its size and its tooltip."""

    kind: str
    size: float
    label: str


def node(tag: str, *children: str, **attributes: object) -> Markup:
    """An element; what is not markup is escaped. `class_` stands for `class`, `aria_label` for `aria-label`."""
    written = (
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), _written(value))
        for name, value in attributes.items()
    )
    inside = Markup("").join(child if isinstance(child, Markup) else printable(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(tag, Markup("").join(written), inside)


def image(title: str, height: float, shapes: Iterable[Markup], kind: str = "chart") -> Markup:
    """Return a picture of full width and `height` pixels, with an accessible title."""
    return node("svg", *shapes, class_=kind, role="img", aria_label=title, height=height, width="100%")


def rectangle(x: float, width: float, y: float, height: float, kind: str, said: str) -> Markup:
    """A rectangle; `x` and `width` in per cent, `y` and `height` in pixels."""
    return node("rect", node("title", said), class_=kind, x=f"{x:.3f}%", width=f"{width:.3f}%", y=y, height=height)


def line(x1: float, x2: float, y1: float, y2: float, kind: str, *said: Markup) -> Markup:
    """A line; `x1` and `x2` in per cent, `y1` and `y2` in pixels."""
    return node("line", *said, x1=f"{x1:.3f}%", x2=f"{x2:.3f}%", y1=y1, y2=y2, class_=kind)


def label(x: float, y: float, text: str, kind: str, *said: Markup) -> Markup:
    """Return a text at `x` per cent and `y` pixels; its class sets the alignment."""
    return node("text", *said, text, x=f"{x:.3f}%", y=y, class_=kind)


def stacked_bar(segments: Sequence[Segment], title: str, *, whole: float | None = None) -> Markup:
    """Return a horizontal bar; `whole` is the value of its full width, by default the sum of all segments."""
    whole = whole or sum(segment.size for segment in segments) or 1.0
    shapes = []
    place = 0.0
    for segment in segments:
        width = 100 * segment.size / whole
        shapes.append(rectangle(place, width, 0, 14, f"fill-{segment.kind}", segment.label))
        place += width
    return image(title, 14, shapes, "bar")


def across(share: float) -> float:
    """Return the position of a share of a plot's width, in per cent of the picture."""
    return LEFT + (RIGHT - LEFT) * share


def down(share: float) -> float:
    """Return the position of a share of a plot's height, in pixels from the top."""
    return TOP + HEIGHT * (1 - share)


def levels(marks: Sequence[tuple[float, str]]) -> Iterator[Markup]:
    """Horizontal lines at shares of a plot's height, with their names."""
    for share, name in marks:
        yield line(LEFT, RIGHT, down(share), down(share), "grid")
        yield label(LEFT - 0.8, down(share) + 4, name, "level")


def tick(share: float, name: str) -> Markup:
    """A name below a plot."""
    return label(across(share), TOP + HEIGHT + 16, name, "tick")


def axis_name(name: str) -> Markup:
    """Return the label of a plot's x axis."""
    return label(across(0.5), TOP + HEIGHT + 34, name, "tick")


def _written(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else printable(str(value))
