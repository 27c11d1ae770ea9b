"""A notebook that `submission.build` built, read back: its settings, the files in it, and the rest of its cells."""

from __future__ import annotations

import ast
import base64
import bz2
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import InputError

CODE_FOLDER = "aimo_agent"
_WRITES = f"%%writefile {CODE_FOLDER}/"


@dataclass(frozen=True, slots=True)
class BuiltNotebook:
    """`settings` are the values of its configuration cell by name, one that is no literal as its source.

    `files` are texts by their paths in the notebook's code, `texts` the sources of the other cells: prose, and the code
    that the notebook itself runs.
    """

    settings: Mapping[str, object]
    files: Mapping[str, str]
    texts: tuple[str, ...]

    def setting(self, name: str, kind: type[Any]) -> Any:
        """A value of the configuration cell; an empty one of that type where it is missing or of another type."""
        value = self.settings.get(name)
        return value if isinstance(value, kind) else kind()

    def profile(self) -> Mapping[str, Any]:
        """The profile that the configuration cell names; empty where none is named, or it is no TOML in these files."""
        name = self.setting("PROFILE", str)
        own = self.files.get(name.removeprefix(f"{CODE_FOLDER}/"), "")
        try:
            return tomllib.loads(self.files.get(f"agent/profiles/{name}.toml", own))
        except tomllib.TOMLDecodeError:
            return {}


def read_notebook(path: Path) -> BuiltNotebook:
    """Read a notebook, executed or not. Raises InputError for one that was not built here."""
    cells = list(_cells(path))
    files: dict[str, str] = {}
    settings: dict[str, object] = {}
    texts = []
    try:
        for source, tags in cells:
            if source.startswith(_WRITES):
                name, _, text = source.removeprefix(_WRITES).partition("\n")
                files[name.strip()] = text + "\n"
            elif "packed" in tags:
                files |= _unpacked(source)
            elif {"parameters", "injected-parameters"} & tags:  # the second is what papermill and a rehearsal add
                settings |= dict(_assigned(source))
            elif not {"folders", "manifest"} & tags:
                texts.append(source)
    except (SyntaxError, ValueError, OSError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__}: {error}): build it again") from error
    if not files or "EDITION" not in settings:
        raise InputError(f"{path} is no notebook that submission.build built: name one")
    return BuiltNotebook(settings, files, tuple(texts))


def _cells(path: Path) -> Iterator[tuple[str, set[str]]]:
    """The source of each cell and its tags. Raises InputError for a file that is no notebook."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        for cell in tree["cells"]:
            source = cell["source"]
            yield source if isinstance(source, str) else "".join(source), set(cell["metadata"].get("tags", ()))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): name the .ipynb file") from error
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is no notebook: name the .ipynb file that submission.build wrote") from error


def _assigned(source: str) -> Iterator[tuple[str, object]]:
    """The names that a cell sets, with their values: a literal as it is, of anything else the source."""
    for statement in ast.parse(source).body:
        targets: Iterable[ast.expr] = ()
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = (statement.target,)
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value:
                yield target.id, _literal(statement.value)


def _literal(value: ast.expr) -> object:
    try:
        found: object = ast.literal_eval(value)
    except ValueError:
        return ast.unparse(value)
    return found


def _unpacked(source: str) -> dict[str, str]:
    """The files of the packed cell, by their paths."""
    packed = str(dict(_assigned(source))["PACKED"])
    files: dict[str, str] = json.loads(bz2.decompress(base64.b64decode(packed)))
    return files
