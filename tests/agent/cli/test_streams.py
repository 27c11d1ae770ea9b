"""Output that cannot be written costs no run; a result that cannot be written is said to be lost."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli.streams import HeldOutput, steady_streams, write_result
from agent.errors import AgentError
from agent.journal.journal import read_run
from tests.support.calls import command, environment
from tests.support.servers.scripted_server import ScriptedServer, serving

SHELL = "/bin/sh"


class Full(io.StringIO):
    """A stream on a full device."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving(ScriptedServer(lambda body: "so it is \\boxed{7}")) as running:
        yield running


def in_shell(script: str, cwd: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A script of the shell, in which "$@" is the call."""
    words = [SHELL, "-c", script, "sh", *command(*arguments)]
    return subprocess.run(
        words,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(),
        timeout=60,
        check=False,
        stdin=subprocess.PIPE,
    )


@pytest.mark.process
@pytest.mark.parametrize(
    ("script", "status", "said"),
    [
        ('{ "$@"; echo $? >status; } | true', 0, ""),
        ('"$@" >/dev/full; echo $? >status', 2, "the result cannot be written to standard output (No space left"),
        ('"$@" >&-; echo $? >status', 2, "the result cannot be written: standard output is closed"),
        ('"$@" 2>/dev/full >/dev/null; echo $? >status', 0, ""),
        ('"$@" <&- >&- 2>&-; echo $? >status', 2, ""),
    ],
    ids=["no reader", "full", "closed", "errors to a full device", "all closed"],
)
def test_a_run_is_recorded_wherever_its_output_goes(
    server: ScriptedServer, tmp_path: Path, script: str, status: int, said: str
) -> None:
    result = in_shell(script, tmp_path, "What?", "--url", server.url, "--samples", 1, "--run-dir", "run")
    assert (tmp_path / "status").read_text() == f"{status}\n"
    assert "Traceback" not in result.stderr
    assert said in result.stderr
    run = read_run(tmp_path / "run")
    assert (run.solutions[0].answer, run.unreadable) == (7, 0)


@pytest.mark.process
@pytest.mark.parametrize(
    ("script", "status", "said"),
    [
        ('"$@" --help | true', 0, ""),
        ('"$@" --help >/dev/full', 2, "error: the result cannot be written"),
        ('"$@" --problems missing.csv 2>/dev/full', 2, ""),
        ('"$@" --problems missing.csv 2>&-', 2, ""),
        ('"$@" - <&-', 2, "error: standard input is closed"),
    ],
)
def test_help_and_refusals_end_alike(tmp_path: Path, script: str, status: int, said: str) -> None:
    result = in_shell(script, tmp_path)
    assert result.returncode == status
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith(said)
    assert list(tmp_path.iterdir()) == []


def test_what_is_shown_may_be_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    full = Full()
    monkeypatch.setattr(sys, "stderr", full)
    with steady_streams():
        print("lost", file=sys.stderr, flush=True)
        assert not sys.stderr.isatty()
    assert sys.stderr is full


def test_without_standard_error_nothing_goes_to_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with steady_streams():
        print("lost", file=sys.stderr)
    assert capsys.readouterr().out == ""


def test_a_result_that_cannot_be_written_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(AgentError, match="No space left on device"):
        write_result("42")
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(AgentError, match="standard output is closed"):
        write_result("42")


def test_a_reader_that_has_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        write_result("42")
        write_result("more")


def test_held_output_is_of_the_kind_of_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    held = HeldOutput()
    print("42", file=held)
    assert (held.text, held.isatty()) == ("42\n", False)
    assert capsys.readouterr().out == ""
