"""Compiles a cell: all but a last expression, whose value may be shown, and that expression."""

from __future__ import annotations

import re
import types
from ast import Expr, Module, PyCF_ONLY_AST
from typing import Any, NamedTuple

from agent.sandbox.inside.session.event_loops import may_need_loop
from agent.sandbox.inside.session.private import BUILTINS
from agent.sandbox.inside.session.reading import parse_source
from agent.sandbox.inside.session.shown import EFFECTS, is_count, watch_calls

__builtins__ = BUILTINS  # type: ignore[assignment] # the interpreter takes a dictionary, too

SOURCE_ERRORS = (SyntaxError, ValueError, OverflowError, MemoryError, RecursionError)
"""What compiling a cell may raise for its source."""

_WHOLE: Any = compile("0", "", "eval", PyCF_ONLY_AST)  # its body is replaced; a cell might replace its constructor
_BLANKS = " \t\n"
_NO_EXPRESSION = (" ", "\t", "\f", "#", "@")  # what no line begins with that is an expression by itself
_ASSIGNS = re.compile("[^=(]*=(?!=)").match  # mostly: to find that out from the compiler would take longer
_NEEDS_TREE = re.compile(rf";|\.\s*(?:{'|'.join(sorted(EFFECTS))})\b").search  # it decides what is shown


class PlainCell(NamedTuple):
    """A cell whose last line is an expression by itself. `line` stands behind as many newlines as in the cell."""

    parts: list[types.CodeType]
    line: str

    def is_shown(self, value: object) -> bool:
        """Whether the expression's value is shown whatever the expression is; if not, its tree decides."""
        return "(" not in self.line or not is_count(value)

    def expression(self) -> Expr:
        """The tree of the last expression."""
        (last,) = parse_source(self.line, "").body
        assert isinstance(last, Expr)
        return last


def compile_plain(source: str, name: str, flags: int) -> PlainCell | None:
    """Compile a cell without making a tree of Python objects; None if its last line is not surely an expression.

    A small cell spends more on such a tree, which is read again by the compiler, than on all of the rest. The lines
    before the last are a program by themselves only if the last one is no part of a string, bracket or block in them.
    """
    text = source.rstrip(_BLANKS)
    head, _, last = text.rpartition("\n")
    if not last or last.startswith(_NO_EXPRESSION) or head.endswith("\\") or "\r" in source:
        return None
    if (
        _ASSIGNS(last)
        or ((";" in last or "." in last) and _NEEDS_TREE(last))
        or ("_" in source and may_need_loop(source))
    ):
        return None
    line = "\n" * text.count("\n") + last
    try:
        parts = [compile(line, name, "eval", flags, dont_inherit=True)]
        if head.strip(_BLANKS):
            parts.insert(0, _code(head, name, "exec", flags))
    except SOURCE_ERRORS:
        return None
    return tuple.__new__(PlainCell, (parts, line))


def compile_tree(tree: Module, name: str, source: str, flags: int) -> list[types.CodeType]:
    """Compile a cell's tree, of which the last expression is taken out. Raises what `compile` raises."""
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], Expr) else None
    try:
        parts = [_code(tree, name, "exec", flags)] if tree.body else []
        if isinstance(last, Expr):
            watch_calls(last.value)
            _WHOLE.body = last.value
            parts.append(_code(_WHOLE, name, "eval", flags))
    except SyntaxError as error:
        _locate(error, source)
        raise
    return parts


def _code(source: Module | str, name: str, mode: str, flags: int) -> types.CodeType:
    code: types.CodeType = compile(source, name, mode, flags, dont_inherit=True)
    return code


def _locate(error: SyntaxError, source: str) -> None:
    """Give an error the source line that it lacks where the compiler knew only the tree; its offsets count bytes."""
    if error.text is None and error.lineno is not None and error.offset is not None:
        line = [*source.encode("utf-8", "surrogatepass").splitlines(), b""][error.lineno - 1]
        error.text = line.decode("utf-8", "replace")
        error.offset = _characters(line, error.offset)
        if error.end_offset is not None and error.end_lineno == error.lineno:
            error.end_offset = _characters(line, error.end_offset)


def _characters(line: bytes, offset: int) -> int:
    return len(line[: offset - 1].decode("utf-8", "replace")) + 1
