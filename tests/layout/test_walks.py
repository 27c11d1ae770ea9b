"""The walks that documents propose through the code go down: nobody has to go back to a module that was read before."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.layout.source import ROOT, imported_modules, module_name, refuse, shown, text

WALKS = {"agent/README.md": "agent.solve", "submission/README.md": "submission.notebook"}
_STEP = re.compile(r"^\| \[[^]]+\]\(([^)]+\.py)\) \|", re.MULTILINE)


@pytest.mark.parametrize(("document", "first"), WALKS.items())
def test_each_module_of_a_walk_is_used_from_above_and_uses_nothing_above(document: str, first: str) -> None:
    walk = steps(ROOT / document)
    assert len(walk) > 10
    assert module_name(walk[0]) == first
    assert len(set(walk)) == len(walk)
    refuse(ways_up(walk))


@pytest.mark.parametrize("document", WALKS)
def test_a_walk_in_another_order_is_refused(document: str) -> None:
    walk = steps(ROOT / document)
    assert list(ways_up([walk[1], walk[0], *walk[2:]]))
    assert list(ways_up([walk[0], *walk[2:]]))  # a step is missing


def steps(document: Path) -> list[Path]:
    """The modules of the document's table, in its order."""
    return [(document.parent / link).resolve() for link in _STEP.findall(text(document))]


def ways_up(walk: Sequence[Path]) -> Iterator[str]:
    """The modules that are used by none above them, or use one above them."""
    for place, path in enumerate(walk):
        above = walk[:place]
        if above and not any(imports(other, path) or starts(other, path) for other in above):
            yield f"{shown(path)} is used by no module above it"
        yield from (f"{shown(path)} uses {shown(other)}, which is above it" for other in above if imports(path, other))


def imports(path: Path, other: Path) -> bool:
    return module_name(other) in imported_modules(path)


def starts(path: Path, other: Path) -> bool:
    """Whether a module names another as the command of a process."""
    return f'"{module_name(other).removesuffix(".__main__")}"' in text(path)
