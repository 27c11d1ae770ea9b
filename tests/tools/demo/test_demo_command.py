"""The demo's command without a browser: what it refuses, and how, and that its help loads little."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools.demo.command import AUTH_VARIABLE, main

pytestmark = pytest.mark.process
ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def refused(*arguments: object, code: str | None = None) -> str:
    """The one sentence with which the command ends."""
    call = [sys.executable, "-c", code] if code else [sys.executable, "-m", "tools.demo", *map(str, arguments)]
    result = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT, timeout=60, check=False)
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["--profile", "nope"], "no profile 'nope'"),
        (["--set", "sample.cuont=3"], "sample.cuont: unknown key"),
        (["--time-limit", "soon"], "--time-limit 'soon'"),
        (["--host", "256.0.0.1"], "256.0.0.1"),
        (["--port", "99999"], "99999"),
        (["--auth", "no-password"], "--auth is not of the form USER:PASSWORD"),
        (["--auth", "ada:"], "--auth is not of the form USER:PASSWORD"),
    ],
)
def test_bad_input_is_a_one_line_message_and_status_2(arguments: list[str], fragment: str) -> None:
    assert fragment in refused(*arguments)


def test_a_port_in_use_is_a_one_line_message() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "--port" in refused("--port", taken.getsockname()[1])


def test_without_gradio_the_command_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['gradio'] = None; from tools.demo.command import main; sys.exit(main(['--port', '0']))"
    )
    assert "the demo needs Gradio: pip install 'aimo-agent[demo]'" in refused(code=code)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, tools.demo.command\n"
        "try: tools.demo.command.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'gradio', 'pandas', 'numpy', 'pydantic', 'aiohttp', 'rich', 'uvicorn'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr
    assert "--time-limit" in result.stdout


def test_the_login_is_taken_from_the_environment_where_no_flag_gives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVIRONMENT, "AIMO_DEMO_AUTH", "ada")
    sentence = refused()
    assert "AIMO_DEMO_AUTH is not of the form USER:PASSWORD" in sentence


@pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="gradio is not installed")
@pytest.mark.parametrize(
    ("flags", "warned"),
    [(["--host", "0.0.0.0"], True), (["--host", "0.0.0.0", "--auth", "ada:word"], False), ([], False)],
)
def test_an_address_that_is_open_to_all_is_warned_of_with_the_variable_that_hides_the_password(
    flags: list[str], warned: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def served(*_: object) -> None:
        pass

    monkeypatch.delenv(AUTH_VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "tools.demo.server", SimpleNamespace(serve_page=served))
    assert main([*flags, "--port", "0"]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert (f"can ask: {AUTH_VARIABLE}=USER:PASSWORD asks for a login" in told) == warned
