"""Starts the submission's commands, whose packages an installation for solving alone has not."""

from __future__ import annotations

import sys
from importlib import import_module

from agent.cli.streams import steady_streams


def start_command(package: str) -> int:
    """Run `main` of the package's `command` module; its exit status, 2 with one line where a package is missing."""
    try:
        command = import_module(f"{package}.command")
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if missing in ("", "agent", "submission"):
            raise
        print(f"error: {package} needs the package {missing}: pip install 'aimo-agent[kaggle]'", file=sys.stderr)
        return 2
    with steady_streams():  # paths and marks that the locale cannot write are no reason to end
        status = command.main()
    assert isinstance(status, int)
    return status
