"""The sandbox's command line: signals, streams that are closed or full, and its help."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import InputError
from agent.sandbox.cli import stdio
from agent.sandbox.cli.interrupts import Interrupted, Interrupts
from agent.sandbox.cli.stdio import LineReader, LineWriter

pytestmark = pytest.mark.process

COMMAND = [sys.executable, "-m", "agent.sandbox"]
ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
CELL = '{"session": "a", "code": "6 * 7"}\n'


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which is ignored where `nohup` runs the tests
    process = subprocess.Popen([*COMMAND, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    signal.signal(signal.SIGHUP, before)
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    "how", [ENDING[0], *(pytest.param(how, marks=pytest.mark.long) for how in ENDING[1:])], ids=lambda how: how.name
)
def test_a_signal_ends_the_command_and_every_line_is_answered(how: signal.Signals) -> None:
    endless = json.dumps({"session": "a", "code": "while True: pass", "timeout": 60}) + "\n"
    with started("run") as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write('{"session": "b", "code": "1"}\n' + endless + CELL)
        process.stdin.flush()
        process.stdout.readline()  # the others have been read by now, and standard input stays open
        process.send_signal(how)
        assert process.wait(10) == 128 + how
        answers = [json.loads(line) for line in process.stdout]
        assert [(answer["session"], answer["status"]) for answer in answers] == [("a", "killed")] * 2
        assert all("was told to end" in answer["output"] for answer in answers)
        assert process.stderr.read().splitlines()[-1] == "interrupted"


@pytest.mark.parametrize(("how", "after"), list(zip(ENDING, (0.1, 0.3, 0.5), strict=True)))
def test_a_signal_during_the_start_leaves_nothing(
    how: signal.Signals, after: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with started("run") as process:
        time.sleep(after)  # whatever it is at by then
        process.send_signal(how)
        assert (process.wait(20), process.stderr and process.stderr.read()) == (128 + how, "interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_the_caller_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    others = [signal.getsignal(number) for number in ENDING]
    try:
        Interrupts().install()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        for number, handler in zip(ENDING, others, strict=True):
            signal.signal(number, handler)
        signal.signal(signal.SIGHUP, before)


def test_of_several_signals_the_first_counts() -> None:
    interrupts, calls = Interrupts(), []
    with pytest.raises(Interrupted):
        interrupts(signal.SIGHUP, None)
    interrupts(signal.SIGINT, None)
    assert interrupts.status == 129
    interrupts = Interrupts()
    interrupts.cancel = lambda: calls.append(1)
    interrupts(signal.SIGTERM, None)
    interrupts(signal.SIGTERM, None)
    assert (interrupts.status, calls) == (143, [1])


@pytest.mark.parametrize(
    ("script", "status", "said"),
    [
        ('"$@" run <&-', 2, "error: standard input is closed"),
        ('"$@" run >&-', 2, "error: the result cannot be written: standard output is closed"),
        ('"$@" run >/dev/full', 2, "error: the result cannot be written to standard output (No space left"),
        ('"$@" >/dev/full', 2, "error: the result cannot be written to standard output (No space left"),
        ('"$@" --help >/dev/full', 2, "error: the result cannot be written to standard output (No space left"),
        pytest.param('"$@" run 2>&- >/dev/null', 0, "", marks=pytest.mark.long),
        ('"$@" run <&- >&- 2>&-', 2, ""),
        pytest.param('{ "$@" run; echo "status $?" >&2; } | true', 0, "status 0", marks=pytest.mark.long),
        ('"$@" --memory-mib 99999999999999', 2, "--memory-mib 99999999999999: at most 16777216 can be set"),
    ],
)
def test_whatever_the_streams_are_a_failure_is_a_one_line_message(script: str, status: int, said: str) -> None:
    words = ["/bin/sh", "-c", script, "sh", *COMMAND]
    done = subprocess.run(words, input=CELL, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == status
    assert "Traceback" not in done.stderr and "exception" not in done.stderr
    assert said in "".join(done.stderr.splitlines()[-1:])


def test_a_reader_that_has_gone_ends_the_command_though_input_stays_open() -> None:
    with started("run") as process:
        assert process.stdin and process.stdout
        process.stdout.close()
        process.stdin.write(CELL)
        process.stdin.flush()
        assert process.wait(20) == 0


def test_the_help_describes_lines_and_statuses() -> None:
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True)
    words = ("session", "code", "timeout", "reset", "status", "output", "seconds", "ok", "error", "killed", "16 MiB")
    assert all(word in done.stdout for word in words)
    example = next(line for line in done.stdout.splitlines() if line.strip().startswith("echo"))
    assert json.loads(example.split("'")[1]) == json.loads(CELL)


async def lines_of(descriptor: int) -> list[bytes]:
    reader = LineReader(descriptor)
    lines = []
    while line := await reader.line():
        lines.append(line)
    return lines


@given(st.lists(st.binary(max_size=30), max_size=8), st.integers(1, 12), st.booleans())
def test_lines_are_read_as_they_were_sent_and_long_ones_are_cut(parts: list[bytes], most: int, file: bool) -> None:
    data = b"\n".join(parts)
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setattr(stdio, "MAX_LINE", most)
        patch.setattr(stdio, "_CHUNK", 5)
        if file:
            source = os.memfd_create("lines")
            os.write(source, data)
            os.lseek(source, 0, os.SEEK_SET)
        else:
            source, sink = os.pipe()
            os.write(sink, data)
            os.close(sink)
        stack.callback(os.close, source)
        lines = asyncio.run(lines_of(source))
    expected = data.split(b"\n")
    if not expected[-1]:
        expected.pop()
    got = [line.removesuffix(b"\n") for line in lines]
    assert len(got) == len(expected)
    for ours, theirs in zip(got, expected, strict=True):
        if len(theirs) <= most:
            assert ours == theirs
        else:
            assert theirs.startswith(ours[:most]) and most < len(ours) <= most + 6


async def test_a_wait_for_a_line_can_be_cancelled() -> None:
    source, sink = os.pipe()
    waiting = asyncio.create_task(LineReader(source).line())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    os.close(sink)
    os.close(source)


async def test_what_cannot_be_read_is_reported() -> None:
    source = os.open("/", os.O_RDONLY)
    with pytest.raises(InputError, match="standard input cannot be read"):
        await LineReader(source).line()
    os.close(source)


def test_at_the_end_a_reader_that_does_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdio, "_LOOK", 0.001)
    source, sink = os.pipe()
    calls: list[Any] = []
    writer = LineWriter(sink, lambda: calls.append("stop"), lambda: True)
    writer.write("x" * (1 << 21))
    writer.write("y")
    assert calls == ["stop"] and writer.error is None
    os.set_blocking(source, False)
    assert set(os.read(source, 1 << 22)) == set(b"x")
    os.close(source)
    os.close(sink)


def test_why_nothing_can_be_written_is_kept_and_said_once() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    calls: list[str] = []
    writer = LineWriter(full, lambda: calls.append("stop"), lambda: False)
    writer.write("x")
    writer.write("y")
    assert calls == ["stop"]
    assert "No space left on device" in str(writer.error)
    assert isinstance(getattr(writer.error, "__cause__", None), OSError)
    os.close(full)
