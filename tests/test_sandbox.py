"""What a session must hold against: each test attacks one property of the sandbox."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import SandboxError
from agent.sandbox import worker
from agent.sandbox.base import Limits
from agent.sandbox.process import HeadTail, ProcessSandbox, ProcessSession
from agent.types import ToolStatus

LIMITS = Limits(cell_seconds=20.0, memory_bytes=256 << 20, output_chars=1_000)
LOST = "variables are lost]"
WAIT_SECONDS = 10.0  # far more than anything here takes

STUBBORN = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True:
    pass
"""
START_CHILD = """
import subprocess
child = subprocess.Popen(["sleep", "60"], start_new_session={detached})
print(child.pid, flush=True)
"""
CONTROLLER = """
import asyncio
from agent.sandbox.base import Limits
from agent.sandbox.process import ProcessSandbox

async def main():
    session = await ProcessSandbox(Limits()).session()
    print((await session.run("import os; os.getpid()")).output, flush=True)
    await session.run("while True: pass", timeout=60)

asyncio.run(main())
"""
FORGE = """
import os, stat
for number in range(3, 64):
    try:
        if stat.S_ISSOCK(os.fstat(number).st_mode):
            os.write(number, {frame!r})
    except OSError:
        pass
"""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has it or enforces it")


@pytest.fixture
async def session() -> AsyncIterator[ProcessSession]:
    sandbox = ProcessSandbox(LIMITS)
    yield await sandbox.session()
    await sandbox.close()


