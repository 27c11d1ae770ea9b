"""An interrupt at any moment ends the command with a word and its own exit status, whichever signal it is."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.calls import command, environment, solve_here
from tests.support.servers.scripted_server import ScriptedServer, serving

pytestmark = pytest.mark.process


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving(ScriptedServer(lambda body: "so it is \\boxed{7}")) as running:
        yield running


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
def test_an_interrupt_while_standard_input_is_read_is_reported(tmp_path: Path, how: signal.Signals) -> None:
    words = command("-", "--url", "http://127.0.0.1:9")
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, cwd=tmp_path, env=environment(), stdin=pipe, stderr=pipe, text=True)
    assert process.stdin
    assert process.stderr
    process.stdin.write("x" * 200_000)  # more than a pipe holds: returns when it is being read
    for _ in range(5):  # Python misses a signal that comes between two reads of the kernel
        process.send_signal(how)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=2)
            break
    with suppress(BrokenPipeError):
        process.stdin.close()
    with process.stderr:
        assert (process.wait(timeout=30), process.stderr.read()) == (130, "interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
def test_interrupted_before_the_engine_is_up_nothing_is_left(tmp_path: Path, how: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        words = command("What?", "--url", f"http://127.0.0.1:{silent.getsockname()[1]}")
        process = subprocess.Popen(words, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True)
        with silent.accept()[0]:
            process.send_signal(how)
            errors = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert [line.partition(" ")[0] for line in errors.splitlines()] in (["interrupted"], ["1", "interrupted"])
    assert list(tmp_path.iterdir()) == []


def test_a_run_leaves_the_handling_of_sigterm_as_it_was(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else a signal while the result is printed would end the command with nothing said."""

    def handler(number: int, frame: object) -> None:
        raise AssertionError

    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGTERM, handler)
    try:
        assert solve_here(capsys, "What?", "--url", server.url, "--samples", 1).returncode == 0
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)
