"""Serve a web page that solves a problem and shows the lanes thinking, running code and voting."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import socket
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.arguments import add_setting_flags, given_path, overrides
from agent.cli.one_line_parser import OneLineParser
from agent.errors import ConfigError, InputError

if TYPE_CHECKING:
    from rich.console import Console

AUTH_VARIABLE = "AIMO_DEMO_AUTH"
SECONDS = 180.0  # for a question without --time-limit: a profile's own limit is for a whole run
DEFAULT_PORT = 7_860


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted; return the exit status."""
    parser = OneLineParser(prog="python -m tools.demo", description=__doc__)
    how = parser.add_argument_group("how to solve")
    add_setting_flags(how, time_limit_of=f"each question (default {SECONDS:g})")
    parser.set_defaults(problems_in_flight=None)
    where = parser.add_argument_group("where")
    where.add_argument("--host", default="127.0.0.1", help="address to serve on (default: this machine only)")
    where.add_argument(
        "--port",
        type=int,
        default=DEFAULT_PORT,
        help=f"port to serve on (default {DEFAULT_PORT}; 0: any free one)",
    )
    where.add_argument(
        "--auth",
        metavar="USER:PASSWORD",
        help="ask visitors to log in; the list of processes shows it to others on this machine, unlike the variable "
        f"{AUTH_VARIABLE}, which is read where this flag is not given (default: no login)",
    )
    where.add_argument(
        "--run-dir", type=given_path, metavar="DIR", help="where questions are recorded (default: runs/demo-…)"
    )
    args = parser.parse_args(argv)
    from tools.shared.command_line import run_command  # slow imports come after the flags are checked

    return run_command(partial(_demo, args))


def _demo(args: argparse.Namespace, console: Console) -> None:
    from agent.config import load_config

    login = _login(args.auth)
    config = load_config(args.profile or "cpu", {"budget.time_limit_seconds": SECONDS, **overrides(args)})
    directory = args.run_dir or Path("runs") / datetime.now().astimezone().strftime("demo-%Y-%m-%dT%H-%M-%S")
    if importlib.util.find_spec("gradio") is None:
        raise ConfigError("the demo needs Gradio: pip install 'aimo-agent[demo]'")
    with _listen(args.host, args.port) as listener:
        if login is None and not ip_address(listener.getsockname()[0]).is_loopback:
            console.print(f"everybody who reaches this address can ask: {AUTH_VARIABLE}=USER:PASSWORD asks for a login")
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported
        from tools.demo.server import serve_page

        asyncio.run(serve_page(config, directory, listener, console, login))


def _login(given: str | None) -> tuple[str, str] | None:
    """Return the name and the password that visitors have to give. Raises InputError, which does not repeat them."""
    name, text = ("--auth", given) if given is not None else (AUTH_VARIABLE, os.environ.get(AUTH_VARIABLE))
    if text is None:
        return None
    user, colon, password = text.partition(":")
    if not (user and colon and password):
        raise InputError(f"{name} is not of the form USER:PASSWORD: give a name, a colon and a password")
    return user, password


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket listening at the address. Raises InputError if that fails."""
    if not 0 <= port <= 65_535:
        raise InputError(f"--port {port} is not a port: give one from 1 to 65535, or 0 for any free one")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(
            f"cannot listen on {host} port {port} ({reason}): give another with --host and --port (0: any free port)"
        ) from error
