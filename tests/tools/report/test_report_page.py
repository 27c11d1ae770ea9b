"""The page of a run in a real browser: by mouse, by keyboard, on a phone, in the dark, and with hostile text in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.types import Problem, SampleEnd, ToolRun, ToolStatus, Turn
from tests.support.browser import BrowserPage, browser, browser_page
from tests.support.runs.report_runs import synthetic_run, vote, write_run
from tests.support.texts.fenced import tool_result
from tools.report.command import main

pytest.importorskip("playwright")
from playwright.sync_api import Browser, expect

__all__ = ["browser"]

QUESTION = (
    "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=2><svg onload=window.hacked=3>"
    "<!-- {{ 7*7 }} $<img src=x onerror=window.hacked=4>$ \\(\\text{<b onmouseover=window.hacked=5>}\\) ]]> \u202e"
    '" onfocus="window.hacked=6" autofocus x="\n```python\n</pre><script>window.hacked=7</script>\n```\n'
)
HOSTILE = QUESTION + "\x00\x1b\ud800"  # no problem file can hold these
CODE = ToolRun("for n in range(3):\n    print(n)\n", "0\n1\n2\n", ToolStatus.OK, 0.4)
FAILED = ToolRun("1/0", "ZeroDivisionError", ToolStatus.ERROR, 0.1)
TEXT = "We compute $\\frac{n(n+1)}{2}$ first.\n```python\nfor n in range(3):\n    print(n)\n```"


def make_run(directory: Path, *, right: bool = True) -> Path:
    turns = (
        Turn(TEXT, 40, 4.0, tool_result(CODE.output), CODE),
        Turn("```python\n1/0\n```", 9, 1.0, tool_result(FAILED.output) + "\n\\boxed{", FAILED),
        Turn("3}", 2, 0.5),
    )
    rich = vote(0, 3, turns=turns, end=SampleEnd.DEADLINE, forced=True, seconds=6.5, mean_logprob=-0.2)
    problems = [
        Problem("good", "The sum of $1$ and $2$, for $5 a piece", 3),
        Problem("bad", "A triangle", 4),
        Problem("mute", "Nobody knows", 5),
        Problem("open", "Without a truth"),
        Problem('"><script>window.hacked=8</script>', QUESTION, 6),
    ]
    hostile_run = ToolRun(HOSTILE, HOSTILE, ToolStatus.OK, 0.1)
    hostile = vote(0, 6, turns=(Turn(HOSTILE + "x" * 200_000, 9, 1.0, HOSTILE, hostile_run), Turn(HOSTILE, 1, 1.0)))
    votes = {
        "good": [rich, vote(1, 3, mean_logprob=-0.1), vote(2, 9, mean_logprob=-0.9)],
        "bad": [vote(0, 4 if not right else 8)],
        "mute": [vote(0, None)],
        "open": [vote(0, 1)],
        problems[-1].id: [hostile],
    }
    return write_run(directory, problems, votes)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = make_run(tmp_path_factory.mktemp("report") / "run")
    assert main([str(run)]) == 0
    return run / "report.html"


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[BrowserPage]:
    """The page, which at the end must have complained of nothing and asked for nothing but itself."""
    with browser_page(browser) as opened:
        opened.page.goto(report.as_uri())
        yield opened
        assert opened.errors == []
        assert opened.requests == [report.as_uri()]


def shown(opened: BrowserPage) -> list[str]:
    return [name.strip() for name in opened.page.locator(".problem:visible .id").all_inner_texts()]


def test_a_transcript_opens_with_formulas_code_and_output(opened: BrowserPage) -> None:
    problem = opened.page.locator(".problem").first
    problem.locator("> summary").click()
    sample = problem.locator(".sample", has_text="#0")
    sample.locator("> summary").click()
    formula = sample.locator("math mfrac").first
    expect(formula).to_be_visible()
    box = formula.bounding_box()
    assert box is not None and box["height"] > 18  # drawn as a fraction, not as a line of text
    expect(sample.locator(".code .k").first).to_have_text("for")
    expect(sample.locator(".output.ok pre")).to_have_text("0\n1\n2")
    expect(sample.locator(".output.error pre")).to_have_text("ZeroDivisionError")
    expect(sample.locator(".forced")).to_contain_text("\\boxed{")
    expect(sample.locator("h5").last).to_contain_text("forced answer")
    expect(problem.locator(".problem-text math")).to_have_count(2)
    expect(problem.locator(".problem-text")).to_contain_text("$5 a piece")


def test_the_prompt_can_be_read(opened: BrowserPage) -> None:
    problem = opened.page.locator(".problem").first
    problem.locator("> summary").click()
    problem.get_by_text("The prompt").click()
    expect(problem.locator(".prompt")).to_contain_text("PROMPT The sum of")


def test_filters_and_search(opened: BrowserPage) -> None:
    page = opened.page
    assert len(shown(opened)) == 5
    for outcome, names in {"right": 2, "wrong": 1, "no answer": 1, "unknown": 1, "all": 5}.items():
        button = page.get_by_role("button", name=outcome, exact=True)
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        assert len(shown(opened)) == names
        expect(page.locator("#shown")).to_have_text(f"{names} of 5 shown")
    page.get_by_role("searchbox").fill("TRIANGLE")
    assert shown(opened) == ["bad"]
    page.get_by_role("searchbox").fill("9")  # an answer of one sample
    assert shown(opened) == ["good"]
    page.get_by_role("button", name="wrong", exact=True).click()
    assert shown(opened) == []


def test_all_works_from_the_keyboard(opened: BrowserPage) -> None:
    page = opened.page
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the problems")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    summary = page.locator(".problem > summary").first
    expect(summary).to_be_focused()
    assert summary.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".problem .sample").nth(1).locator("math").first).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("triangle/")
    assert shown(opened) == []
    page.keyboard.press("Escape")
    assert len(shown(opened)) == 5
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert len(shown(opened)) == 2


def test_the_theme_follows_the_system_and_the_button(browser: Browser, report: Path) -> None:
    def brightness(opened: BrowserPage) -> int:
        colour = "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).slice(0, 3).map(Number)"
        return sum(opened.page.evaluate(colour))

    for scheme in ("light", "dark"):
        with browser_page(browser, color_scheme=scheme) as opened:
            opened.page.goto(report.as_uri())
            before = brightness(opened)
            assert (before > 600) is (scheme == "light")
            opened.page.get_by_role("button", name="Dark" if scheme == "light" else "Light").click()
            assert (brightness(opened) > 600) is (scheme == "dark")
            assert opened.errors == []


def test_a_phone_needs_no_scrolling_sideways(browser: Browser, report: Path) -> None:
    with browser_page(browser, width=390, height=844) as opened:
        page = opened.page
        page.goto(report.as_uri())
        for problem in page.locator(".problem").all():
            problem.locator("> summary").click()
            for sample in problem.locator(".sample").all():
                sample.locator("> summary").click()
                expect(sample.locator(".transcript *").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        wide = "e => e.getBoundingClientRect().right > 391"
        assert page.evaluate(f"[...document.querySelectorAll('.row *, .card, figure')].filter({wide}).length") == 0
        assert opened.errors == []


def test_nothing_of_a_hostile_transcript_is_executed(opened: BrowserPage) -> None:
    page = opened.page
    for details in page.locator("details").all():
        details.evaluate("element => { element.open = true }")
    expect(page.locator(".transcript:empty")).to_have_count(0)
    for element in page.locator("math, pre, .said, .id").all():
        element.dispatch_event("mouseover")
        element.dispatch_event("focus")
    assert page.evaluate("window.hacked") is None
    assert page.locator("img, iframe, .transcript script, .transcript svg, [onfocus], [onerror]").count() == 0
    assert page.locator(".transcript", has_text="{{ 7*7 }}").count() == 2  # prompt and sample
    assert page.evaluate("document.querySelectorAll('script:not([type])').length") == 1


def test_a_script_that_got_in_would_not_run(opened: BrowserPage) -> None:
    page = opened.page
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<i id=evil onclick=\"window.hacked=1\">x</i>')")
    page.locator("#evil").click()
    assert page.evaluate("window.hacked") is None
    assert len(opened.errors) == 1
    assert "Content Security Policy" in opened.errors.pop()


def test_the_overview_shows_without_javascript(browser: Browser, report: Path) -> None:
    with browser_page(browser, javascript=False) as opened:
        page = opened.page
        page.goto(report.as_uri())
        expect(page.get_by_text("Without JavaScript")).to_be_visible()
        expect(page.locator("#theme")).to_be_hidden()
        page.locator(".problem > summary").first.click()
        expect(page.locator(".problem .waterfall").first).to_be_visible()


def test_pictures_have_names_and_say_more_where_pointed_at(opened: BrowserPage) -> None:
    page = opened.page
    for picture in page.locator("svg[role=img]").all():
        assert picture.get_attribute("aria-label")
    assert page.locator("svg rect:not(:has(title))").count() == 0
    waterfall = page.locator(".waterfall").first
    titles = waterfall.locator("title").all_text_contents()
    for said in (
        "turn 1: 40 tokens in 4.0 s",
        "Python, ok: 0.40 s",
        "Python, error: 0.10 s",
        "forced answer: 2 tokens in 0.5 s",
        "deadline, answer forced after 6.5 s",
    ):
        assert said in titles


def test_two_runs_side_by_side(browser: Browser, report: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", right=False)
    assert main([str(report.parent), str(other), "-o", str(tmp_path / "two.html")]) == 0
    with browser_page(browser) as opened:
        page = opened.page
        page.goto((tmp_path / "two.html").as_uri())
        assert len(shown(opened)) == 10
        page.get_by_role("row", name="bad 4").get_by_role("link").last.click()
        target = page.locator(".problem[open]")
        expect(target).to_have_count(1)
        expect(target.locator("> summary")).to_be_focused()
        expect(target.locator(".id")).to_have_text("bad")
        target.locator(".sample > summary").last.click()
        expect(target.locator(".transcript").last).to_contain_text("text")
        assert page.evaluate("new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size") == page.evaluate(
            "document.querySelectorAll('[id]').length"
        )
        assert opened.errors == []


@pytest.mark.long
def test_a_run_of_full_size_opens_quickly(browser: Browser, tmp_path: Path) -> None:
    """50 problems of 16 samples of 10,000 tokens; `pytest -s` shows what was measured."""
    run = synthetic_run(tmp_path / "run", problems=50, samples=16, tokens=10_000)
    started = time.perf_counter()
    assert main([str(run)]) == 0
    made = time.perf_counter() - started
    size = (run / "report.html").stat().st_size
    with browser_page(browser) as opened:
        page = opened.page
        page.goto((run / "report.html").as_uri())
        loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1e3
        page.locator(".problem > summary").nth(7).click()
        sample = page.locator(".problem").nth(7).locator(".sample").nth(5)
        started = time.perf_counter()
        sample.locator("> summary").click()
        expect(sample.locator("math").first).to_be_visible()
        shown = time.perf_counter() - started
        formulas = sample.locator("math").count()
        assert opened.errors == []
    journal = (run / "journal.jsonl").stat().st_size
    print(
        f"\n{journal / 1e6:.1f} MB of journal: page of {size / 1e6:.1f} MB made in {made:.1f} s, load event after "
        f"{loaded:.2f} s, transcript of {formulas} formulas after {shown:.2f} s"
    )
    assert size < 30e6
    assert formulas > 50
    assert loaded < 12 and shown < 12  # on a machine that others keep busy
