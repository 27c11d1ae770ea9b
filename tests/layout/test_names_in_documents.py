"""What documents name is there: commands and their flags, configuration keys, profiles, make targets and files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from agent.config import Config, profile_names
from agent.files.section import Section
from tests.layout.source import ROOMS, ROOT, shown, text

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.md"))])
TABLES = {
    name: type(field.default) for name, field in Config.model_fields.items() if isinstance(field.default, Section)
}
# Flags that commands share are defined here.
SHARED = ("agent.cli", "tools.shared")
_COMMAND = re.compile(r"python -m ((?:agent|submission|tools)(?:\.\w+)*)([^\n`|]*)")
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_KEY = re.compile(r"\b(" + "|".join(TABLES) + r")\.(?!py\b|toml\b)(\w+)")
_CODE = re.compile(r"`([^`\n]+)`|^ {4}(.+)$", re.MULTILINE)


def test_commands_and_their_flags_exist() -> None:
    offenders = []
    for path in DOCUMENTS:
        for command in _COMMAND.finditer(text(path).replace("\\\n", " ")):
            sources = sources_of(command[1])
            if not sources:
                offenders.append(f"{shown(path)}: python -m {command[1]}")
            told = "".join(map(text, [*sources, *(found for name in SHARED for found in sources_of(name))]))
            flags = _FLAG.findall(command[2].partition("#")[0])
            offenders += [f"{shown(path)}: {command[1]} {flag}" for flag in flags if f'"{flag}"' not in told]
    assert not offenders


def test_flags_that_stand_alone_are_flags_of_some_command() -> None:
    told = "".join(text(path) for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    flags = {(shown(path), f) for path in DOCUMENTS for f in re.findall(r"`(--[a-z][a-z-]*)", text(path))}
    assert not sorted(f"{where}: {flag}" for where, flag in flags if f'"{flag}"' not in told)


def test_configuration_keys_exist() -> None:
    offenders = [
        f"{shown(path)}: {key[0]}"
        for path in DOCUMENTS
        for key in _KEY.finditer(text(path))
        if key[2] not in TABLES[key[1]].model_fields
    ]
    assert not offenders


def test_profiles_exist() -> None:
    named = [(shown(path), name) for path in DOCUMENTS for name in re.findall(r"--profile ([\w-]+)", text(path))]
    assert not [f"{where}: {name}" for where, name in named if name not in profile_names()]


def test_make_knows_the_targets() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), re.MULTILINE))
    named = [(shown(path), code) for path in DOCUMENTS for code in snippets(path)]
    offenders = [
        f"{where}: make {target}"
        for where, code in named
        for target in re.findall(r"^make ([a-z-]+)", code)
        if target not in targets
    ]
    assert not offenders


def test_files_of_the_repository_exist() -> None:
    offenders = [
        f"{shown(path)}: {name}"
        for path in DOCUMENTS
        for code in snippets(path)
        for name in re.findall(rf"(?:^|\s)((?:{'|'.join(ROOMS)}|tests)/[\w./-]*\w)", code)
        if not (ROOT / name).exists()
    ]
    assert not offenders


def snippets(path: Path) -> Iterator[str]:
    """The pieces of code in the document: between backquotes, and indented lines."""
    yield from (found[1] or found[2] for found in _CODE.finditer(text(path)))


def sources_of(module: str) -> list[Path]:
    """The files that define a command."""
    place = ROOT.joinpath(*module.split("."))
    module_file = place.with_suffix(".py")
    return [module_file] if module_file.exists() else sorted(place.rglob("*.py"))
