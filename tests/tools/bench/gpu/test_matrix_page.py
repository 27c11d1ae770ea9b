"""The page of a matrix in a browser: complete by itself, readable on a phone and a desk, in light and dark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from tests.support.browser import browser, browser_page
from tests.support.runs.serving_matrices import USUAL, accuracy_of, plan_of, speed_of
from tools.bench.gpu.matrix import ServingMatrix, ServingVariant
from tools.bench.gpu.page import results_page
from tools.bench.gpu.results import MatrixResults, Refused, ServerStarted

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]
pytestmark = pytest.mark.process

MATRIX = ServingMatrix(("stored", "fp8"), ("auto",), ("none", "suffix"), (8, 64))
SUFFIX = ServingVariant("stored", "auto", "suffix")
FP8 = ServingVariant("fp8", "auto", "none")
REASON = "ImportError: <b>Arctic</b> Inference is required " + "x" * 200
RESULTS = MatrixResults(
    plan_of(MATRIX, machine="8 x NVIDIA <H200>"),
    (
        ServerStarted(USUAL, 61.2, {"weights read": 12.5, "graph capture": 8.0}, 31.2, 233_739, 120.5),
        speed_of(USUAL, 8, 310.0, roofline=620.0),
        speed_of(USUAL, 64, 1_910.0, roofline=4_000.0, acceptance=0.61, accepted_length=2.2),
        accuracy_of(USUAL, 11),
        Refused(SUFFIX, REASON),
        replace(speed_of(FP8, 8, 420.0), vllm=None),
    ),
)


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1_280, "light")])
def test_the_page_is_readable_at_any_width_and_asks_the_network_for_nothing(
    browser: Browser, tmp_path: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    path = tmp_path / "page.html"
    path.write_text(results_page(RESULTS), encoding="utf-8")
    with browser_page(browser, width=width, color_scheme=scheme) as opened:
        opened.page.goto(path.as_uri())
        assert opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        told = opened.page.inner_text("body")
        opened.page.screenshot(path=str(tmp_path / "page.png"), full_page=True)
        text, back = (
            opened.page.evaluate(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor")
        )
    assert text != back and not opened.errors and opened.requests == [path.as_uri()]
    for words in (
        *("8 x NVIDIA <H200>", "best: stored weights, KV auto, no speculation, 64 lanes: 1,910.0 tokens/s", REASON),
        *("1,910.0", "47.8%", "61%", "11", "92%", "start: weights read 12.5 s, graph capture 8.0 s", "233,739 tokens"),
        "not measured yet: 64 lanes, accuracy",
    ):
        assert words in told, words


def test_what_a_server_wrote_cannot_disturb_the_page() -> None:
    page = results_page(MatrixResults(plan_of(MATRIX), (Refused(SUFFIX, "\x1b[31mError: \u202e</p>\x00"),)))
    assert "␛[31mError: \ufffd&lt;/p&gt;␀" in page


def test_a_matrix_of_which_nothing_is_measured_has_a_page() -> None:
    page = results_page(MatrixResults(plan_of(MATRIX, random="qwq-32b", problems="")))
    assert "not measured yet: 8 lanes, 64 lanes" in page and "<svg" not in page


def test_the_page_says_why_the_fastest_is_not_the_best() -> None:
    """Where the time limit came before its accuracy."""
    results = MatrixResults(
        plan_of(MATRIX), (speed_of(USUAL, 8, 100.0), accuracy_of(USUAL, 11), speed_of(FP8, 8, 500.0))
    )
    page = results_page(results)
    assert "best: stored weights" in page and "or is not measured yet where that of others is" in page
