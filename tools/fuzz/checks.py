"""Properties of the sandbox protocol that must hold for any bytes; each check runs on a fuzzer's input."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import socket
from collections.abc import Iterator
from typing import Any
from unittest import mock

from agent.sandbox import forkserver, protocol
from agent.sandbox.inside.session import child
from agent.types import ToolStatus
from tools.fuzz.peers import FileLoop, StillPoll, Substitute
from tools.fuzz.world import FuzzedSandbox, FuzzedWorld

_SECONDS = 1.0  # limit of each cell
_MOST_OF_A_RUN = 5.2  # seconds: the longest that a session may take to begin, or three times the limit; then the end
_MOST_OF_A_CELL = 12.0
_RETRIES = 4.0  # seconds after which a cell that was never begun need not be tried again
_CELLS, _PROCESSES = 4, 3  # processes beyond these are honest
_MARK = re.compile(r"<(?:early)?(\d+) (?:ran cell (\d+))?>")
_ANSWER_SIZE = protocol.TOKEN_SIZE + 1


def check_input(data: bytes) -> None:
    """Run the check selected by the first byte on the others."""
    kinds = (check_running, check_session, check_serving, check_decoder)
    if data:
        kinds[data[0] % len(kinds)](data[1:])


def check_running(data: bytes) -> None:
    """Check several cells of one process: each ends in time with its own output, or the process ends."""
    _play(FuzzedWorld(data), _run_cells)


def check_session(data: bytes) -> None:
    """Check that a session gives each cell its own result, and survives the end of its processes."""
    _play(FuzzedWorld(data), _run_session)


def _play(world: FuzzedWorld, work: Any) -> None:
    loop = FileLoop()
    with contextlib.closing(loop), world.entered(loop):
        try:
            loop.run_until_complete(work(world))
        finally:
            loop.run_until_complete(_cancel(asyncio.all_tasks(loop)))
            world.end()


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _run_cells(world: FuzzedWorld) -> None:
    loop = asyncio.get_running_loop()
    peer = world.peer()
    process = world.process(peer)
    consumed = 0
    for world.cell in range(1, _CELLS + 1):
        started, before = loop.time(), len(peer.said)
        outcome = await process.run(world.source().encode(), _SECONDS, 0)
        assert loop.time() - started <= _MOST_OF_A_RUN, f"a run took {loop.time() - started} s"
        marks = {int(mark) for pair in _MARK.findall(outcome.output) for mark in pair if mark}
        assert marks <= {world.cell}, f"cell {world.cell} was given what belongs to {marks}"
        assert "early" not in outcome.output, "a cell was given what was printed before it began"
        if outcome.status is None:
            assert process.lost, "a cell has no status, but its process is trusted on"
            assert peer.killed, "a process was given up and left alive"
            break
        assert before == consumed, "a cell's end was taken though other words stood before it"
        assert world.tokens[-1] in peer.printed, "a cell's end was taken though it never began"
        said = bytes(peer.said[consumed : consumed + _ANSWER_SIZE])
        assert said == world.tokens[-1] + bytes([outcome.status]), "a status was taken that nobody said"
        consumed += _ANSWER_SIZE
        await asyncio.sleep(0.5 if world.cell % 2 else 0)


async def _run_session(world: FuzzedWorld) -> None:
    loop = asyncio.get_running_loop()
    sandbox: Any = FuzzedSandbox(world)
    session = forkserver.ForkServerSession(sandbox, await sandbox.acquire(), 0)
    for world.cell in range(1, _CELLS + _PROCESSES):
        started, tokens = loop.time(), len(world.tokens)
        run = await session.run(world.source(), _SECONDS)
        seconds = loop.time() - started
        assert seconds <= _MOST_OF_A_CELL, f"a cell took {seconds} s"
        if run.status is ToolStatus.KILLED and seconds <= _RETRIES:
            assert world.begun(tokens), "a cell that was never begun was not run in another process"
        ran = {int(cell) for _, cell in _MARK.findall(run.output) if cell}
        assert ran <= {world.cell}, f"cell {world.cell} was given the output of {ran}"
        await asyncio.sleep(0.5 if world.cell % 2 else 0)
    if len(world.peers) > _PROCESSES - 1:  # the process is an honest one
        assert run.status is ToolStatus.OK and ran == {world.cell}, f"an honest session gave {run}"[:3000]
    await session.close()


class _Left(BaseException):
    """Stands in for the end of the process."""


def check_serving(data: bytes) -> None:
    """Check that a session runs the complete requests in order, and answers nothing else."""
    stream, chunks = _requests(data)
    ran: list[bytes] = []
    said, printed = bytearray(), bytearray()
    feed = iter(chunks)

    class Interpreter:
        def __init__(self, *_: object) -> None: ...

        def rehearse(self) -> None: ...

        def run(self, source: str) -> int:
            ran.append(source.encode("utf-8", "surrogatepass"))
            return 0

    def leave(*_: object) -> None:
        raise _Left

    def write(descriptor: int, data: bytes) -> int:
        (said if descriptor == child.CONTROL else printed).extend(data)
        return len(data)

    system = Substitute(os, read=_reading(feed), write=write, _exit=leave, set_blocking=lambda *_: None)
    with (
        socket.socket(socket.AF_UNIX) as control,  # whose flags are looked at and set
        mock.patch.object(child, "CONTROL", control.fileno()),
        mock.patch.object(child, "os", system),
        mock.patch.object(child, "select", Substitute(select, poll=StillPoll)),
        mock.patch.object(child, "Interpreter", Interpreter),
        contextlib.suppress(_Left, ValueError),  # it ends when the stream does, or is none of requests
    ):
        child.serve_cells([], 1 << 30)
    whole = list(_whole(stream))
    assert ran == [source for _, source in whole][: len(ran)], "a source was run that was not sent whole"
    tokens = [token for token, _ in whole]
    ended, begun = tokens[: len(ran)], tokens[: len(ran) + 1]
    assert said == protocol.READY + b"".join(token + bytes([0]) for token in ended), "an answer to no request"
    assert printed in (b"".join(ended), b"".join(begun)), "the beginning of no request"


def _requests(data: bytes) -> tuple[bytes, list[bytes]]:
    """Make a stream of requests from the fuzzer's bytes, in pieces of given sizes."""
    stream, chunks, bytes_left = bytearray(), [], iter(data)
    for kind in bytes_left:
        text = bytes(next(bytes_left, 0) for _ in range(next(bytes_left, 0) % 30))
        whole = protocol.encode_cell(protocol.CellRequest((text + bytes(16))[:16], kind, text))
        part = whole if kind % 3 else text if kind % 2 else whole[: kind % 40]
        cut = next(bytes_left, 0) % (len(part) + 1)
        chunks += [part[:cut], part[cut:]] if kind % 5 else [part]
        stream += part
    return bytes(stream), [chunk for chunk in chunks if chunk]


