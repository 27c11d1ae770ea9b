"""The files of the repository that are embedded in the notebook, in reading order."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What the notebook imports, and what is started as a process.
_NOTEBOOK = "submission/notebook.py"
_ROOTS = (_NOTEBOOK, "submission/worker/launch.py", "submission/worker/__main__.py")
# Started by their paths or names, which imports do not show.
_STARTED = ("agent/engine/guardian.py", "agent/engine/llamacpp/embedded_server.py")
_WHOLE = "agent/sandbox/inside"
_DATA = ("agent/problems/data/check.csv", "agent/problems/data/starter.csv")
_NOT_NEEDED = (
    # A notebook has no network: it downloads no models, and its worker starts the server.
    "agent/models/store.py",
    "agent/engine/chat_completion/engine.py",
    "agent/jupyter/blocking_agent.py",  # called by people alone
)

OWN_FOLDER = "own"  # in the notebook's code, with the user's own files

_LAST = 99
_ORDER = {
    "The vocabulary and the rules": [
        *("types", "errors", "editions", "config", "problems/reader", "chat/format"),
        *(
            "answers",
            "latex/integer",
            "latex/tokens",
            "latex/arithmetic",
            "chat/thinking",
            "chat/reply",
            "chat/fenced",
            "chat/fences",
            "chat/fence_close",
            "lane/repetition/detector",
        ),
        *("chat/task", "policy/voting", "policy/stopping", "policy/", "policy/budget"),
    ],
    "One sample, one problem, the run": [
        *(
            "events",
            "lane/runtime",
            "lane/turn",
            "lane/token_buffer",
            "lane/transcript",
            "lane/fitting",
            "lane/outages",
            "lane/text_events",
            "lane/probe",
            "lane/seed",
        ),
        *("lane/lane", "lane/running", "solver", "gateway_run", "journal/journal"),
    ],
    "The engine": ["engine/"],
    "The sandbox": ["sandbox/"],
    "Models and profiles": ["models/", "profiles/", "chat/families/", "problems/data/", "agent", "__init__"],
}
_SUBMISSION, _OWN_FILES = "The submission", "Files of your own"


def embedded_files() -> dict[str, str]:
    """Return the texts by path, relative to the repository, chapter by chapter."""
    names = _closure()
    folders = (ROOT / "agent" / "profiles", ROOT / "agent" / "chat" / "families")
    names |= {path.relative_to(ROOT).as_posix() for folder in folders for path in folder.glob("*.toml")}
    names |= set(_DATA)
    ranked = sorted(names - {_NOTEBOOK}, key=_rank)
    return {name: (ROOT / name).read_text(encoding="utf-8") for name in ranked}


def chapter_of(name: str) -> str:
    """Return the chapter of a file."""
    return _place(name)[0]


def purpose_of(folder: str) -> str:
    """Return the first line of a package's docstring; "" for a folder that holds data alone."""
    package = ROOT / folder / "__init__.py"
    if not package.is_file():
        return ""
    return (ast.get_docstring(ast.parse(package.read_text(encoding="utf-8"))) or "").split("\n")[0]


def _rank(name: str) -> tuple[int, int, str]:
    title, place = _place(name)
    return [*_ORDER, _SUBMISSION].index(title), place, name


def _place(name: str) -> tuple[str, int]:
    stem = name.removeprefix("agent/").removesuffix(".py")
    if name.startswith("agent/"):
        for title, members in _ORDER.items():
            for place, member in enumerate(members):
                if stem == member or (member.endswith("/") and stem.startswith(member)):
                    return title, place
        return "One sample, one problem, the run", _LAST  # behind those that have a place
    return _OWN_FILES if name.startswith(f"{OWN_FOLDER}/") else _SUBMISSION, 0


def _closure() -> set[str]:
    """Return the modules that the roots import, directly or indirectly, and their packages."""
    names: set[str] = set()
    inside = (path.relative_to(ROOT).as_posix() for path in (ROOT / _WHOLE).rglob("*.py"))
    owed = [*_ROOTS, *_STARTED, *inside]
    while owed:
        name = owed.pop()
        if name in names or name in _NOT_NEEDED:
            continue
        names.add(name)
        owed += _imports(ROOT / name)
        owed += [f"{folder.as_posix()}/__init__.py" for folder in Path(name).parents if folder.name]
    return names


def _imports(path: Path) -> Iterator[str]:
    for module in _imported_modules(path.read_text(encoding="utf-8")):
        file = module.replace(".", "/")
        yield from (name for name in (f"{file}.py", f"{file}/__init__.py") if (ROOT / name).is_file())


@cache  # a source takes far longer to parse than to read
def _imported_modules(source: str) -> tuple[str, ...]:
    """What may be modules of ours among the names that a source imports."""
    modules: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(module for module in modules if module.split(".")[0] in ("agent", "submission"))
