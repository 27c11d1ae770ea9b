"""Serve the demo's page with the engine and the sandbox of a configuration, until it is stopped."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path

import uvicorn
from rich.console import Console

from agent.agent import Agent
from agent.config import Config
from agent.events import EngineEvent, Event, RunWarning
from agent.journal.run_directory import ENGINE_LOG
from agent.models.hub.name import short_name
from agent.models.store import fetch_model
from agent.problems.reader import starter_problems
from tools.demo.page import build_app, build_page
from tools.demo.session import QuestionQueue

_GRACE_SECONDS = 1  # for open connections at shutdown


async def serve_page(
    config: Config, directory: Path, listener: socket.socket, console: Console, login: tuple[str, str] | None
) -> None:
    """Start the engine, then serve the page on the listening socket until SIGINT or SIGTERM.

    Questions are recorded below `directory`. `login` is the name and the password that visitors have to give, None
    where everybody may ask. Raises AgentError if the engine or its model is not available.
    """
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        queues: list[QuestionQueue] = []

        def print_engine_event(event: Event) -> None:
            if isinstance(event, EngineEvent | RunWarning):
                console.print(event.text, markup=False, highlight=False)

        def engine_event_between_questions(text: str) -> None:
            console.print(text, markup=False, highlight=False)
            for queue in queues:
                queue.show_event(text)

        agent = Agent.open(
            config,
            log=directory / ENGINE_LOG,
            fetch=partial(fetch_model, console=console),
            on_engine_event=engine_event_between_questions,
        )
        with console.status("starting the engine, and checking what it serves"):
            await stack.enter_async_context(agent)
        if agent.checked is not None:
            console.print(agent.checked.text, markup=False, highlight=False, soft_wrap=True)
        queue = QuestionQueue(agent, directory, loop.time, [print_engine_event])
        queues.append(queue)
        page = build_page(queue, _model(agent.config), [problem.text for problem in starter_problems()])
        server = _Server(
            uvicorn.Config(
                build_app(queue, page, login),
                log_level="error",
                access_log=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, server.stop)
        host, port, *_ = listener.getsockname()
        where = f"[{host}]" if ":" in host else host
        console.print(f"serving http://{where}:{port} · stop with Ctrl-C", highlight=False, soft_wrap=True)
        console.print(f"questions are recorded in {directory}", highlight=False, soft_wrap=True, markup=False)
        await server.serve([listener])


class _Server(uvicorn.Server):
    """A server whose signals are handled by the event loop, so that the engine is closed in order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    def stop(self) -> None:
        """Shut down; the second call does not wait for open connections."""
        self.force_exit = self.should_exit
        self.should_exit = True


def _model(config: Config) -> str:
    """The model's name to show, without its directories."""
    return short_name(config.engine.model) or "the served model"
