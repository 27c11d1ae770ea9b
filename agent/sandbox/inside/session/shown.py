"""Whether the value of a cell's last expression is shown, as a notebook does."""

from __future__ import annotations

import io
import re
import sys
import types
from ast import (
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
    Store,
    Tuple,
    copy_location,
    expr,
)
from ast import List as ListDisplay
from collections.abc import Mapping

from agent.sandbox.inside.session.private import BUILTINS

__builtins__ = BUILTINS  # type: ignore[assignment] # the interpreter takes a dictionary, too

CALLED = "__called__"
"""The name under which a last expression keeps, while it runs, what it called that may have been a write."""

_WRITES = ("write", "writelines", "writerow", "writerows", "write_text", "write_bytes", "print")
_MOVES = ("seek", "truncate", "flush", "lseek")
_SYSTEM = ("pwrite", "writev", "pwritev", "sendfile", "ftruncate", "system")
_C_LIBRARY = ("printf", "puts", "putchar", "fputs", "putc", "fwrite", "fflush", "dprintf", "fprintf", "perror")
EFFECTS = frozenset((*_WRITES, *_MOVES, *_SYSTEM, *_C_LIBRARY))
"""The names of methods and functions that write, or move in a file."""

_SEMICOLON = re.compile(rb"(?:[\s\\]|#[^\n]*\n)*;")
_STREAMS = ("_csv", "csv", "pathlib", "mmap", "codecs", "tempfile")  # modules of what writes, besides the streams of io
_METHODS = (types.BuiltinFunctionType, types.MethodType, types.MethodWrapperType)
_COMPOUND = frozenset((Call, Await, NamedExpr, ListComp, SetComp, IfExp, BoolOp, Tuple, ListDisplay))
_MANY = (list, tuple, set)


def watch_calls(node: expr) -> None:
    """Make an expression keep what it calls under the name CALLED, where its value may be what a write returned.

    Which branch is taken, and whether `x.write` is that of a file, is known only as it runs.
    """
    if type(node) not in _COMPOUND:
        return
    match node:
        case Call() if _may_write(node):
            kept = NamedExpr(copy_location(Name(CALLED, Store()), node.func), node.func)
            node.func = copy_location(kept, node.func)
        case Await(value=inner) | NamedExpr(value=inner) | ListComp(elt=inner) | SetComp(elt=inner):
            watch_calls(inner)
        case IfExp(body=body, orelse=other):
            watch_calls(body)
            watch_calls(other)
        case BoolOp(values=values):  # an earlier operand may be its value, too, but is seldom a write
            watch_calls(values[-1])
        case Tuple(elts=parts) | ListDisplay(elts=parts) if all(map(_may_write, parts)):
            for part in parts:
                watch_calls(part)


def _may_write(node: expr) -> bool:
    return isinstance(node, Call) and isinstance(node.func, Attribute) and node.func.attr in EFFECTS


def is_shown(last: Expr, source: str, value: object, called: object, scope: Mapping[str, object]) -> bool:
    """Whether a value is more than None, not what a write returned, and not hidden by a `;`.

    `called` is what the expression kept under the name CALLED, None if it made no such call.
    """
    if value is None:
        return False
    if type(last.value) in _COMPOUND and is_count(value):
        called = called or _named_call(last.value, scope)
        if called is not None and _writes(called):
            return False
    return ";" not in source or not _SEMICOLON.match(_behind(last, source))


def _behind(last: Expr, source: str) -> bytes:
    """The source after its last expression."""
    lines = source.encode("utf-8", "surrogatepass").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    end = last.end_lineno or 1
    return b"\n".join([lines[end - 1][last.end_col_offset :], *lines[end:]])


def is_count(value: object) -> bool:
    """Whether it is what calls that write return: a number of characters or bytes, None, or several of these."""
    if type(value) in _MANY:
        return bool(value) and all(type(each) is int or each is None for each in value)  # type: ignore[attr-defined]
    return type(value) is int


def _named_call(node: expr, scope: Mapping[str, object]) -> object:
    """What an expression calls by a name, if it is such calls and nothing else; None otherwise."""
    match node:
        case Call(func=Name(id=name)):
            return scope.get(name, BUILTINS.get(name))
        case Await(value=inner) | NamedExpr(value=inner) | ListComp(elt=inner) | SetComp(elt=inner):
            return _named_call(inner, scope)
        case Tuple(elts=parts) | ListDisplay(elts=parts) if parts:
            found = [_named_call(part, scope) for part in parts]
            return found[-1] if all(each is not None and _writes(each) for each in found) else None
    return None


def _writes(called: object) -> bool:
    """Whether it is a method of a real file or stream that writes or moves in it, or such a function of the system."""
    if isinstance(called, types.FunctionType):  # what `tempfile` puts around the methods of its files
        called = getattr(called, "__wrapped__", called)
    if isinstance(called, _METHODS):
        return called.__name__ in EFFECTS and _is_stream(called.__self__)
    return any(kind.__module__ == "_ctypes" for kind in type(called).__mro__)


def _is_stream(owner: object) -> bool:
    if isinstance(owner, types.ModuleType | io.IOBase) or type(owner).__module__ in _STREAMS:
        return True
    return owner is sys.stdout or owner is sys.stderr
