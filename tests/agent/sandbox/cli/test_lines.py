"""The sandbox's command line from outside: JSON lines, the report, and what a dead controller leaves."""

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
from agent.sandbox.cli.lines import MAX_LINE, LineServer, parse_line
from agent.sandbox.forkserver import ForkServerSession
from agent.sandbox.inside.layers.layers import LAYER_NAMES, REQUIRED
from agent.sandbox.report import LAYERS, sentence

_COMMAND = [sys.executable, "-m", "agent.sandbox"]


@contextlib.contextmanager
def server() -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen([*_COMMAND, "run"], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def ask(lines: list[str]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [*_COMMAND, "run"],
        input="".join(line + "\n" for line in lines),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Sandbox layers active" in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.process
def test_cells_are_answered_in_the_order_of_their_session() -> None:
    cells = [{"session": name, "code": "x = globals().get('x', 0) + 1\nx"} for _ in range(5) for name in "ab"]
    answers = ask([json.dumps({**cell, "timeout": 20}) for cell in cells])
    for name in "ab":
        mine = [answer for answer in answers if answer["session"] == name]
        assert [answer["output"] for answer in mine] == ["1", "2", "3", "4", "5"]
        assert all(set(answer) == {"session", "status", "output", "seconds"} for answer in mine)


@pytest.mark.long
def test_sessions_run_side_by_side_and_can_be_reset() -> None:
    slow = "import time; t = time.time(); time.sleep(1); print(t)"
    answers = ask([json.dumps({"session": n, "code": slow, "timeout": 20}) for n in range(3)])
    began = [float(answer["output"]) for answer in answers]
    assert max(began) - min(began) < 1.0
    answers = ask(
        [
            '{"session": "a", "code": "x = 1"}',
            '{"session": "a", "code": "x", "reset": true}',
            '{"session": "a", "reset": true}',
        ]
    )
    assert [answer["status"] for answer in answers] == ["ok", "error", "ok"]
    assert "NameError" in answers[1]["output"]


@pytest.mark.process
def test_lines_that_are_no_requests_get_a_message() -> None:
    bad = [
        "nonsense",
        "[]",
        "{}",
        '{"session": "a"}',
        '{"session": [], "code": ""}',
        "[" * 5_000,
        '"\\ud800"',
    ]
    bad += ['{"session": "a", "code": 1}', '{"session": "a", "code": "", "timeout": -1}', "\x00", "1e999"]
    bad += [f'{{"session": "a", "code": "", "timeout": {"9" * 400}}}']
    bad += ['{"session": "a", "code": "", "timeout": NaN}', '{"session": "a", "code": "", "reset": 1}', "{"]
    answers = ask([*bad, '{"session": "a", "code": "6 * 7"}'])
    assert len(answers) == len(bad) + 1
    assert all(answer["status"] == "error" and answer["output"] for answer in answers if answer["output"] != "42")
    assert answers[-1]["output"] == "42"


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.floats(), st.lists).map(
    lambda value: json.dumps(value).encode()
))  # fmt: skip
@pytest.mark.further
def test_any_line_is_a_request_or_refused(line: bytes) -> None:
    with contextlib.suppress(InputError):
        parse_line(line)


async def test_a_service_that_fails_answers_all_the_same() -> None:
    class Broken:
        async def session(self, seed: int | None = None) -> ForkServerSession:
            raise RuntimeError("no more threads")

    answers: list[dict[str, Any]] = []
    server = LineServer(Broken(), lambda line: answers.append(json.loads(line)))  # type: ignore[arg-type]
    for name in ("a", "a", "b"):
        await server.take(json.dumps({"session": name, "code": "1"}).encode())
    await server.finish()
    assert [(answer["session"], answer["status"]) for answer in answers] == [(name, "killed") for name in "aab"]
    assert all("RuntimeError: no more threads" in answer["output"] for answer in answers)


@pytest.mark.process
def test_the_random_numbers_of_a_session_are_its_own_and_the_same_in_each_run() -> None:
    draw = "import random, numpy; random.random(), numpy.random.rand()"
    runs = [ask([json.dumps({"session": name, "code": draw}) for name in ("1", 1, "b")]) for _ in range(2)]
    first, second = ({str([answer["session"]]): answer["output"] for answer in run} for run in runs)
    assert first == second and len(set(first.values())) == 3