def _reading(chunks: Iterator[bytes]) -> Any:
    waiting = bytearray()

    def read(_: int, size: int) -> bytes:
        if not waiting:
            waiting.extend(next(chunks, b""))
            if waiting and waiting[0] % 7 == 6:
                raise BlockingIOError
        part = bytes(waiting[:size])
        del waiting[:size]
        return part

    return read


def _whole(stream: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Token and source of each request that stands whole in a stream, read in the plainest way."""
    while len(stream) >= 28 and len(stream) >= (end := 28 + int.from_bytes(stream[24:28], "big")):
        yield stream[:16], stream[28:end]
        stream = stream[end:]


def check_decoder(data: bytes) -> None:
    """Fed in any pieces, the decoder tells an end only after the token, the token again, and one byte."""
    token, decoder, pieces = b"T" * (protocol.TOKEN_SIZE - 1) + b"U", protocol.SessionDecoder(), iter(data)
    decoder.expect(token)
    printed, heard, kept = bytearray(), bytearray(), bytearray()
    early = ended = False
    for kind, size in zip(pieces, pieces, strict=False):
        if kind % 2:
            piece = token[: size % 17] if kind % 4 == 1 else bytes([84]) * (size % 40) + token[size % 17 :]
            printed += b"" if ended else piece
            kept += decoder.printed(piece)
        else:
            rest = protocol.encode_end(token, kind)[len(heard) :]
            piece = rest[: 1 + size % 17] if kind % 4 else bytes([size] * (size % 3))
            early = early or bool(piece and token not in printed)
            heard += piece
            decoder.feed(piece)
            ended = ended or len(heard) >= _ANSWER_SIZE or decoder.broken
        fits = heard.startswith(token) and len(heard) == _ANSWER_SIZE and not early
        assert (decoder.status is not None) == fits, "an end that was not said"
        assert decoder.broken == (early or not (fits or token.startswith(heard))), "a breach that was not seen"
        assert bytes(kept) == bytes(printed).partition(token)[2], "output that is not the cell's"
