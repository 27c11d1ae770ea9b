"""Charts with intervals as image files, drawn by Matplotlib (extra `lab`).

The pictures of report pages are drawn by the report itself, as these follow the page's width and colours.
"""

from __future__ import annotations

import importlib.util
import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.errors import InputError
from tools.shared.intervals import Interval

EXPORTED = (".svg", ".png")
"""The kinds of files of an exported chart."""
_KINDS = (".svg", ".png", ".pdf")
_DASHES: Sequence[Any] = (":", "--", "-.", (0, (1, 3)), (0, (8, 2)), (0, (6, 2, 1, 2, 1, 2)))
_LEGEND_WIDTH = 110  # characters
Curve = Sequence[tuple[float, Interval]]
"""Points of a curve: a place on the x axis, and the value there."""


def check_charts(*paths: Path) -> None:
    """Check that charts can be written, before what they show is computed. Raises InputError."""
    for path in paths:
        writable = path.parent.is_dir() and os.access(path.parent, os.W_OK)
        if path.suffix.lower() not in _KINDS or not writable:
            raise InputError(
                f"the chart cannot be written to {path}: name a .svg, .png or .pdf file in a folder that exists and "
                "can be written to"
            )
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError("charts need Matplotlib: pip install 'aimo-agent[lab]', or leave the flag out")


def draw_curves(
    paths: Sequence[Path],
    curves: Mapping[str, Curve],
    axes: tuple[str, str],
    *,
    bounds: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    logarithmic: bool = False,
) -> None:
    """Draw curves with their intervals as bands, and `bounds` as broken lines; `axes` names the two axes.

    The bounds have a legend of their own below the axes, which has room for sentences. Raises InputError where
    `check_charts` does, and if a file cannot be written.
    """

    def draw(plot: Any) -> None:
        for name, points in curves.items():
            places = [place for place, _ in points]
            plot.plot(places, [value.value for _, value in points], marker="o", label=name)
            plot.fill_between(places, [v.low for _, v in points], [v.high for _, v in points], alpha=0.08)
        limits = [_draw_bound(plot, place, line) for place, line in enumerate((bounds or {}).values())]
        if logarithmic:
            plot.set_xscale("log", base=2)
            plot.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        plot.set_xlabel(axes[0])
        plot.set_ylabel(axes[1])
        plot.legend(fontsize="small")
        if limits:
            names = [textwrap.fill(name, _LEGEND_WIDTH) for name in bounds or ()]
            plot.figure.legend(limits, names, loc="outside lower left", fontsize="small", title="bounds")

    _save(paths, (8, 5 + 0.3 * len(bounds or ())), draw)


def _draw_bound(plot: Any, place: int, points: Sequence[tuple[float, float]]) -> Any:
    """Draw a bound, told apart from the others by its dashes and its grey, and return its line."""
    style, grey = _DASHES[place % len(_DASHES)], 0.2 + 0.12 * (place % 4)
    (line,) = plot.plot([x for x, _ in points], [y for _, y in points], linestyle=style, color=str(grey))
    return line


def draw_intervals(paths: Sequence[Path], values: Mapping[str, Interval], axis: str, *, zero: bool = False) -> None:
    """Draw a point with its interval for each name, the first on top; `zero` marks where there is no difference.

    Raises InputError where `check_charts` does, and if a file cannot be written.
    """

    def draw(plot: Any) -> None:
        places = range(len(values))
        middle = [value.value for value in values.values()]
        ends = [[v.value - v.low for v in values.values()], [v.high - v.value for v in values.values()]]
        plot.errorbar(middle, places, xerr=ends, fmt="o", capsize=3)
        plot.set_yticks(places, list(values))
        plot.set_ylim(len(values) - 0.5, -0.5)  # the first on top, and no interval on the frame
        plot.grid(axis="x", alpha=0.3)
        if zero:
            plot.axvline(0.0, color="grey", linewidth=0.8)
        plot.set_xlabel(axis)

    _save(paths, (8, 1.2 + 0.35 * len(values)), draw)


def _save(paths: Sequence[Path], size: tuple[float, float], draw: Callable[[Any], None]) -> None:
    check_charts(*paths)
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "aimo-agent"}):  # the same figures give the same file
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot())
        for path in paths:
            try:
                figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
            except OSError as error:
                raise InputError(f"the chart cannot be written to {path} ({error.strerror}): name another") from error
