"""Describes a cell's error: the traceback of its own frames and of the last library frame, and a hint."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from agent.sandbox.inside.session import private
from agent.sandbox.inside.session.hints import Hints
from agent.sandbox.inside.session.private import BUILTINS

if TYPE_CHECKING:
    import traceback

__builtins__ = BUILTINS  # type: ignore[assignment] # the interpreter takes a dictionary, too

_traceback, _linecache = private.traceback_and_linecache()

CELL = "<cell "  # how the file names of cells begin

_FRAMES = 8
_HERE = __file__.removesuffix("session/errors.py")  # the directory of the frames that no cell need see
_LIBRARIES = tuple(f"{place}{os.sep}" for place in sorted(sys.path, key=len, reverse=True) if place)


class Errors:
    """Describes errors with private instances of `traceback` and `linecache`, of which cells have others."""

    def __init__(self, hints: Hints) -> None:
        self._hints = hints
        self.sources: dict[str, str] = {}  # the cells since the last error, by their file names

    def describe(self, error: BaseException, source: str, *, is_short: bool) -> str:
        """Return the text shown for a cell's error; empty for an exit that means success.

        `is_short`: whether little memory is left.
        """
        if isinstance(error, SystemExit):
            return f"SystemExit: {error.code}\n" if error.code else ""
        self._remember_lines()
        trace = error.__traceback__
        while trace and not trace.tb_frame.f_code.co_filename.startswith(CELL):
            trace = trace.tb_next
        told = _traceback.TracebackException(type(error), error, trace, limit=-_FRAMES)
        for link in _links(told):
            frames = [self._narrow(frame) for frame in link.stack if not frame.filename.startswith(_HERE)]
            for frame in frames:
                frame.filename = _short(frame.filename)
            link.stack = _traceback.StackSummary.from_list(frames)
        text = "".join(told.format())
        hint = self._hints.about(error, told.stack, source) or self._hints.about_resources(error, is_short=is_short)
        return f"{text}({hint})\n" if hint else text

    def _remember_lines(self) -> None:
        for name, source in self.sources.items():
            lines = cell_lines(source)
            _linecache.cache[name] = (len(lines), None, lines, name)
        self.sources.clear()

    def _narrow(self, frame: traceback.FrameSummary) -> traceback.FrameSummary:
        """Of a line with several statements, show only the expression that failed."""
        line, start, end = frame.line or "", frame.colno, frame.end_colno
        if ";" not in line or start is None or end is None or frame.lineno != frame.end_lineno:
            return frame
        whole = _linecache.getline(frame.filename, frame.lineno or 0).encode("utf-8", "surrogatepass")
        part = whole[start:end].decode("utf-8", "replace")
        narrowed: traceback.FrameSummary = _traceback.FrameSummary(frame.filename, frame.lineno, frame.name, line=part)
        return narrowed


def cell_lines(source: str) -> list[str]:
    """The lines of a cell. Each ends with a newline, or the marks below it in a traceback stand too far right."""
    return str.splitlines(source if source.endswith("\n") else f"{source}\n", keepends=True)


def _links(told: traceback.TracebackException) -> list[traceback.TracebackException]:
    """An error, those that it came from, and those that it is a group of."""
    found, waiting = [], [told]
    while waiting:
        link = waiting.pop()
        found.append(link)
        waiting += filter(None, (link.__cause__, link.__context__, *(link.exceptions or ())))
    return found


def is_from(error: BaseException, name: str) -> bool:
    """Whether an error went through code of the cell with this file name."""
    trace = error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == name:
            return True
        trace = trace.tb_next
    return False


def describe_briefly(error: BaseException, another: BaseException) -> str:
    """Describe an error where the full description failed: the cell's lines by their numbers, and the message."""
    lines, trace = [], error.__traceback__
    while trace:
        name = trace.tb_frame.f_code.co_filename
        if name.startswith(CELL):
            lines.append(f'  File "{name}", line {trace.tb_lineno}\n')
        trace = trace.tb_next
    try:
        message = str(error) if isinstance(another, Exception) else ""
    except BaseException:  # noqa: BLE001 - the text of an exception of the cell's may raise anything
        message = ""
    told = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return f"{''.join(lines[-_FRAMES:])}{told} (no more can be shown: {type(another).__name__})\n"


def _short(path: str) -> str:
    """A library's file as its package names it: where it is installed costs tokens and tells the model nothing."""
    return next((path[len(library) :] for library in _LIBRARIES if path.startswith(library)), path)
