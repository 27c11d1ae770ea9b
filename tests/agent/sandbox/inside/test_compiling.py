"""Cells that are compiled without their trees: the same as with them, and only where that is certain."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sandbox.inside.session.compiling import compile_plain, compile_tree
from agent.sandbox.inside.session.reading import FLAGS, parse_source
from agent.sandbox.inside.session.shown import CALLED, is_shown

PIECES = [
    "x = 5",
    "x += 1",
    "x",
    "x == 5",
    "x, 'a'",
    "'''",
    '"""a',
    "(",
    ")",
    "y = (1 +",
    "2)",
    "if x:",
    "    x = 7",
    "    x",
    "else:",
    "def f(n=2):",
    "    return n * x",
    "f(3)",
    "@f",
    "print(x)",
    "z = \\",
    "# a comment \\",
    "# a comment; with more",
    "x  # behind it; a comment",
    "x;",
    "x; x + 1",
    "[x for x in range(3)]",
    "(lambda: x)()",
    "f'{x!r}'",
    "'\\\\",
    "",
    "  ",
    "\f",
    "\tx",
    "for x in (1, 2): x",
    "return x",
    "from __future__ import annotations",
    "import math; math.pi",
    "x if x else 0",
    "\u00e9 = 3",
    "\u00e9",
]
cells = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("\n".join) | st.sampled_from(PIECES)


def outcome_of(parts: list[Any]) -> tuple[str, str, dict[str, str]]:
    """The value, the error with the line where it arose, and the variables that running the parts leaves."""
    scope: dict[str, Any] = {"__name__": "__main__", "print": lambda *values: None}
    value, error = None, ""
    try:
        for part in parts:
            value = eval(part, scope)
    except Exception as raised:  # noqa: BLE001 - any
        assert raised.__traceback__ is not None and raised.__traceback__.tb_next is not None
        error = f"{raised!r} in line {raised.__traceback__.tb_next.tb_lineno}"
    scope.pop("__builtins__")
    scope.pop(CALLED, None)
    shapes = {name: f"{kept!r}".partition(" at 0x")[0] for name, kept in scope.items() if name != "print"}
    return f"{value!r}".partition(" at 0x")[0], error, shapes


@given(cells)
def test_a_cell_does_the_same_without_its_tree(cell: str) -> None:
    plain = compile_plain(cell, "<cell>", FLAGS)
    if plain is None:
        return
    tree = parse_source(cell, "<cell>")
    last = tree.body[-1]
    assert type(last).__name__ == "Expr"
    assert outcome_of(plain.parts) == outcome_of(compile_tree(tree, "<cell>", cell, FLAGS))
    found = plain.expression()
    assert (found.lineno, found.col_offset, found.end_col_offset) == (last.lineno, last.col_offset, last.end_col_offset)


@given(cells, st.sampled_from([7, [3, None], "text", 2.5]))
def test_what_is_shown_whatever_the_expression_is_would_be_shown_with_its_tree(cell: str, value: object) -> None:
    plain = compile_plain(cell, "<cell>", FLAGS)
    if plain is not None and plain.is_shown(value):
        assert is_shown(plain.expression(), cell, value, None, {})


@pytest.mark.parametrize("cell", ["1 + 1", "print(6 * 7)", "x = 5\nx", "def f():\n    return 1\n\nf()  \n\n"])
def test_usual_cells_need_no_tree(cell: str) -> None:
    assert compile_plain(cell, "<cell>", FLAGS) is not None


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "x = 5",
        "x: int",
        "6;",
        "for i in range(3):\n    i",
        "import sys\nsys.stdout.write('7')",
        "import asyncio\nasyncio.create_task(f())",
        "'''\n1\n'''",
        "(1 +\n1)",
        "z = \\\n1",
        "1\r\n2",
        "\ufeff1",
        "1 +",
        "a\x00b",
        "\ud800",
        "(" * 1_000 + ")" * 1_000,
    ],
)
def test_where_the_last_line_is_not_surely_an_expression_the_tree_decides(cell: str) -> None:
    assert compile_plain(cell, "<cell>", FLAGS) is None
