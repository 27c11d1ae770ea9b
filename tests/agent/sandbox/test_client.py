"""The zygote and its sessions: what is left at the end, and how their exits are noticed."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from agent.errors import SandboxError
from agent.sandbox.base import Limits
from agent.sandbox.client import ForkServerClient, ProcessHandle
from agent.sandbox.forkserver import ForkServerSandbox
from agent.sandbox.protocol import SessionStarted, StartSession
from tests.support.sandbox.sandboxes import LIMITS, alive_with, children, descriptors, sandbox, state, told


async def test_nothing_is_left() -> None:
    box = ForkServerSandbox(LIMITS, warm=2)
    before = descriptors()
    session = await box.session()
    await session.run("open('f', 'w').write('x')")
    zygote = await box.zygote_pid()
    await session.close()
    await session.close()
    with pytest.raises(SandboxError):
        await session.run("1")
    await box.close()
    await box.close()
    assert state(zygote) == "X"
    assert descriptors() <= before + 3  # what the event loop itself keeps
    with pytest.raises(SandboxError):
        await box.session()


async def test_closing_while_a_task_has_just_ended() -> None:
    box = ForkServerSandbox(Limits())
    await box.start()
    task = box.spawn(asyncio.sleep(0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert task.done()
    async with asyncio.timeout(20):
        await box.close()


@pytest.mark.parametrize("heard", [True, False])
async def test_a_dead_zygote_is_replaced(heard: bool) -> None:
    async with sandbox() as box:
        session = await box.session()
        await session.run("x = 1")
        born = children(await box.zygote_pid())
        os.kill(await box.zygote_pid(), signal.SIGKILL)
        for _ in range(1_000):
            if heard:
                await asyncio.sleep(0.01)
            else:
                time.sleep(0.01)  # noqa: ASYNC251 - what keeps the event loop from reading the sockets' ends
            if all(state(pid) in "ZX" for pid in born):
                break
        else:
            raise AssertionError("the zygote's sessions outlive it")
        run = await session.run("6 * 7", 20)
        assert "42" in run.output and "lost" in run.output


async def test_sessions_that_are_about_to_start_die_with_the_zygote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.sandbox.client._FORK_SECONDS", 600.0)  # nobody waits for what is dead
    async with sandbox() as box, asyncio.timeout(120):
        client = await box.client()
        starts = [asyncio.create_task(client.fork()) for _ in range(16)]
        while len(children(client.pid)) < 4:  # noqa: ASYNC110 - the kernel has no event for it
            await asyncio.sleep(0)
        os.kill(client.pid, signal.SIGKILL)
        for _ in range(1_000):
            time.sleep(0.01)  # noqa: ASYNC251 - the controller must not close its ends meanwhile
            if not alive_with(client._base):
                break
        else:
            raise AssertionError("a session outlives its zygote")
        for start in await asyncio.gather(*starts, return_exceptions=True):
            if isinstance(start, ProcessHandle):  # it was ready before
                start.control.close()
                os.close(start.output)
            else:
                assert isinstance(start, SandboxError)
        assert await told(await box.session(), "6 * 7") == "42"


async def test_a_session_that_never_gets_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    held = []

    async def ask(
        self: ForkServerClient, request: StartSession, waiting: object, descriptors: list[int]
    ) -> SessionStarted:
        held.append(os.dup(descriptors[0]))  # somebody has the other end, and says nothing
        return SessionStarted(request.number, os.getpid())

    async with sandbox() as box:
        client = await box.client()
        monkeypatch.setattr("agent.sandbox.client._FORK_SECONDS", 0.01)
        monkeypatch.setattr(ForkServerClient, "_ask", ask)
        with pytest.raises(SandboxError, match="not ready"):
            await client.fork()
        monkeypatch.undo()
        os.close(held.pop())


@pytest.mark.parametrize("killed", [1, 2, 3])
async def test_a_process_that_dies_while_it_starts_is_replaced(killed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [killed]
    real = ForkServerClient._await_ready

    async def await_ready(self: ForkServerClient, handle: ProcessHandle) -> None:
        if left[0]:
            left[0] -= 1
            os.kill(handle.pid, signal.SIGKILL)
            while await asyncio.get_running_loop().sock_recv(handle.control, 1):
                pass  # it may have got ready before it died
        await real(self, handle)

    async with sandbox() as box:
        await box.client()
        monkeypatch.setattr(ForkServerClient, "_await_ready", await_ready)
        if killed < 3:
            assert await told(await box.session(), "6 * 7") == "42"
        else:
            with pytest.raises(SandboxError, match="died while it started"):
                await box.session()
        assert left == [0]


async def test_exits_are_noticed_where_the_system_has_no_descriptors_of_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.sandbox.client._life", lambda pid: -1)
    async with sandbox() as box:
        session = await box.session()
        run = await session.run("print('begun')\nimport os\nos._exit(3)", 20)
        assert run.output.startswith("begun\nThe cell ended the Python process.") and run.seconds < 10
        assert await told(session, "6 * 7") == "42"