async def until(condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true in time."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition() and time.monotonic() < end:  # noqa: ASYNC110 - other processes set no event
        await asyncio.sleep(0.01)
    return condition()


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_variables_imports_and_functions_persist(session: ProcessSession) -> None:
    await session.run("import math\nx = 5\ndef f(n): return math.factorial(n) + x")
    assert (await session.run("f(4)")).output == "29\n"


async def test_value_of_a_last_expression_is_shown_behind_the_prints(session: ProcessSession) -> None:
    tool_run = await session.run("print('first')\n'a' + 'b'")
    assert (tool_run.status, tool_run.output) == (ToolStatus.OK, "first\n'ab'\n")


async def test_none_is_not_shown(session: ProcessSession) -> None:
    assert (await session.run("None")).output == ""


async def test_cell_is_the_main_module(session: ProcessSession) -> None:
    code = "import pickle\nclass A: pass\npickle.loads(pickle.dumps(A)) is A and __name__ == '__main__'"
    assert (await session.run(code)).output == "True\n"


async def test_libraries_of_the_agent_can_be_imported(session: ProcessSession) -> None:
    tool_run = await session.run("import numpy, sympy\nsympy.sqrt(8), int(numpy.arange(4).sum())")
    assert tool_run.output == "(2*sqrt(2), 6)\n"


async def test_traceback_shows_the_frames_of_the_cell_only(session: ProcessSession) -> None:
    tool_run = await session.run("import json\ndef f(s):\n    return json.loads(s)\nf('{')")
    assert tool_run.status is ToolStatus.ERROR
    assert "return json.loads(s)" in tool_run.output
    assert "JSONDecodeError" in tool_run.output
    assert ".py" not in tool_run.output


async def test_deep_recursion_is_told_briefly(session: ProcessSession) -> None:
    tool_run = await session.run("def f(n): return f(n + 1)\nf(0)")
    assert "RecursionError" in tool_run.output
    assert len(tool_run.output.splitlines()) < 20


@pytest.mark.parametrize("code", ["x = (", "\0", "'\ud800'", "return 1", "(" * 5_000])
async def test_code_that_cannot_be_compiled_is_an_error(session: ProcessSession, code: str) -> None:
    tool_run = await session.run(code)
    assert tool_run.status is ToolStatus.ERROR
    assert tool_run.output
    assert (await session.run("1 + 1")).output == "2\n"


async def test_time_out_keeps_the_variables_where_an_interrupt_suffices(session: ProcessSession) -> None:
    await session.run("x = 7")
    tool_run = await session.run("print('begun')\nwhile True: pass", timeout=0.5)
    assert tool_run.status is ToolStatus.TIMEOUT
    assert tool_run.output.startswith("begun\n")
    assert tool_run.output.endswith("\n[timed out after 0.5 s; the session goes on with its variables]")
    assert (await session.run("x")).output == "7\n"


async def test_loop_that_ignores_the_interrupt_is_killed_and_told(session: ProcessSession) -> None:
    await session.run("x = 7")
    tool_run = await session.run(STUBBORN, timeout=0.5)
    assert tool_run.status is ToolStatus.TIMEOUT
    assert tool_run.output == f"[timed out after 0.5 s; the session was restarted and its {LOST}"
    assert "NameError" in (await session.run("x")).output


async def test_limit_of_the_session_holds_where_none_is_given() -> None:
    sandbox = ProcessSandbox(Limits(cell_seconds=0.2))
    tool_run = await (await sandbox.session()).run("while True: pass")
    await sandbox.close()
    assert tool_run.status is ToolStatus.TIMEOUT


async def test_interrupt_of_one_cell_does_not_reach_the_next(session: ProcessSession) -> None:
    for _ in range(10):
        await session.run("import time; time.sleep(0.02)", timeout=0.02)
        assert (await session.run("sum(range(10_000))")).status is ToolStatus.OK


@on_linux
async def test_memory_bomb_is_an_error_that_leaves_the_session_usable(session: ProcessSession) -> None:
    tool_run = await session.run("x = []\nwhile True: x.append(bytes(1_000_000))")
    assert tool_run.status is ToolStatus.ERROR
    assert "MemoryError" in tool_run.output
    assert 50 < int((await session.run("len(x)")).output) < 256
    assert (await session.run("del x\nlen(bytes(100_000_000))")).output == "100000000\n"


@on_linux
async def test_bomb_of_small_objects_is_told_and_the_next_cell_works() -> None:
    sandbox = ProcessSandbox(Limits(memory_bytes=64 << 20))
    session = await sandbox.session()
    tool_run = await session.run("x = []\nwhile True: x = [x]")
    assert tool_run.status in (ToolStatus.ERROR, ToolStatus.KILLED)
    assert "emory" in tool_run.output
    assert (await session.run("1 + 1")).output == "2\n"
    await sandbox.close()


async def test_flood_of_output_is_drained_and_cut_in_the_middle(session: ProcessSession) -> None:
    code = "print('head')\nfor _ in range(100): print('x' * 1_000_000)\nprint('tail')"
    tool_run = await session.run(code)
    assert tool_run.status is ToolStatus.OK
    assert tool_run.output.startswith("head\nxxx")
    assert tool_run.output.endswith("xxx\ntail\n")
    assert f"[... {100 * 1_000_001 + 10 - 1_000} characters cut ...]" in tool_run.output
    assert len(tool_run.output) < 1_100


@given(st.binary(max_size=200), st.integers(1, 50), st.integers(1, 20))
def test_what_is_kept_and_what_is_cut_make_up_the_whole(data: bytes, limit: int, step: int) -> None:
    output = HeadTail(limit)
    for start in range(0, len(data), step):
        output.feed(data[start : start + step])
    output.feed(b" ")  # ends a character that is cut short
    whole = (data + b" ").decode("utf-8", "replace")
    cut = len(whole) - limit
    head, tail = whole[: limit // 2], whole[len(whole) - (limit - limit // 2) :]
    assert output.text("") == (f"{head}\n[... {cut} characters cut ...]\n{tail}" if cut > 0 else whole)


async def test_writes_below_python_are_captured_in_their_order(session: ProcessSession) -> None:
    code = "import os, subprocess\nprint(1)\nos.write(2, b'2\\n')\nsubprocess.run(['echo', '3']).returncode"
    assert (await session.run(code)).output == "1\n2\n3\n0\n"


async def test_closed_and_replaced_streams_come_back(session: ProcessSession) -> None:
    await session.run("import io, os, sys\nsys.stdout = sys.stderr = io.StringIO()\nos.close(1)\nos.close(2)")
    await session.run("sys.stdout.close()\nexit()")
    assert (await session.run("print('heard')")).output == "heard\n"


async def test_child_that_outlives_the_cell_is_gone_after_close(session: ProcessSession) -> None:
    pids = [int((await session.run(START_CHILD.format(detached=detached))).output) for detached in (False, True)]
    assert not any(map(is_gone, pids))
    await session.close()
    assert await until(lambda: all(map(is_gone, pids)))


@on_linux
async def test_orphan_of_a_cell_is_gone_after_close(session: ProcessSession) -> None:
    code = "import subprocess\nsubprocess.run(['sh', '-c', 'setsid sleep 60 & echo $!'], check=True)\nNone"
    pid = int((await session.run(code)).output)
    assert not is_gone(pid)
    await session.close()
    assert await until(lambda: is_gone(pid))


async def test_copy_forked_by_a_cell_does_not_answer_for_the_session(session: ProcessSession) -> None:
    await session.run("import os\nparent = os.getpid()\npid = os.fork()\nif pid: os.waitpid(pid, 0)")
    assert (await session.run("os.getpid() == parent")).output == "True\n"


async def test_exit_of_the_process_is_told_and_the_next_cell_works(session: ProcessSession) -> None:
    tool_run = await session.run("import os\nprint('last words')\nos._exit(3)")
    assert tool_run.status is ToolStatus.KILLED
    assert tool_run.output == f"last words\n[Python exited with status 3; the session was restarted and its {LOST}"
    assert (await session.run("1 + 1")).output == "2\n"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, pytest.param(40, marks=on_linux)])
