"""A real headless Chromium for tests of pages: what the page complained of and asked the network for is kept.

It is the system's own browser; none is downloaded. Import the fixture `browser` into a test file and open pages of it
with `browser_page`. Tests are skipped with a reason where Playwright or a browser is missing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TIMEOUT = 20_000  # milliseconds for anything that a test waits for, on a machine that others keep busy


@dataclass
class BrowserPage:
    """A page under test: `errors` of its console and scripts, `requests` that it made (its own address included)."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def browser_path() -> str | None:
    """The system's Chromium or Chrome."""
    return next((path for path in map(shutil.which, BROWSERS) if path), None)


# One for each test file: Playwright keeps an event loop running, beside which asynchronous tests cannot run; so a file
# that uses this must hold none.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser for the tests of one file."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install -e '.[dev]')")
    path = browser_path()
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the PATH")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium does not sandbox itself for root
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield launched
        finally:
            launched.close()


@contextmanager
def browser_page(
    browser: Browser,
    *,
    width: int = 1280,
    height: int = 900,
    color_scheme: Literal["light", "dark"] = "light",
    javascript: bool = True,
) -> Iterator[BrowserPage]:
    """A fresh page (own storage, own cookies) of that size in CSS pixels."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=color_scheme, java_script_enabled=javascript
    )
    context.set_default_timeout(TIMEOUT)
    page = context.new_page()
    opened = BrowserPage(page)
    page.on("console", lambda message: opened.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: opened.errors.append(str(error)))
    page.on("request", lambda request: opened.requests.append(request.url))
    try:
        yield opened
    finally:
        context.close()
