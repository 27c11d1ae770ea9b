"""Finds the first closed Python code block in a stream of text."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

_OPEN = re.compile(r"^[ \t]*```[ \t]*(?:python3?|py)[ \t]*\n", re.MULTILINE | re.IGNORECASE)
_CLOSE = re.compile(r"^[ \t]*```", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """A closed block: its code, dedented, and the offset behind its closing fence in the text fed so far."""

    code: str
    end: int


class FenceScanner:
    """Feed it text as it comes; it answers with the block as soon as the closing fence is there.

    A closing fence counts at its third backtick, whatever follows on its line: models that forget to close a block
    often go on with ```` ```output ````. A line is looked at again only while it is unfinished.
    """

    def __init__(self) -> None:
        self._buffer = ""  # from the start of the last unfinished line, or of the open block, on
        self._offset = 0  # of the buffer in the text fed so far
        self._in_code = False

    def feed(self, text: str) -> CodeBlock | None:
        """The first closed block, or None while there is none."""
        unfinished = self._buffer.rfind("\n") + 1
        self._buffer += text
        if not self._in_code:
            opening = _OPEN.search(self._buffer)
            self._drop(opening.end() if opening else self._buffer.rfind("\n") + 1)
            if opening is None:
                return None
            self._in_code, unfinished = True, 0
        closing = _CLOSE.search(self._buffer, unfinished)
        if closing is None:
            return None
        code = textwrap.dedent(self._buffer[: closing.start()])
        return CodeBlock(code, self._offset + closing.end())

    def _drop(self, count: int) -> None:
        self._buffer = self._buffer[count:]
        self._offset += count
