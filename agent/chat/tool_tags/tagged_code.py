"""ChatML whose calls are plain Python in `<tool_call>` tags; the output follows in a fenced block, in the same turn."""

from __future__ import annotations

from collections.abc import Iterator

from agent.chat.box import BOX_OPEN
from agent.chat.family import WorkedExample
from agent.chat.fenced import OUTPUT_HEAD, OUTPUT_TAIL, FencedChatML, answer_sentence
from agent.chat.fences import unfinished
from agent.chat.format import ForcedAnswer, Passage
from agent.chat.tool_tags.body import read_code
from agent.chat.tool_tags.scanner import CLOSE, OPEN, TagScanner, shown_calls


class TaggedCode(FencedChatML):
    """A `ChatFormat` of OpenMath-Nemotron and of models that are shown its way."""

    __slots__ = ()

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """The tags of calls too, which some vocabularies hold for control tokens."""
        return (*super().control_tokens, OPEN, CLOSE)

    def call_scanner(self, *, has_called: bool = False) -> TagScanner:
        """A scanner for code in tags."""
        return TagScanner(read_code, self.think_close, thinking=False, fence_closes=True)

    def force_answer(self, said: str, *, ended: bool = False) -> ForcedAnswer:
        """Close an open call and the thinking, then open the box; a box that is open is continued."""
        if not unfinished(self.opening + said, self.call_scanner)[1]:
            return super().force_answer(said, ended=ended)
        close_call = f"\n{CLOSE}"
        forced = super().force_answer(f"{said}{close_call}", ended=ended)
        return ForcedAnswer(f"{close_call}{forced.inserted}", BOX_OPEN, "call")

    def shown(self, text: str) -> str:
        """The text with its calls as blocks of code."""
        return shown_calls(text, read_code)

    def passages(self, turn: str) -> Iterator[Passage]:
        """Thinking and answer, with calls as blocks of code, and the blocks of output in them."""
        for passage in super().passages(turn):
            yield passage if passage.kind == "result" else Passage(passage.kind, self.shown(passage.text))

    @property
    def _call_open(self) -> str:
        return f"{OPEN}\n"

    def _solution(self, example: WorkedExample) -> str:
        """The code in tags, its output and the answer."""
        return f"{OPEN}\n{example.code}\n{CLOSE}{OUTPUT_HEAD}{example.output}{OUTPUT_TAIL}{answer_sentence(example)}"
