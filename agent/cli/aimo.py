"""The command `aimo`: `aimo solve` is `python -m agent.solve`, and so on for every command that the wheel holds."""

from __future__ import annotations

import platform
import runpy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent import __version__
from agent.cli.one_line_parser import OneLineParser
from agent.files.suggestions import did_you_mean

_FAILED = 2


@dataclass(frozen=True, slots=True)
class Command:
    """A command: the module that is run, and what it does."""

    module: str
    summary: str


COMMANDS: Mapping[str, Command] = {
    "solve": Command("agent.solve", "solve problems, with tools, under a time limit"),
    "models": Command("agent.models", "list the models in the cache, and remove them"),
    "report": Command("tools.report", "a recorded run, or two to compare, as one HTML page"),
    "replay": Command("tools.replay", "judge policies on recorded samples, in virtual time"),
    "convert": Command("tools.convert", "samples of your own, or other tools' logs, as recordings for replay"),
    "demo": Command("tools.demo", "a web page on which visitors ask problems and watch the lanes"),
    "benchmark": Command("tools.benchmark", "run and grade AIME, MATH-500, GPQA Diamond and others"),
    "bench": Command("tools.bench", "measure the speed of engine and sandbox, and ways to serve a model"),
    "capacity": Command("tools.capacity", "what each vLLM profile needs of its GPUs"),
    "figures": Command("tools.figures", "remake the figures of the README"),
    "traces": Command("tools.traces", "fetch public recordings for replay"),
    "sandbox": Command("agent.sandbox", "show the sandbox's layers, or run cells in it"),
    "build": Command("submission.build", "build the notebook for Kaggle"),
    "wheelhouse": Command("submission.wheelhouse", "fetch the wheels that the notebook needs"),
    "diff": Command("submission.diff", "say in words how two notebooks differ"),
    "rehearse": Command("submission.rehearse", "run the notebook here as Kaggle does"),
    "push": Command("submission.push", "upload the notebook and submit it"),
}
"""The commands by the names that `aimo` knows them by: the last part of their modules' names."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the first argument names with the other arguments; return the exit status."""
    name, *arguments = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help", "help"):
        print(_help())
        return 0
    if name == "--version":
        print(f"aimo-agent {__version__} (Python {platform.python_version()})")
        return 0
    if name not in COMMANDS:
        kind = "flag" if name.startswith("-") else "command"
        meant = did_you_mean(name, [*COMMANDS, "--help", "--version"])
        print(f"error: no {kind} {name!r}{meant}; aimo --help lists the commands", file=sys.stderr)
        return _FAILED
    return _run(name, arguments)


def _run(name: str, arguments: Sequence[str]) -> int:
    """Run the command's module as `python -m` does, in this process; its help has the command's name."""
    module, before = COMMANDS[name].module, sys.argv
    sys.argv, OneLineParser.commands = [module, *arguments], {f"python -m {module}": f"aimo {name}"}
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        sys.argv, OneLineParser.commands = before, {}
    return 0


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: aimo COMMAND [FLAGS]",
            "",
            *lines,
            "",
            "aimo COMMAND --help lists its flags; aimo --version tells the version.",
            "Each is a module too: aimo solve is python -m agent.solve, aimo report is python -m tools.report.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
