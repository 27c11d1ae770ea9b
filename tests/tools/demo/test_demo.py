"""The demo's command, served for real and clicked through in a browser."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from agent.journal.journal import JOURNAL_FILE, read_run
from agent.types import StopReason
from tests.support.browser import BrowserPage, browser, browser_page  # noqa: F401
from tests.support.servers.scripted_server import BREAK, ScriptedServer, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
ATTACK = "<img src=x onerror=document.title='harmed'> <script>document.title='harmed'</script> ${document.title=1}"
CODE = "print(6 * 7)\n```"
THOUGHTS = " ".join(map(str, random.Random(0).choices(range(10_000), k=600)))  # no loop that would be noticed
EVIDENCE = f"So $x^2 = 1764$ {ATTACK} gives \\boxed{{42}}."


def reply(body: dict[str, Any]) -> str:
    """Code first, then prose and the answer; a question that says so is thought about for long, or kills the server."""
    prompt = body["prompt"]
    if prompt.endswith("\\boxed{"):
        return "42}"
    written = prompt.rpartition("<|im_start|>assistant")[2]
    if "for ever" in prompt:
        return THOUGHTS
    if "Break" in prompt:
        return f"one two {BREAK}"
    return EVIDENCE if "```output" in written else CODE


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "tools.demo", *map(str, arguments)]


@dataclass
class Demo:
    """A demo that is served, and the engine behind it."""

    url: str
    directory: Path
    engine: ScriptedServer
    process: subprocess.Popen[str]
    output: list[str] = field(default_factory=list)

    def journals(self) -> set[Path]:
        return set(self.directory.glob(f"question-*/{JOURNAL_FILE}"))


def _address(stderr: Iterable[str]) -> str:
    """The address that a demo serves. Fails with all that it said where it ended without serving."""
    said: list[str] = []
    for line in stderr:
        said.append(line)
        if served := re.search(r"http://\S+", line):
            return served[0]
    pytest.fail(f"the demo ended without serving: {''.join(said)}")


@contextmanager
def demo_served(directory: Path, engine: ScriptedServer, *further: str) -> Iterator[Demo]:
    arguments = ("--url", engine.url, "--port", 0, "--run-dir", directory, "--samples", 3, "--time-limit", "60s")
    whole = ("--set", "sample.accept_printed_answer=false")  # what the model writes after its code is to be seen
    process = subprocess.Popen(
        command(*arguments, *whole, *further), stderr=subprocess.PIPE, text=True, cwd=ROOT, env=ENVIRONMENT
    )
    assert process.stderr is not None
    demo = Demo(_address(process.stderr), directory, engine, process)
    stderr = process.stderr
    reader = threading.Thread(target=lambda: demo.output.extend(stderr))
    reader.start()
    try:
        yield demo
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stderr.close()
    assert not any("Traceback" in line for line in demo.output)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    pytest.importorskip("gradio", reason="gradio is not installed (pip install -e '.[demo]')")
    with (
        serving(ScriptedServer(reply, pause=0.05)) as engine,
        demo_served(tmp_path_factory.mktemp("demo"), engine) as served,
    ):
        yield served


@contextmanager
def opened(browser: Browser, demo: Demo, **size: int) -> Iterator[Page]:  # noqa: F811
    """The page, which must complain of nothing and ask nobody else for anything."""
    with browser_page(browser, **size) as tab:  # type: ignore[arg-type]
        tab.page.goto(demo.url)
        tab.page.locator("#problem textarea").wait_for()
        tab.page.locator("html[data-ready]").wait_for()  # keys are listened to last of all
        yield tab.page
        _harmless(tab, demo)


def _harmless(tab: BrowserPage, demo: Demo) -> None:
    assert tab.errors == []
    foreign = [
        url for url in tab.requests if urlsplit(url).scheme in ("http", "https") and not url.startswith(demo.url)
    ]
    assert foreign == []
    assert tab.page.title() == "AIMO agent"


def ask(page: Page, text: str, key: str = "Enter") -> None:
    page.locator("#problem textarea").fill(text)
    page.locator("#problem textarea").press(key)


def big(page: Page) -> str:
    page.locator(".answer .big").wait_for()
    return page.locator(".answer .big").inner_text()


@pytest.mark.long
def test_a_question_is_asked_watched_and_answered_with_its_evidence(browser: Browser, demo: Demo) -> None:  # noqa: F811
    with opened(browser, demo) as page:
        page.get_by_text("How many multiples of 6").first.click()
        page.wait_for_function("document.querySelector('#problem textarea').value.includes('multiples of $6$')")
        page.locator("#ask").click()
        assert big(page) == "42"
        assert page.locator(".lane").count() == 3
        evidence = page.locator(".evidence .transcript")
        assert evidence.locator("pre.code").inner_text().strip() == "print(6 * 7)"
        assert evidence.locator("pre.output").inner_text().strip() == "42"
        assert evidence.locator("math").count() == 2
        assert "<script>document.title='harmed'</script> ${document.title=1}" in evidence.inner_text()
        assert page.locator("#answer img, #lanes img, #answer script, #lanes script").count() == 0
        with page.expect_download() as download:
            page.locator(".download").click()
        path = Path(download.value.path())
        assert path.read_bytes() in {journal.read_bytes() for journal in demo.journals()}
        href = page.locator(".download").get_attribute("href")
        assert page.request.get(demo.url + str(href)).ok
    with browser_page(browser) as tab:  # another visitor
        tab.page.goto(demo.url)
        assert tab.page.request.get(demo.url + str(href)).status == 404


@pytest.mark.long
@pytest.mark.parametrize("width", [390, 1280])
def test_what_is_typed_is_previewed_and_a_doubtful_answer_looked_into_at_any_width(
    browser: Browser,  # noqa: F811
    demo: Demo,
    width: int,
) -> None:
    with opened(browser, demo, width=width) as page:
        box = page.locator("#problem textarea")
        box.press_sequentially("Think for ever: $x^2$", delay=5)
        page.locator(".preview math").wait_for()
        box.fill(f"Think for ever: $\\frac{{x$ {ATTACK}")
        page.locator(".preview .broken").wait_for()
        assert page.locator(".preview img, .preview script").count() == 0
        box.press("Enter")
        page.wait_for_function("parseInt(document.querySelector('.lane .tokens')?.innerText) > 5")
        page.locator("#stop").click()
        assert big(page) == "42"
        assert "were guesses" in page.locator(".answer.doubtful .why").inner_text()
        page.locator(".lane-votes summary").click()
        assert page.locator(".lane-votes tbody tr").count() == 3
        assert "guessed: forced while unfinished" in page.locator(".lane-votes tbody").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        shown = page.locator(".answer .big").bounding_box()
        assert shown is not None and shown["x"] >= 0 and shown["x"] + shown["width"] <= width


@pytest.mark.long
def test_with_a_login_nobody_else_sees_the_page_or_asks(
    browser: Browser,  # noqa: F811
    tmp_path: Path,
) -> None:
    pytest.importorskip("gradio", reason="gradio is not installed (pip install -e '.[demo]')")
    with (
        serving(ScriptedServer(reply, pause=0.05)) as engine,
        demo_served(tmp_path, engine, "--auth", "ada:pass:word") as served,
        browser_page(browser) as tab,
    ):
        page = tab.page
        page.goto(served.url)
        for password in ("wrong", "pass:word"):
            page.locator("input:not([type=password])").first.fill("ada")
            page.locator("input[type=password]").fill(password)
            page.get_by_role("button", name="Login").click()
            if password == "wrong":
                page.get_by_text("Incorrect").wait_for()  # which empties the fields
                assert page.locator("#problem").count() == 0
        page.locator("#problem textarea").wait_for()
        assert page.request.get(f"{served.url}/gradio_api/info").ok
        with browser_page(browser) as stranger:
            assert stranger.page.request.get(f"{served.url}/gradio_api/info").status == 401
        page.locator("html[data-ready]").wait_for()
        ask(page, "Think for ever.")
        page.locator(".lane").first.wait_for()
        page.locator("#stop").click()
        assert big(page) == "42"
        assert "pass:word" not in "".join(served.output)


@pytest.mark.long
def test_lanes_are_watched_unfolded_and_stopped(browser: Browser, demo: Demo) -> None:  # noqa: F811
    before = demo.journals()
    with opened(browser, demo) as page:
        ask(page, "Think for ever.", "Control+Enter")
        first = page.locator(".lane").first
        page.wait_for_function("parseInt(document.querySelector('.lane .tokens')?.innerText) > 20")
        folded = first.bounding_box()
        first.locator(".fold").focus()
        page.keyboard.press("Space")
        tokens = first.locator(".tokens").inner_text()
        page.wait_for_function("before => document.querySelector('.lane .tokens').innerText !== before", arg=tokens)
        unfolded = first.bounding_box()
        assert folded is not None
        assert unfolded is not None
        assert unfolded["width"] > folded["width"]  # and stays so while the text goes on
        assert page.locator("#ask").is_disabled()
        demo.engine.dropped.clear()
        page.locator("#stop").click()
        assert big(page) == "42"
        assert demo.engine.dropped.wait(5)
        assert "the answer was requested" in page.locator(".answer").inner_text()
        assert page.locator('.lane[data-phase="forced answer"]').count() == 3
        assert page.locator("#ask").is_enabled()
    (journal,) = demo.journals() - before
    assert [solution.stop for solution in read_run(journal.parent).solutions] == [StopReason.REQUESTED]


@pytest.mark.long
def test_a_closed_tab_frees_the_engine_and_the_line_moves_on(browser: Browser, demo: Demo) -> None:  # noqa: F811
    with opened(browser, demo, width=390, height=844) as second:
        with opened(browser, demo) as first:
            ask(first, "Think for ever.")
            first.locator(".lane").first.wait_for()
            ask(second, "What is 6 times 7?")
            second.get_by_text("You are number 2 in the queue").wait_for()
            demo.engine.dropped.clear()
        assert demo.engine.dropped.wait(10)
        assert big(second) == "42"
        width = second.evaluate("document.documentElement.scrollWidth")
        assert width <= 390


@pytest.mark.long
def test_an_engine_that_dies_is_reported_and_the_next_question_works(browser: Browser, demo: Demo) -> None:  # noqa: F811
    with opened(browser, demo) as page:
        ask(page, "Break it.")
        page.get_by_text("The engine failed while it worked on this question.").first.wait_for()
        demo.engine.status = 500
        ask(page, "What is 6 times 7?")
        page.wait_for_function("document.querySelector('#answer').innerText.includes('failed')")
        demo.engine.status = 200
        ask(page, "What is 6 times 7?")
        page.wait_for_function("document.querySelector('.answer .big')?.innerText === '42'")


@pytest.mark.long
def test_an_empty_problem_is_reported(browser: Browser, demo: Demo) -> None:  # noqa: F811
    with opened(browser, demo) as page:
        ask(page, " ")
        page.get_by_text("The problem is empty").wait_for()