async def test_death_by_a_signal_is_told(session: ProcessSession, number: int) -> None:
    tool_run = await session.run(f"import os; os.kill(os.getpid(), {number})")
    assert tool_run.status is ToolStatus.KILLED
    assert tool_run.output.startswith("[Python died: ")


@pytest.mark.parametrize("code", ["import sys; sys.exit()", "exit()", "raise KeyboardInterrupt"])
async def test_leaving_a_cell_is_an_error_and_not_the_end(session: ProcessSession, code: str) -> None:
    await session.run("x = 7")
    assert (await session.run(code)).status is ToolStatus.ERROR
    assert (await session.run("x")).output == "7\n"


async def test_stdin_is_at_its_end(session: ProcessSession) -> None:
    assert "EOFError" in (await session.run("input()")).output


async def test_text_that_utf_8_cannot_encode_is_escaped(session: ProcessSession) -> None:
    assert (await session.run("print('∑ 🎲 \\ud800')")).output == "∑ 🎲 \\ud800\n"


async def test_integer_of_ten_thousand_digits_is_printed() -> None:
    sandbox = ProcessSandbox(Limits(output_chars=20_000))
    output = (await (await sandbox.session()).run("print(10**9_999)")).output
    await sandbox.close()
    assert output == "1" + "0" * 9_999 + "\n"


