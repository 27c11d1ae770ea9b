"""Files that are known again by their flags: only those themselves are, and a session's stay what they were."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from agent.sandbox.forkserver import ForkServerSandbox
from agent.sandbox.inside.descriptors import CLOSED, MarkedFiles, identity, open_null
from agent.types import ToolStatus
from tests.support.sandbox.sandboxes import sandbox

in_module = pytest.mark.asyncio(loop_scope="module")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere files are asked for")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def box() -> AsyncIterator[ForkServerSandbox]:
    async with sandbox() as made:
        yield made


def a_pipe() -> tuple[int, int]:
    return os.pipe()


def a_socket() -> tuple[int, int]:
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()


def nothing() -> tuple[int, int]:
    return open_null(), open_null()


@pytest.fixture(params=[a_pipe, a_socket, nothing])
def descriptor(request: pytest.FixtureRequest) -> Iterator[int]:
    made: tuple[int, int] = request.param()
    yield made[1]
    for each in made:
        with contextlib.suppress(OSError):
            os.close(each)


@on_linux
def test_marked_files_are_known_again(descriptor: int) -> None:
    files = MarkedFiles(descriptor)
    assert files.are_there()
    with contextlib.suppress(BlockingIOError):
        os.write(descriptor, b"data")
    assert files.are_there()


@pytest.mark.parametrize("mode", ["r", "w", "a", "r+", "w+", "a+", "ab", "rb+"])
def test_a_file_with_a_name_is_not_taken_for_one_that_was_there(descriptor: int, mode: str, tmp_path: Path) -> None:
    files = MarkedFiles(descriptor)
    (tmp_path / "file").touch()
    with (tmp_path / "file").open(mode) as other:
        os.dup2(other.fileno(), descriptor)
    assert not files.are_there()


@pytest.mark.parametrize("other", [a_pipe, a_socket])
def test_another_pipe_or_socket_is_not_taken_for_one_that_was_there(
    descriptor: int, other: Callable[[], tuple[int, int]]
) -> None:
    files, others = MarkedFiles(descriptor), other()
    os.dup2(others[1], descriptor)
    assert not files.are_there()
    for each in others:
        os.close(each)


def test_a_closed_file_is_not_there(descriptor: int) -> None:
    files = MarkedFiles(descriptor)
    os.close(descriptor)
    assert not files.are_there() and identity(descriptor) == CLOSED


@on_linux
@pytest.mark.parametrize("flags", [os.O_NONBLOCK, 0])
def test_a_file_whose_flags_were_changed_is_asked_for_and_can_be_marked_again(descriptor: int, flags: int) -> None:
    files, before = MarkedFiles(descriptor), identity(descriptor)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)
    assert not files.are_there() and identity(descriptor) == before
    files.mark()
    assert files.are_there() and os.get_blocking(descriptor)


@in_module
@pytest.mark.parametrize("number", [1, 2])
async def test_output_that_a_cell_appends_to_a_file_is_noticed(box: ForkServerSandbox, number: int) -> None:
    session = await box.session()
    run = await session.run(f"import os\nlog = open('log', 'a')\nos.dup2(log.fileno(), {number})")
    assert run.status is ToolStatus.KILLED and "replaced the session's output" in run.output, run.output
    assert (await session.run("6 * 7")).output == "42"


@in_module
@pytest.mark.parametrize("mode", ["a+", "r+", "r"])
async def test_a_file_that_a_cell_put_before_the_input_is_not_read_by_the_next(
    box: ForkServerSandbox, mode: str
) -> None:
    session = await box.session()
    put = f"import os\nopen('f', 'w').write('7')\nfile = open('f', '{mode}')\nos.dup2(file.fileno(), 0)\nx = 1"
    assert (await session.run(put)).status is ToolStatus.OK
    assert "EOFError" in (await session.run("input()")).output
    assert (await session.run("x")).output == "1"


@in_module
async def test_flags_that_a_cell_took_away_disturb_no_later_cell(box: ForkServerSandbox) -> None:
    session = await box.session()
    for _ in range(2):
        await session.run("import fcntl, os\nfor each in range(4): fcntl.fcntl(each, fcntl.F_SETFL, os.O_NONBLOCK)")
        assert (await session.run("[os.get_blocking(each) for each in range(4)]")).output == str([True] * 4)
        assert (await session.run("print(1)\n2")).output == "1\n2"
