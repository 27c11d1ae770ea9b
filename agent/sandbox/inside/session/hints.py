"""Hints shown after an error that comes from the limits of the sandbox."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence

from agent.sandbox.inside.session.private import BUILTINS
from agent.sandbox.inside.session.reading import has_magic

__builtins__ = BUILTINS  # type: ignore[assignment] # the interpreter takes a dictionary, too

_PROCESSES = re.compile(
    r"\b(?:multiprocessing|subprocess|concurrent[/\\]futures[/\\]process|pty)\b[^/\\]*(?:[/\\]|\.py$)"
)
_STARTS = re.compile(r"\b(?:fork|forkpty|posix_spawnp?|exec[lv]p?e?)\(")

_HISTORY = re.compile(r"In|Out|_i{1,3}|_i?\d+")  # IPython's names of earlier cells and their values
_NETWORK = re.compile(r"(?:^|[/\\])(?:urllib3?|http|requests|httpx|aiohttp)[/\\]|(?:^|[/\\])(?:socket|ssl|ftplib)\.py$")
_SYSTEM = re.compile(r"\bsystem\(")
_NO_PROCESSES = "No processes or programs can be started here: use plain loops in this one."
_MEMORY = "The limit of memory was reached. Delete large variables that are no longer needed, or work in smaller parts."
_NO_THREAD = "can't start new thread"  # as Python says it
_FEWER_THREADS = (
    "A session may have only so many threads at a time, those of earlier cells included: use fewer, or plain loops."
)
_LINKS = 8  # earlier errors that are looked at
_OF_SHORTAGE = (RuntimeError, SystemError, OSError, ImportError, KeyboardInterrupt)
_NO_INPUT = "There is no input here: write the values into the code."
_add_hook = sys.addaudithook


class Requests:
    """Notes what a cell asks for that a session does not have, where Python raises no error."""

    def __init__(self) -> None:
        self._has_hook = self._for_input = self._for_programs = False
        self.noted = False  # whether the cell has made such a call
        self._fstat = os.fstat
        self._nothing = _device(self._fstat)

    def begin(self, source: str) -> None:
        """Make Python tell of such calls, from now on, if the code may make any; forget earlier ones."""
        if self._has_hook:
            self.noted = self._for_input = self._for_programs = False
        elif "open(0" in source or ("system(" in source and _SYSTEM.search(source)):
            self._has_hook = True
            _add_hook(self._note)

    def answer(self, *, has_read: bool) -> str:
        """Return the note to follow a cell's output; empty if there is none. `has_read`: from its input, in vain."""
        hints = [_NO_PROCESSES] * self._for_programs + [_NO_INPUT] * (self._for_input or has_read)
        return "".join(f"({hint})\n" for hint in hints)

    def _note(self, event: str, args: tuple[object, ...]) -> None:
        if event == "os.system":
            self._for_programs = True
        elif event == "open" and type(args[0]) is int and args[0] == 0:
            self._for_input = _device(self._fstat) == self._nothing  # unless the cell put a file of its own there
        self.noted = self._for_input or self._for_programs


class Hints:
    """Sentences about this Python: the `libraries` besides the standard one, and the bytes of `memory` of a session."""

    def __init__(self, libraries: Sequence[str], memory: int) -> None:
        names = ["the standard library", *libraries]
        self._use = f"use {', '.join(names[:-1])}{' or ' if libraries else ''}{names[-1]}"
        self._shortage = (
            f"The session's memory is nearly full (the limit is {memory >> 20} MiB): "
            "delete large variables that are no longer needed."
        )

    def about(self, error: BaseException, frames: Sequence[traceback.FrameSummary], source: str) -> str:
        """Return the hint for this error in a cell with this source; empty if there is none."""
        if isinstance(error, ModuleNotFoundError):
            return f"This Python is offline and installs nothing: {self._use}."
        if isinstance(error, SyntaxError) and has_magic(source):
            return f"There are no IPython magics (%) and no shell (!) here, and nothing can be installed: {self._use}."
        if isinstance(error, NameError) and error.name in ("display", "get_ipython"):
            return "This is Python without IPython: use print."
        if isinstance(error, NameError) and _HISTORY.fullmatch(error.name or ""):
            return "There is no history of cells here but `_`, `__` and `___`: keep in variables what you need again."
        if isinstance(error, OSError) and any(_starts_processes(frame) for frame in frames):
            return _NO_PROCESSES
        if isinstance(error, MemoryError):
            return _MEMORY
        if isinstance(error, OSError) and (type(error).__name__ == "gaierror" or any(map(_is_network, frames))):
            return "There is no network here: use what you know, and compute the rest."
        return ""

    def about_resources(self, error: BaseException, *, is_short: bool) -> str:
        """Return the hint for an error that memory or threads may have caused; `is_short`: little memory is left.

        The cause may be an earlier error, as where a library fails while it cleans up behind the first one.
        """
        errors = _chain(error)
        if is_short and any(isinstance(link, _OF_SHORTAGE) for link in errors):
            return self._shortage
        if any(isinstance(link, RuntimeError) and link.args == (_NO_THREAD,) for link in errors):
            return _FEWER_THREADS
        return ""


def _device(fstat: Callable[[int], os.stat_result]) -> int:
    """The device behind descriptor 0; 0 for a file."""
    return fstat(0).st_rdev


def _chain(error: BaseException) -> list[BaseException]:
    """The error, and those during which it came, as far as its traceback shows them."""
    found: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and len(found) < _LINKS:
        found.append(link)
        cause = link.__cause__
        link = link.__context__ if cause is None and not link.__suppress_context__ else cause
    return found


def _starts_processes(frame: traceback.FrameSummary) -> bool:
    return bool(_PROCESSES.search(frame.filename) or _STARTS.search(frame.line or ""))


def _is_network(frame: traceback.FrameSummary) -> bool:
    return bool(_NETWORK.search(frame.filename))
