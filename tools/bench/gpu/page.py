"""The results of a matrix as one HTML page that needs nothing else."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from tools.bench.gpu.best import EQUAL_SHARE, best_serving
from tools.bench.gpu.results import MatrixResults, SpeedMeasured
from tools.bench.gpu.table import ACCURACY_HEADINGS, SPEED_HEADINGS, best_line, variant_rows
from tools.shared.pages import page_environment, page_style

_FOLDER = Path(__file__).parent
_WIDTH, _ROW = 53.0, 22  # a bar's greatest width in per cent, a row's height in pixels


def results_page(results: MatrixResults) -> str:
    """Render the page."""
    return (
        page_environment(_FOLDER)
        .get_template("page.html.j2")
        .render(
            plan=results.plan,
            style=page_style(_FOLDER / "page.css"),
            rows=variant_rows(results),
            best=best_line(results),
            chart=speed_chart(results),
            speed_headings=SPEED_HEADINGS,
            accuracy_headings=ACCURACY_HEADINGS,
            equal=f"{EQUAL_SHARE:.0%}",
        )
    )


def speed_chart(results: MatrixResults) -> Markup:
    """A bar for each speed through the agent, with a mark at that of vLLM's client; nothing without speeds."""
    speeds = [
        speed
        for variant in results.plan.matrix.variants
        for (each, _), speed in sorted(results.speeds.items(), key=lambda item: item[0][1])
        if each == variant
    ]
    if not speeds:
        return Markup()
    most = max(max(speed.agent.per_second, _vllms(speed)) for speed in speeds)
    best = best_serving(results)
    chosen = None if best is None else best.speed
    bars = (_bar(speed, place * _ROW, most, best=speed == chosen) for place, speed in enumerate(speeds))
    title = "Tokens/s through the agent (bars) and through vLLM's client (marks)"
    return Markup('<svg role="img" aria-label="{}" width="100%" height="{}">{}</svg>').format(
        title, len(speeds) * _ROW, Markup("").join(bars)
    )


def _bar(speed: SpeedMeasured, top: int, most: float, *, best: bool) -> Markup:
    """The bar of a speed, `top` pixels from above, and its mark; `most` is the greatest speed."""
    said = f"{speed.variant.name}, {speed.lanes} lanes: {speed.agent.per_second:,.1f} tokens/s"
    bar = Markup('<rect class="{}" x="0" y="{}" width="{:.2f}%" height="14"><title>{}</title></rect>').format(
        "bar best" if best else "bar", top + 3, _WIDTH * speed.agent.per_second / most, said
    )
    mark = Markup('<rect class="mark" x="{:.2f}%" y="{}" width="2" height="18"/>').format(
        _WIDTH * _vllms(speed) / most, top + 1
    )
    label = Markup('<text x="{}%" y="{}">{}</text>').format(
        _WIDTH + 2, top + 15, f"{speed.variant.slug} x {speed.lanes}"
    )
    return bar + (mark if speed.vllm else "") + label


def _vllms(speed: SpeedMeasured) -> float:
    return speed.vllm.per_second if speed.vllm else 0.0
