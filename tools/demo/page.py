"""The page in Gradio: a box for the problem, examples, and the question's state drawn a few times a second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response
from gradio.themes.utils.fonts import Font

from agent.errors import InputError
from agent.views.table import short
from tools.demo.access import VisitorCookie, visitor_of
from tools.demo.session import MOST_CHARS, MOST_WAITING, QuestionQueue
from tools.demo.state import Question
from tools.demo.view import answer_html, heading_html, lanes_html, preview_html, sentence_html, status_html
from tools.shared.markup import code_css

CSS = Path(__file__).with_name("demo.css")
# Gradio's text box submits on Enter but ignores Ctrl+Enter, which many people are used to.
_CTRL_ENTER = """() => {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.closest("#problem")) {
      event.preventDefault();
      document.querySelector("#ask").click();
    }
  });
  document.documentElement.dataset.ready = "";
}"""
_SANS = [Font("system-ui"), Font("sans-serif")]  # the visitor's own fonts: nothing is downloaded
_MONO = [Font("ui-monospace"), Font("monospace")]

_TYPING_SECONDS = 0.3  # between a keystroke and the preview

Frame = tuple[Any, ...]


def build_page(queue: QuestionQueue, model: str, examples: Sequence[str]) -> gr.Blocks:
    """Build the page that puts questions in the queue; `model` is the name to show."""
    page = gr.Blocks(title="AIMO agent", analytics_enabled=False)
    with page:
        gr.HTML(heading_html(queue.config, model, queue.checked), apply_default_css=False)
        problem = gr.Textbox(
            label="Problem",
            placeholder="A problem whose answer is an integer. Enter asks, Shift+Enter starts a new line.",
            max_length=MOST_CHARS,
            max_lines=12,
            elem_id="problem",
        )
        preview = gr.HTML(apply_default_css=False, elem_id="preview")
        with gr.Row():
            ask = gr.Button("Ask", variant="primary", elem_id="ask")
            stop = gr.Button("Stop and answer now", variant="stop", interactive=False, elem_id="stop")
        drawn = [gr.HTML(apply_default_css=False, elem_id=name) for name in ("answer", "status", "lanes")]
        gr.Examples(
            [[text] for text in examples],
            problem,
            label="Examples: click one, then ask",
            example_labels=[short(text.replace("$", ""), 64) for text in examples],
            examples_per_page=6,
            api_visibility="private",
        )
        gr.on(
            [ask.click, problem.submit],
            _asker(queue),
            problem,
            [*drawn, ask, stop],
            trigger_mode="once",
            concurrency_limit=None,  # questions wait in our own queue, whose positions can be shown
            show_progress="hidden",
            api_visibility="private",
        )

        # Asynchronous, so that they run on the engine's event loop and not in a thread.
        async def answer_now(request: gr.Request) -> None:
            queue.answer_now(request.session_hash or "")

        async def leave(request: gr.Request) -> None:
            queue.leave(request.session_hash or "")

        _preview_while_typed(problem, preview)
        stop.click(answer_now, queue=False, show_progress="hidden", api_visibility="private")
        page.unload(leave)
    page.queue(max_size=2 * MOST_WAITING)
    return page


def _preview_while_typed(problem: gr.Textbox, preview: gr.HTML) -> None:
    """Have the text of the box drawn below it, a moment after the last keystroke."""

    async def draw(text: str) -> str:
        await asyncio.sleep(_TYPING_SECONDS)
        return preview_html(text[:MOST_CHARS])

    problem.change(
        draw,
        problem,
        preview,
        queue=False,
        trigger_mode="always_last",  # while one is answered, only the last of the keystrokes is kept
        show_progress="hidden",
        api_visibility="private",
    )


def build_app(queue: QuestionQueue, page: gr.Blocks, login: tuple[str, str] | None = None) -> FastAPI:
    """Build the web application: the page, and the journals of its questions for who asked them.

    `login` is the name and the password that visitors have to give, None where everybody may ask.
    """
    app = FastAPI(openapi_url=None)
    app.add_middleware(VisitorCookie)

    @app.get("/journal/{name}")
    def journal(name: str, request: Request) -> Response:
        path = queue.journal(name, visitor_of(request.headers))
        return FileResponse(path, filename=f"{name}.jsonl") if path else Response("no such question", 404)

    theme = gr.themes.Default(font=_SANS, font_mono=_MONO)
    gr.mount_gradio_app(
        app,
        page,
        path="",
        auth=login,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        max_file_size=1,
        theme=theme,
        js=_CTRL_ENTER,
        css=CSS.read_text(encoding="utf-8") + code_css(),
    )
    return app


def _asker(queue: QuestionQueue) -> Callable[[str, gr.Request], AsyncGenerator[Frame]]:
    async def ask(text: str, request: gr.Request) -> AsyncGenerator[Frame]:
        last: Frame = ()
        owner = visitor_of(request.headers)
        try:
            async with aclosing(queue.ask(request.session_hash or "", text, owner)) as questions:
                async for question in questions:
                    frame = _frame(question)
                    yield _changes(last, frame)
                    last = frame
        except InputError as error:
            yield (sentence_html(str(error)), *[gr.skip()] * 4)

    return ask


def _frame(question: Question) -> Frame:
    """Return what the page shows: answer, status, lanes, and whether the buttons Ask and Stop are enabled."""
    drawn = answer_html(question), status_html(question), lanes_html(question)
    return *drawn, not question.open, question.open and not question.answer_now.is_set()


def _changes(before: Frame, after: Frame) -> Frame:
    """Return updates for the components that changed; the others are skipped."""
    if before == after:
        return (gr.skip(),) * len(after)
    updates = [*after[:3], *(gr.update(interactive=enabled) for enabled in after[3:])]
    if not before:
        return tuple(updates)
    return tuple(gr.skip() if old == new else update for old, new, update in zip(before, after, updates, strict=True))
