"""The argument parser of the commands: errors in one line, with the name that was probably meant; defaults in the help.

It is argparse, which typer or cyclopts would replace by signatures of functions: the flags here become dotted keys of a
configuration and are optional, so each would have to be declared twice, and none of the messages would be shorter.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

from agent.cli.streams import write_result
from agent.files.suggestions import did_you_mean

_UNKNOWN_FLAG = re.compile(r"unrecognized arguments: (?:.*? )?(--[\w-]+)")
_UNTOLD: tuple[object, ...] = (None, "", argparse.SUPPRESS)  # defaults that say nothing, as False does
_INVALID_CHOICE = re.compile(r"(invalid choice: '([^']*)')")


class OneLineParser(argparse.ArgumentParser):
    """An argument parser that reports errors as one line, and writes its help like any result.

    `commands` gives the names by which commands were called, by those that they are written with.
    """

    commands: ClassVar[Mapping[str, str]] = {}

    def __init__(self, *, prog: str | None = None, **settings: Any) -> None:
        super().__init__(prog=self.commands.get(prog or "", prog), **settings)

    def error(self, message: str) -> NoReturn:
        """Report the error, with the flag or value that was probably meant, and exit with status 2."""
        self.exit(2, f"error: {self._with_guess(message)}; --help lists the flags\n")

    def format_help(self) -> str:
        """The help, with the default of each flag that has one."""
        for action in self._actions:
            silent = action.default is False or action.default in _UNTOLD or action.default == []
            told = silent or "default" in (action.help or "")
            if action.option_strings and action.help is not argparse.SUPPRESS and not told:
                action.help = f"{action.help or ''} (default: %(default)s)"
        return super().format_help()

    def print_help(self, file: Any = None) -> None:
        """Write the help. Raises AgentError if it cannot be written."""
        if file is None and sys.stdout is not None:
            write_result(self.format_help())
        else:
            super().print_help(file)

    def _with_guess(self, message: str) -> str:
        flag = _UNKNOWN_FLAG.match(message)
        if flag:
            return message + did_you_mean(flag[1], self._option_string_actions)
        choices = [str(choice) for action in self._actions for choice in action.choices or ()]
        return _INVALID_CHOICE.sub(lambda found: found[1] + did_you_mean(found[2], choices), message)
