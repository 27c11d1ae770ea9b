"""Say in words what changed from one built notebook to another: `python -m submission.diff A.ipynb B.ipynb`.

Compared are settings, samples, prompts, profiles, modules and cells, the metadata beside the notebooks, and the wheels
of two wheelhouses. The exit status is that of diff: 0 where nothing differs, 1 where something does, 2 for an error.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.cli.one_line_parser import OneLineParser
from agent.errors import AgentError, InputError
from submission.built_notebook import read_notebook
from submission.diff.differences import ChangedSection, flat_values, notebook_differences, value_lines
from submission.environment import REQUIREMENTS
from submission.metadata import KERNEL_FILE, read_metadata

_PIN = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    args = _parse(argv)
    try:
        sections = notebook_differences(read_notebook(args.first), read_notebook(args.second))
        sections += metadata_differences(args.first, args.second)
        if args.wheels:
            sections += wheel_differences(*args.wheels)
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for title, lines in sections:
        print(title, *lines, sep="\n  ")
    if not sections:
        print("no differences")
    return 1 if sections else 0


def metadata_differences(first: Path, second: Path) -> list[ChangedSection]:
    """How the metadata differ that lie beside the notebooks. Raises InputError for a file that cannot be read."""
    one, other = first.with_name(KERNEL_FILE), second.with_name(KERNEL_FILE)
    if one.resolve() == other.resolve() or not (one.exists() or other.exists()):
        return []
    for path in (one, other):
        if not path.exists():
            print(f"not compared: the metadata, because there is no {path}", file=sys.stderr)
            return []
    lines = list(value_lines(flat_values(read_metadata(one)), flat_values(read_metadata(other))))
    return [("competition and metadata", lines)] if lines else []


def wheel_differences(first: Path, second: Path) -> list[ChangedSection]:
    """How the wheels of two wheelhouses differ. Raises InputError for a folder without requirements."""
    lines = list(value_lines(_versions(first), _versions(second)))
    return [("wheels", [line.replace('"', "") for line in lines])] if lines else []


def _versions(folder: Path) -> dict[str, object]:
    path = folder / REQUIREMENTS
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): name the folder of a wheelhouse") from error
    return {name.lower(): version for name, version in _PIN.findall(text)}


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = OneLineParser(
        prog="python -m submission.diff",
        description="Say in words what changed from one built notebook to another. "
        "Exit status: 0 where nothing differs, 1 where something does, 2 for an error.",
    )
    parser.add_argument("first", type=Path, metavar="A.ipynb", help="the notebook as it was")
    parser.add_argument("second", type=Path, metavar="B.ipynb", help="the notebook as it is now")
    parser.add_argument(
        "--wheels", type=Path, nargs=2, metavar="DIR", help="the wheelhouses of the two, to compare their versions"
    )
    return parser.parse_args(argv)
