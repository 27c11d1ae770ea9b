"""The parts of the agent's loop, each measured by itself over the same recorded stream."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from pydantic_core import from_json
from rich.console import Console

from agent.chat.dialects import chat_format
from agent.chat.thinking import TurnEndScanner
from agent.engine.base import Chunk
from agent.engine.sse import EventParser
from agent.engine.wire import ReplyReader
from agent.events import fan_out
from agent.journal.journal import JOURNAL_FILE, Journal
from agent.lane.language import LanguageMixingCounter
from agent.lane.logprobs import LogprobMeter
from agent.lane.repetition.detector import RepetitionDetector
from agent.lane.text_events import TextEmitter
from agent.lane.token_buffer import TokenBuffer
from agent.views.live import open_view
from tools.bench.paced_server import stream_events

_TOKENS = 2_000
_ROUNDS = 5


def lane_parts() -> dict[str, float]:
    """CPU microseconds a token of each part, for a stream of one token an event; the best of some rounds."""
    pieces = list(stream_events(0, _TOKENS, 1))
    parser = EventParser()
    events = [event for piece in pieces for event in parser.feed(piece) if event is not None]
    reader = ReplyReader()
    chunks = [reader.read(event) for event in events]
    data = [piece[6:].decode() for piece in pieces if piece.startswith(b"data: {")]
    decode = _micros(lambda: [from_json(text) for text in data])
    return {
        "JSON": decode,
        "server-sent events": _micros(lambda: _parse(pieces)) - decode,
        "chunks": _micros(lambda: [*map(ReplyReader().read, events)]),
        "scanning": _micros(lambda: _scan(chunks)),
        "repetition watch": _micros(lambda: [*map(RepetitionDetector().feed, _texts(chunks))]),
        "token buffer": _micros(lambda: _buffer(chunks)),
        "events and views": _micros(lambda: _emit(chunks)),
    }


def _micros(run: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(_ROUNDS):
        began = time.process_time()
        run()
        best = min(best, time.process_time() - began)
    return best * 1e6 / _TOKENS


def _texts(chunks: Sequence[Chunk]) -> list[str]:
    return [chunk.text for chunk in chunks]


def _parse(pieces: Sequence[bytes]) -> None:
    parser = EventParser()
    for piece in pieces:
        for _ in parser.feed(piece):
            pass


def _scan(chunks: Sequence[Chunk]) -> None:
    """Look for the end of the turn, for calls and for other languages."""
    chat = chat_format("qwq-calls", tools=True, max_rounds=4)
    ends, calls, mixing = TurnEndScanner(chat.turn_marks), chat.call_scanner(), LanguageMixingCounter()
    for chunk in chunks:
        ends.feed(chunk.text)
        calls.feed(chunk.text)
        mixing.feed(chunk.text)


def _buffer(chunks: Sequence[Chunk]) -> None:
    buffer, logprobs = TokenBuffer(), LogprobMeter()
    for chunk in chunks:
        buffer.add(chunk)
        logprobs.feed(chunk.logprobs)
    buffer.end(0)


def _emit(chunks: Sequence[Chunk]) -> None:
    """Tell a journal and a view of each token."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / JOURNAL_FILE).touch()
        journal = Journal(folder)
        stack.callback(journal.close)
        screen = stack.enter_context((folder / "screen").open("w", encoding="utf-8"))
        view = stack.enter_context(open_view([], Console(file=screen)))
        emitter = TextEmitter(fan_out([journal, view]), "bench", 0)
        for chunk in chunks:
            emitter.count(chunk.tokens)
            emitter.grow(chunk.text, 0)