async def test_environment_and_directory_are_not_the_agents(
    session: ProcessSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hidden")
    code = "import os, tempfile\n'SECRET' in os.environ, os.getcwd() == os.path.realpath(tempfile.gettempdir())"
    assert (await session.run(code)).output == "(False, True)\n"
    directory = Path((await session.run("print(os.getcwd(), end='')")).output)
    assert await asyncio.to_thread(directory.is_dir)
    await session.close()
    assert not await asyncio.to_thread(directory.exists)


async def test_file_larger_than_the_limit_is_refused(session: ProcessSession) -> None:
    tool_run = await session.run(f"with open('f', 'wb') as f: f.truncate({worker.FILE_BYTES + 1})")
    assert "File too large" in tool_run.output


@pytest.mark.parametrize("frame", [b"junk\n", b"[" * 3_000, b'{"cell": 1, "ok": true}\n', b"x" * 100_000])
async def test_forged_reply_ends_the_session_only(session: ProcessSession, frame: bytes) -> None:
    tool_run = await session.run(FORGE.format(frame=frame))
    assert (tool_run.status, tool_run.output.endswith(LOST)) == (ToolStatus.KILLED, True)
    assert (await session.run("1 + 1")).output == "2\n"


async def test_cancelling_kills_the_tree_and_leaves_no_zombie(session: ProcessSession) -> None:
    python = int((await session.run("import os; os.getpid()")).output)
    sleeper = int((await session.run(START_CHILD.format(detached=True))).output)
    running = asyncio.create_task(session.run("while True: pass"))
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not psutil.pid_exists(python)
    assert await until(lambda: is_gone(sleeper))
    assert (await session.run("1 + 1")).output == "2\n"


async def test_cancelling_the_start_leaves_no_process() -> None:
    sandbox = ProcessSandbox(LIMITS)
    for delay in (0.0, 0.001, 0.01):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(delay):
                await (await sandbox.session()).run("while True: pass")
    await sandbox.close()
    assert psutil.Process().children() == []


async def test_close_ends_a_running_cell_and_may_be_called_twice() -> None:
    sandbox = ProcessSandbox(LIMITS)
    session = await sandbox.session()
    running = asyncio.create_task(session.run("while True: pass"))
    await asyncio.sleep(0.05)
    await asyncio.gather(session.close(), sandbox.close())
    await sandbox.close()
    assert (await running).status is ToolStatus.KILLED
    assert psutil.Process().children() == []
    with pytest.raises(SandboxError, match="session is closed"):
        await session.run("1")
    with pytest.raises(SandboxError, match="sandbox is closed"):
        await sandbox.session()


async def test_session_without_cells_starts_nothing() -> None:
    sandbox = ProcessSandbox(LIMITS)
    await sandbox.session()
    assert psutil.Process().children() == []
    await sandbox.close()


async def test_python_that_cannot_start_is_a_sandbox_error(monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = ProcessSandbox(LIMITS)
    for executable in ("/nowhere/python", shutil.which("true")):
        monkeypatch.setattr(sys, "executable", executable)
        with pytest.raises(SandboxError):
            await (await sandbox.session()).run("1")
    await sandbox.close()


async def test_eight_sessions_at_once_keep_their_own_variables() -> None:
    async def count(index: int) -> str:
        session = await sandbox.session()
        await session.run(f"x = {index}")
        return (await session.run("x * x")).output

    sandbox = ProcessSandbox(LIMITS)
    outputs = await asyncio.gather(*map(count, range(8)))
    await sandbox.close()
    assert outputs == [f"{index * index}\n" for index in range(8)]


async def test_cells_of_one_session_take_turns(session: ProcessSession) -> None:
    await session.run("x = []")
    await asyncio.gather(*(session.run(f"x.append({index})") for index in range(5)))
    assert (await session.run("x")).output == "[0, 1, 2, 3, 4]\n"


async def test_fifty_sessions_leak_no_descriptor_process_or_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def live_and_die(index: int) -> None:
        session = await sandbox.session()
        await session.run("import os; os._exit(0)" if index % 2 else "1")
        await session.close()

    def held() -> tuple[int, int, int]:
        gc.collect()
        return psutil.Process().num_fds(), len(psutil.Process().children()), len(list(tmp_path.iterdir()))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sandbox = ProcessSandbox(LIMITS)
    await live_and_die(0)
    before = held()
    for _ in range(10):
        await asyncio.gather(*map(live_and_die, range(5)))
    assert held() == before


def test_python_dies_with_a_killed_agent(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", CONTROLLER],
        cwd=root,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # the session's directory stays behind
        stdout=subprocess.PIPE,
    ) as controller:
        assert controller.stdout is not None
        pid = int(controller.stdout.readline())
        assert not is_gone(pid)
        controller.kill()
    assert asyncio.run(until(lambda: is_gone(pid)))


def test_end_of_the_control_socket_ends_a_running_cell() -> None:
    ours, theirs = socket.socketpair()
    arguments = map(str, (theirs.fileno(), os.getpid(), LIMITS.memory_bytes))
    command = [sys.executable, "-I", worker.__file__, *arguments]
    with subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True) as python:
        theirs.close()
        assert ours.recv(100) == b'{"ready": true}\n'
        ours.sendall(b'{"cell": "a", "code": "while True: pass"}\n')
        ours.close()
        assert python.wait(WAIT_SECONDS) == -signal.SIGKILL


def test_random_text_as_a_cell_never_breaks_the_agent() -> None:
    words = st.sampled_from([*"x=1()[]:\n\\{}0/*", "if", "else", "for", "in", "lambda", "return", "'a'", "print"])

    @settings(max_examples=40, deadline=None)
    @given(st.one_of(st.text(st.characters()), st.lists(words).map(" ".join)))
    def attack(code: str) -> None:
        assert runner.run(session.run(code, timeout=1.0)).code == code

    with asyncio.Runner() as runner:
        sandbox = ProcessSandbox(LIMITS)
        session = runner.run(sandbox.session())
        attack()
        assert runner.run(session.run("1 + 1")).output == "2\n"
        runner.run(sandbox.close())
