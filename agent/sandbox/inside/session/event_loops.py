"""Cells and event loops: as in a notebook a cell may await, and start tasks; unlike there, `asyncio.run` works too."""

from __future__ import annotations

import asyncio
import asyncio.runners
import contextvars
import inspect
import re
import types
from ast import AST, AsyncFunctionDef, Attribute, Call, FunctionDef, Lambda, Module, Name, expr
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any

from agent.sandbox.inside.session import private
from agent.sandbox.inside.session.private import BUILTINS

__builtins__ = BUILTINS  # type: ignore[assignment] # the interpreter takes a dictionary, too

_NAMES = ("create_task", "ensure_future", "get_running_loop")
_OWN_LOOP = ("run_until_complete", "run_forever", "new_event_loop", "get_event_loop")
may_need_loop = re.compile("|".join(_NAMES)).search
"""Find in a source the name of what only works in a running event loop."""

_children = private.copy_of("ast").iter_child_nodes
_GRACE = 1.0  # seconds for tasks that a cell leaves behind although it could have awaited them
# Bound before any cell can replace them.
_Runner, _new_loop = asyncio.Runner, asyncio.SelectorEventLoop
_copy_context = contextvars.copy_context
_all_tasks, _current_task, _wait = asyncio.all_tasks, asyncio.current_task, asyncio.wait


def needs_loop(tree: Module, source: str) -> bool:
    """Whether the cell itself, not only a function of it, calls what only works in a running event loop."""
    if not may_need_loop(source) or any(name in source for name in _OWN_LOOP):
        return False
    return any(isinstance(node, Call) and _name(node.func) in _NAMES for node in _outside_functions(tree))


def run_awaiting(parts: Sequence[types.CodeType], scope: dict[str, object]) -> object:
    """Run parts of a cell all in one event loop; the value of the last. Tasks that they start may end, too.

    The loop runs in a copy of the context; what the cell sets there, decimal precision for one, is kept.
    """
    context = _copy_context()
    try:
        with _Runner(loop_factory=_new_loop) as runner:
            return runner.run(_run_awaiting(parts, scope), context=context)
    finally:
        for variable, value in context.items():
            if variable.get(context) is not value:  # a default that is surely not the value
                variable.set(value)


def replace_run() -> None:
    """Make `asyncio.run` work where a loop runs already: that one waits."""
    run = asyncio.run

    def run_within(main: Coroutine[Any, Any, object], **options: Any) -> object:
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        try:
            return run(main, **options)
        finally:
            asyncio._set_running_loop(outer)

    places: tuple[Any, ...] = (asyncio, asyncio.runners)
    for place in places:
        place.run = run_within


def _outside_functions(node: AST) -> Iterator[AST]:
    for child in _children(node):
        if not isinstance(child, FunctionDef | AsyncFunctionDef | Lambda):
            yield child
            yield from _outside_functions(child)


def _name(called: expr) -> str:
    return called.attr if isinstance(called, Attribute) else called.id if isinstance(called, Name) else ""


async def _run_awaiting(parts: Sequence[types.CodeType], scope: dict[str, object]) -> object:
    value: object = None
    has_awaited = False
    for part in parts:
        value = eval(part, scope)
        if part.co_flags & inspect.CO_COROUTINE:
            has_awaited = True
            value = await value  # type: ignore[misc]
    tasks = _all_tasks() - {_current_task()}
    if tasks:
        await _wait(tasks, timeout=_GRACE if has_awaited else None)
    return value
