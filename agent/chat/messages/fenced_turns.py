"""ChatML with fenced blocks of Python whose output comes in a turn of the user's: for servers that continue no turn.

A server that puts the model's template around messages begins a turn of the assistant's anew with each request, so that
nothing can be written into one, and it may take no functions.
"""

from __future__ import annotations

from typing import ClassVar

from agent.chat.fenced import CODE_OPEN, OUTPUT_HEAD
from agent.chat.fences import FenceScanner, unfinished
from agent.chat.format import ToolCallScanner
from agent.chat.tool_tags.function_calls import FunctionCalls


class FencedTurns(FunctionCalls):
    """A `ChatFormat` of models behind a chat endpoint that is told no functions."""

    __slots__ = ()
    result_frame: ClassVar[tuple[str, str]] = (OUTPUT_HEAD.lstrip("\n"), "\n```")

    def next_prompt(self, prompt: str, written: str) -> str:
        """Both: what a template leaves out of the turns before is the server's to leave out."""
        return prompt + written

    def call_scanner(self, *, has_called: bool = False) -> ToolCallScanner:
        """A scanner for fenced blocks."""
        return FenceScanner()

    def shown(self, text: str) -> str:
        """The text itself, which is Markdown."""
        return text

    def _last_stretch(self, written: str) -> tuple[str, bool]:
        """What was written since the last block that has an output; what is open in it is a fence, and no call."""
        return (unfinished(written, FenceScanner)[0] if self.tools else written), False

    @property
    def _tool_section(self) -> str:
        return ""

    def _called(self, code: str) -> str:
        return f"{CODE_OPEN}{code}\n```"
