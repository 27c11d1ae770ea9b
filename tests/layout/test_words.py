"""Docstrings are there, comments begin as English does, and words of no field are not used."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.layout.source import ROOMS, ROOT, SOURCES, TESTS, outline, refuse, shown, text

WRITTEN = {".py", ".md", ".toml", ".j2", ".js", ".css"}
OWN_TEXTS = sorted(
    path
    for room in (*ROOMS, "tests")
    for path in (ROOT / room).rglob("*")
    if path.suffix in WRITTEN and path != Path(__file__)
) + [path for path in (*ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml") if path.exists()]
_BEGINS_WITH_OF = re.compile(r"#+\s*of\b", re.IGNORECASE)
# Each is the beginning of a word or phrase.
UNWANTED = (
    *("befall", "befell", "buried", "bury", "came of it", "clairvoyant", "go on with", "goes on with", "mend", "mourn"),
    *("nudge", "nurser", "surer", "told in a sentence", "troubles"),
)


def test_every_module_has_a_docstring() -> None:
    notebook = ROOT / "submission" / "notebook.py"  # begins with a cell of prose instead
    documented = [path for path in (*SOURCES, *TESTS) if path != notebook]
    refuse(shown(path) for path in documented if not outline(path).docstring)


def test_no_comment_begins_with_of() -> None:
    offenders = [
        f"{shown(path)}:{line}: {comment}"
        for path in (*SOURCES, *TESTS)
        if _BEGINS_WITH_OF.search(text(path))  # most files need not be read token by token
        for line, comment in comments(path)
        if _BEGINS_WITH_OF.match(comment)
    ]
    refuse(offenders)


def test_words_of_the_field_are_used() -> None:
    unwanted = re.compile(r"\b(?:" + "|".join(re.escape(word) for word in UNWANTED) + r")\w*", re.IGNORECASE)
    offenders = [
        f"{shown(path)}:{number}: {found[0]}"
        for path in OWN_TEXTS
        for number, line in enumerate(text(path).splitlines(), 1)
        if (found := unwanted.search(line))
    ]
    refuse(offenders)


def comments(path: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text(path)).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