REFUSED = {
    '{"session": "a", "code": "1", "timeuot": 1}': '"timeuot" is not a key of a request: those are "session", "code", ',
    '{"session": "a", "code": "1", "code": "2"}': '"code" twice',
    '{"session": %s, "code": "1"}' % ("9" * 5_000): "a number of 5000 characters",
    '{"session": "a", "code": "1", "timeout": %s}' % ("9" * 5_000): "a number of 5000 characters",
    r'{"session": "a", "code": "x = 1\ud800"}': r"half a character, \ud800, after 5 characters",
    '{"session": "a", "code": "1", "%s": 1}' % ("k" * 5_000): 'kkk..." is not a key of a request',
}


@pytest.mark.parametrize("line", REFUSED, ids=lambda line: line[:40])
def test_a_refusal_says_what_is_wrong_and_in_which_session(line: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_line(line.encode())
    said = str(refused.value)
    assert REFUSED[line] in said and len(said) < 300
    assert "sys." not in said and "codec" not in said


def test_a_line_that_is_too_long_is_reported_as_that() -> None:
    longest = b'{"session": "a", "code": "' + b"x" * (MAX_LINE - 28) + b'"}'
    assert len(longest) == MAX_LINE and parse_line(longest + b"\n").session == "a"
    with pytest.raises(InputError, match="too long: at most 16777216 bytes"):
        parse_line(longest + b" \n")


async def test_a_refusal_goes_to_the_session_of_its_line() -> None:
    answers: list[dict[str, Any]] = []
    server = LineServer(None, lambda line: answers.append(json.loads(line)))  # type: ignore[arg-type]
    for line in REFUSED:
        await server.take(line.encode())
    await server.finish()
    assert {answer["status"] for answer in answers} == {"error"}
    assert sorted(str(answer["session"]) for answer in answers) == ["None", *"aaaaa"]


async def test_a_service_that_stops_answers_each_line_once() -> None:
    class Slow:
        async def session(self, seed: int | None = None) -> ForkServerSession:
            await asyncio.Event().wait()
            raise AssertionError

    answers: list[dict[str, Any]] = []
    server = LineServer(Slow(), lambda line: answers.append(json.loads(line)))  # type: ignore[arg-type]
    for name in ("a", "a", "b"):
        await server.take(json.dumps({"session": name, "code": "1"}).encode())
    await server.stop()
    assert sorted((answer["session"], answer["status"]) for answer in answers) == [(name, "killed") for name in "aab"]
    assert all("told to end before" in answer["output"] for answer in answers)


@pytest.mark.process
def test_the_report_names_every_layer() -> None:
    done = subprocess.run(_COMMAND, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "200"})
    assert all(layer.title in done.stdout for layer in LAYERS.values())
    assert done.stdout.rstrip().splitlines()[-1].startswith("Sandbox layers active")
    assert set(LAYER_NAMES) <= set(LAYERS)
    assert "missing: Landlock (too old)" in sentence({"landlock": "too old"})


@pytest.mark.process
def test_layers_that_nothing_may_do_without_cannot_be_switched_off() -> None:
    for name in REQUIRED:
        done = subprocess.run([*_COMMAND, "--without", name], capture_output=True, text=True, check=False)
        assert done.returncode == 2


@pytest.mark.process
@pytest.mark.parametrize("deadly", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_controller_takes_all_along(deadly: signal.Signals) -> None:
    if not Path("/proc/self/task").exists():
        pytest.skip("needs /proc")
    with server() as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write('{"session": "a", "code": "1"}\n')
        process.stdin.flush()
        process.stdout.readline()
        process.stdin.write('{"session": "a", "code": "while True: pass", "timeout": 60}\n')
        process.stdin.flush()
        family = _descendants(process.pid)
        assert len(family) >= 2
        base = _base(family)
        os.kill(process.pid, deadly)
        deadline = time.monotonic() + 30
        while any(_alive(pid) for pid in family) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not [pid for pid in family if _alive(pid)]
        assert not base.exists()


def _descendants(pid: int) -> list[int]:
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        children += map(int, (task / "children").read_text().split())
    return children + [below for child in children for below in _descendants(child)]


def _base(family: list[int]) -> Path:
    """The zygote's directory, from its command line."""
    settings = Path(f"/proc/{family[0]}/cmdline").read_bytes().split(b"\0")[-2]
    return Path(json.loads(settings)["base"])


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
