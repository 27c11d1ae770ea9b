"""The demo's command, served for real: clicked through in a browser, refused with a sentence."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
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


@contextmanager
def demo_served(directory: Path, engine: ScriptedServer) -> Iterator[Demo]:
    arguments = ("--url", engine.url, "--port", 0, "--run-dir", directory, "--samples", 3, "--time-limit", "60s")
    whole = ("--set", "sample.accept_printed_answer=false")  # what the model writes after its code is to be seen
    process = subprocess.Popen(
        command(*arguments, *whole), stderr=subprocess.PIPE, text=True, cwd=ROOT, env=ENVIRONMENT
    )
    assert process.stderr is not None
    served = re.search(r"http://\S+", process.stderr.readline())
    assert served
    demo = Demo(served[0], directory, engine, process)
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


def refused(*arguments: object, code: str | None = None) -> str:
    """The one sentence with which the command ends."""
    call = [sys.executable, "-c", code] if code else command(*arguments)
    result = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT, timeout=60, check=False)
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["--profile", "nope"], "no profile 'nope'"),
        (["--set", "sample.cuont=3"], "sample.cuont: unknown key"),
        (["--time-limit", "soon"], "--time-limit 'soon'"),
        (["--host", "256.0.0.1"], "256.0.0.1"),
        (["--port", "99999"], "99999"),
    ],
)
def test_bad_input_is_a_one_line_message_and_status_2(arguments: list[str], fragment: str) -> None:
    assert fragment in refused(*arguments)


def test_a_port_in_use_is_a_one_line_message() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "--port" in refused("--port", taken.getsockname()[1])


def test_without_gradio_the_command_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['gradio'] = None; from tools.demo.command import main; sys.exit(main(['--port', '0']))"
    )
    assert "pip install -e '.[demo]'" in refused(code=code)


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, tools.demo.command\n"
        "try: tools.demo.command.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'gradio', 'pandas', 'numpy', 'pydantic', 'aiohttp', 'rich', 'uvicorn'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    begun = time.monotonic()
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr
    assert "--time-limit" in result.stdout
    assert time.monotonic() - begun < 10
