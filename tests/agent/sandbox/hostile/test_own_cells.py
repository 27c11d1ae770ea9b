"""Cells written against this very sandbox, kind by kind, as root, as root in a container, and as a user."""

from __future__ import annotations

import pytest

from tests.support.sandbox import cells_bounds, cells_frames, cells_honest, cells_next, cells_shown
from tests.support.sandbox.cells import OPEN
from tests.support.sandbox.hostile import check
from tests.support.sandbox.jail import Rights

_GROUPS = {
    "bounds": cells_bounds.CELLS,
    "frames": cells_frames.CELLS,
    "honest": cells_honest.CELLS,
    "next": cells_next.CELLS,
    "shown": cells_shown.CELLS,
}
_SHORT = {("frames", Rights.USER), ("shown", Rights.ROOT)}


@pytest.mark.parametrize(
    ("group", "rights"),
    [
        pytest.param(group, rights, marks=[] if (group, rights) in _SHORT else [pytest.mark.long])
        for group in _GROUPS
        for rights in (Rights.ROOT, Rights.DOCKER, Rights.USER)
    ],
)
def test_cells_written_against_the_source(group: str, rights: Rights) -> None:
    check(rights, [cell for cell in _GROUPS[group] if cell["name"] not in OPEN])


def test_what_is_open_is_known() -> None:
    assert {cell["name"] for cells in _GROUPS.values() for cell in cells} > OPEN
