"""Documents are short, lead somewhere, and say what their folders say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.layout.source import ROOMS, ROOT, outline, refuse, shown, text

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(path for room in (*ROOMS, "tests") for path in (ROOT / room).rglob("*.md"))])
MOST_LINES = 150
MOST_WORDS = 1_000
_LINK = re.compile(r"\]\(([^()\s]+)\)|\b(?:src|href)=\"([^\"]+)\"")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def test_the_readme_is_short() -> None:
    readme = text(ROOT / "README.md")
    assert readme.count("\n") <= MOST_LINES
    assert len(readme.split()) <= MOST_WORDS


def test_links_between_documents_lead_somewhere() -> None:
    refuse(f"{shown(path)}: {link}" for path in DOCUMENTS for link in links(path) if not leads(path, link))


def test_a_folders_readme_begins_with_what_the_package_says_it_is() -> None:
    offenders = (
        f"{shown(path)} does not begin with: {sentence}"
        for path in DOCUMENTS
        if path.name == "README.md" and path.with_name("__init__.py").exists()
        if opening(path) != (sentence := first_sentence(outline(path.with_name("__init__.py")).docstring))
    )
    refuse(offenders)


def test_links_and_sentences_are_read_as_they_are_written() -> None:
    assert (
        first_sentence("Solves problems.  And more.") == first_sentence("Solves\nproblems. More") == "Solves problems."
    )
    assert anchor("How a problem is `solved`, and why") == "how-a-problem-is-solved-and-why"
    assert not leads(ROOT / "README.md", "no/such/file.md")
    assert not leads(ROOT / "README.md", "README.md#no-such-heading")
    assert leads(ROOT / "README.md", "agent/types.py")


def links(path: Path) -> Iterator[str]:
    """The relative targets of the document's links and pictures."""
    for found in _LINK.finditer(_CODE.sub("", text(path))):
        target = found[1] or found[2]
        if not re.match(r"[a-z]+:", target):
            yield target


def leads(path: Path, link: str) -> bool:
    """Whether the link's file is there, and in it the heading."""
    name, _, heading = link.partition("#")
    target = (path.parent / name).resolve() if name else path
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not heading or heading in {anchor(found) for found in re.findall(r"^#+ (.+)$", text(target), re.MULTILINE)}


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def opening(path: Path) -> str:
    """The first sentence below the document's title."""
    paragraphs = [each.strip() for each in text(path).split("\n\n")]
    return first_sentence(next(each for each in paragraphs if each and not each.startswith("#")))


def first_sentence(words: str) -> str:
    return re.split(r"(?<=[.!?])\s", " ".join(words.split()), maxsplit=1)[0]
