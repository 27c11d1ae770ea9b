"""What a session is told behind an error that comes from where it runs."""

from __future__ import annotations

import re
import traceback
from collections.abc import Sequence

_MAGIC = re.compile(
    r"^[ \t]*(?:%{1,2}[A-Za-z]|![ \t]*[\w./~]|\?{1,2}\w)|=[ \t]*[%!][ \t]*[A-Za-z]|\w\?{1,2}[ \t]*$", re.MULTILINE
)
_PROCESSES = re.compile(
    r"\b(?:multiprocessing|subprocess|concurrent[/\\]futures[/\\]process|pty)\b[^/\\]*(?:[/\\]|\.py$)"
)
_STARTS = re.compile(r"\b(?:fork|forkpty|posix_spawnp?|exec[lv]p?e?)\(")


class Hints:
    """Sentences about this Python, which has these `libraries` besides the standard one."""

    def __init__(self, libraries: Sequence[str]) -> None:
        names = ["the standard library", *libraries]
        self._use = f"use {', '.join(names[:-1])}{' or ' if libraries else ''}{names[-1]}"

    def about(self, error: BaseException, frames: Sequence[traceback.FrameSummary], source: str) -> str:
        """What helps after this error in a cell with this source; empty if there is nothing to say."""
        if isinstance(error, ModuleNotFoundError):
            return f"This Python is offline and installs nothing: {self._use}."
        if isinstance(error, SyntaxError) and _MAGIC.search(source):
            return f"There are no IPython magics (%) and no shell (!) here, and nothing can be installed: {self._use}."
        if isinstance(error, NameError) and error.name in ("display", "get_ipython"):
            return "This is Python without IPython: use print."
        if isinstance(error, OSError) and any(_starts_processes(frame) for frame in frames):
            return "No processes or programs can be started here: use plain loops in this one."
        return ""


def _starts_processes(frame: traceback.FrameSummary) -> bool:
    return bool(_PROCESSES.search(frame.filename) or _STARTS.search(frame.line or ""))
