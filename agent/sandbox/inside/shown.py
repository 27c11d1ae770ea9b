"""Whether the value of a cell's last expression is shown, as a notebook does."""

from __future__ import annotations

import re
import types
from ast import (
    AST,
    Attribute,
    Await,
    BoolOp,
    Call,
    Expr,
    IfExp,
    ListComp,
    Name,
    NamedExpr,
    SetComp,
    Tuple,
    expr,
)
from ast import List as ListDisplay
from collections.abc import Mapping

from agent.sandbox.inside.private import BUILTINS

__builtins__ = BUILTINS  # type: ignore[assignment] # the interpreter takes a dictionary, too

_WRITES = ("write", "writelines", "writerow", "writerows", "write_text", "write_bytes", "tofile", "print")
_MOVES = ("seek", "truncate", "flush", "lseek")
_SYSTEM = ("pwrite", "writev", "pwritev", "sendfile", "ftruncate", "system")
_C_LIBRARY = ("printf", "puts", "putchar", "fputs", "putc", "fwrite", "fflush", "dprintf", "fprintf", "perror")
_EFFECTS = frozenset((*_WRITES, *_MOVES, *_SYSTEM, *_C_LIBRARY))
_SEMICOLON = re.compile(rb"(?:[\s\\]|#[^\n]*\n)*;")
_BUILT_IN = (types.BuiltinFunctionType, types.MethodType, types.FunctionType, types.MethodWrapperType)


def is_shown(last: Expr, source: str, value: object, scope: Mapping[str, object]) -> bool:
    """Whether a value is more than None, no by-product of a call made for its effect, and not hidden by a `;`."""
    if value is None or (isinstance(last.value, _CANDIDATES) and _only_acts(last.value, scope)):
        return False
    return ";" not in source or not _SEMICOLON.match(_behind(last, source))


def _behind(last: Expr, source: str) -> bytes:
    """What stands in the source behind its last expression."""
    lines = source.encode("utf-8", "surrogatepass").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    end = last.end_lineno or 1
    return b"\n".join([lines[end - 1][last.end_col_offset :], *lines[end:]])


def _only_acts(node: expr, scope: Mapping[str, object]) -> bool:
    """Whether an expression is nothing but calls that write, or move in, a file or stream."""
    match node:
        case Call(func=function):
            return _is_effect(function, scope)
        case Await(value=inner) | NamedExpr(value=inner):
            return _only_acts(inner, scope)
        case ListComp(elt=inner) | SetComp(elt=inner):
            return _only_acts(inner, scope)
        case IfExp(body=body, orelse=other):
            return _only_acts(body, scope) and (_only_acts(other, scope) or not isinstance(other, Call))
        case BoolOp(values=values):
            return _only_acts(values[-1], scope)
        case Tuple(elts=parts) | ListDisplay(elts=parts):
            return bool(parts) and all(_only_acts(part, scope) for part in parts)
    return False


_CANDIDATES: tuple[type[AST], ...] = (Call, Await, NamedExpr, ListComp, SetComp, IfExp, BoolOp, Tuple, ListDisplay)


def _is_effect(function: expr, scope: Mapping[str, object]) -> bool:
    if isinstance(function, Attribute):
        if function.attr not in _EFFECTS:
            return False
        return not (isinstance(function.value, Name) and _is_own(scope.get(function.value.id)))
    if isinstance(function, Name):
        called = scope.get(function.id, BUILTINS.get(function.id))
        return isinstance(called, _BUILT_IN) and called.__name__ in _EFFECTS and not _is_from_cell(called)
    return False


def _is_own(owner: object) -> bool:
    """Whether it is an object of a class, or a class, that a cell defined: what its methods return may matter."""
    kind = owner if isinstance(owner, type) else type(owner)
    return kind.__module__ == "__main__"


def _is_from_cell(called: object) -> bool:
    return getattr(called, "__module__", None) == "__main__"
