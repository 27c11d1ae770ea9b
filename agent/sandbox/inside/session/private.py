"""Private copies of what the runner needs of Python, which cells do not change by changing the public ones."""

from __future__ import annotations

import builtins
import importlib.util
import types
from typing import Any

BUILTINS = dict(vars(builtins))
"""The built-in names. A module that says `__builtins__ = BUILTINS` first of all looks them up in here."""


def copy_of(name: str) -> Any:
    """A second, private instance of a module of the standard library that is written in Python."""
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.loader is not None, name
    module = importlib.util.module_from_spec(spec)
    vars(module)["__builtins__"] = BUILTINS
    spec.loader.exec_module(module)
    return module


def traceback_and_linecache() -> tuple[Any, types.ModuleType]:
    """Private instances of both, the one using the other."""
    lines, traces = copy_of("linecache"), copy_of("traceback")
    traces.linecache = lines
    return traces, lines
