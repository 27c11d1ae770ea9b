"""What a sample has written so far, as text, as turns and as the prompt that continues it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from agent.engine.base import Prompt
from agent.engine.persistent import PersistentEngine
from agent.lane.token_buffer import TokenBuffer
from agent.lane.turn import TurnWriter
from agent.types import ToolRun, Turn

_SHORTENINGS = 8
_CUT_MARK = " [...] "  # between the ends of a prompt, which together might make a mark that neither has


class Transcript:
    """The prompt of a sample and all that follows it: finished turns, insertions, the turn being written.

    What continues it may leave out some of the turns before, as `next_prompt` says (`ChatFormat.next_prompt`).
    """

    def __init__(
        self, prompt: str, engine: PersistentEngine, next_prompt: Callable[[str, str], str] = str.__add__
    ) -> None:
        self._prompt = prompt  # with the first turns in it
        self._turns_in_prompt = 0
        self._next_prompt = next_prompt
        self._engine = engine
        self.turns: list[Turn] = []
        self._generated = 0  # tokens of the turns
        self.writer: TurnWriter | None = None
        self.buffer = TokenBuffer()
        self._said: list[str] = []
        # A length that is known, with the tokens generated and inserted (at most) until then.
        self._counted = (most_tokens(prompt), 0, 0)

    @property
    def tokens(self) -> int:
        """Tokens that the model has generated."""
        return self._generated + (self.writer.tokens if self.writer else 0)

    @property
    def text(self) -> str:
        """All that has been written after what stands in the prompt, the turn that is being written included."""
        written = "".join(turn.text + turn.inserted for turn in self.turns[self._turns_in_prompt :])
        return written + (self.writer.text if self.writer else "")

    @property
    def said(self) -> str:
        """The same without the outputs of code, each of which is a line break: what the sample itself has said."""
        return "".join(self._said) + (self.writer.text if self.writer else "")

    def end_turn(self, writer: TurnWriter, seconds: float) -> None:
        """End the turn, after so many seconds."""
        self.writer = None
        turn = writer.turn(seconds)
        if turn.prompt_tokens is not None:
            self._counted = (turn.prompt_tokens, self.tokens, self._inserted)
        self.turns.append(turn)
        self._generated += turn.tokens
        self._said.append(turn.text)

    def insert(self, text: str, tool_run: ToolRun | None = None) -> None:
        """Write `text` after the last turn, the output of a tool run if one is given."""
        last = self.turns.pop() if self.turns else Turn("", 0, 0.0)
        self.turns.append(replace(last, inserted=last.inserted + text, tool_run=tool_run or last.tool_run))
        self.buffer.append(text)
        self._said.append("\n" if tool_run else text)
        if len(self.turns) == self._turns_in_prompt:
            self._prompt += text
        elif tool_run is not None:
            self._leave_out()

    def _leave_out(self) -> None:
        """Leave out of the prompt what it does not keep; its tokens are those of no earlier one then."""
        whole = self._prompt + self.text
        prompt = self._next_prompt(self._prompt, self.text)
        if prompt != whole:
            self._prompt, self._turns_in_prompt, self.buffer = prompt, len(self.turns), TokenBuffer()
            length, tokens, inserted = self._counted
            most = length + self.tokens - tokens + self._inserted - inserted
            self._counted = (min(most, most_tokens(prompt)), self.tokens, self._inserted)

    async def request(self) -> Prompt:
        """The prompt that continues the sample."""
        return await self.buffer.prompt(self._prompt + self.text, self._engine.tokenize)

    async def request_with(self, more: str) -> Prompt:
        """The prompt that continues the sample after `more`, while a stream of it may be running."""
        return await self.buffer.peek(self._prompt + self.text, more, self._engine.tokenize)

    async def count(self, text: str) -> int:
        """Count the tokens of a text; an upper bound where the server does not count them."""
        counted = await self._engine.count_tokens(text) if text else 0
        return most_tokens(text) if counted is None else counted

    async def shorten(self, prompt: Prompt, room: int) -> Prompt:
        """The prompt without its middle, so that it has at most `room` tokens: the question and the end stay."""
        if not isinstance(prompt, str):
            return [*prompt[: room // 2], *prompt[len(prompt) - (room - room // 2) :]] if len(prompt) > room else prompt
        return await self.cut_middle(prompt, room, _CUT_MARK)

    async def cut_middle(self, text: str, room: int, mark: str = "") -> str:
        """The text with `mark` in place of its middle, so that it has at most `room` tokens."""
        kept = text
        for _ in range(_SHORTENINGS):
            length = await self.count(kept)
            if length <= room:
                return kept
            # A little less than in proportion, since tokens are not spread evenly over the text.
            chars = max(0, int((len(kept) - len(mark)) * room / length * 0.95) - len(mark))
            kept = text[: chars // 2] + mark + text[len(text) - (chars - chars // 2) :]
        return kept if await self.count(kept) <= room else ""

    @property
    def most_length(self) -> int:
        """An upper bound on all its tokens, known without asking the server."""
        if self.buffer.tokens is not None:
            return self.buffer.tokens + most_tokens(self.buffer.untokenized)
        return most_tokens(self._prompt) + self._inserted + self.tokens

    async def length(self) -> int:
        """Tokens of all that has been written, the prompt included."""
        if self.buffer.tokens is not None:
            return self.buffer.tokens + await self.count(self.buffer.untokenized)
        counted = await self._engine.count_tokens(self._prompt + self.text)
        if counted is not None:
            self._count(max(counted, self.tokens))  # a recorded sample may have no text
            return self._counted[0]
        length, tokens, inserted = self._counted
        return length + self.tokens - tokens + self._inserted - inserted

    @property
    def _inserted(self) -> int:
        """An upper bound on the tokens of all insertions."""
        return sum(most_tokens(turn.inserted) for turn in self.turns)

    def _count(self, length: int) -> None:
        """Note that all of it has so many tokens now."""
        self._counted = (length, self.tokens, self._inserted)


def most_tokens(text: str) -> int:
    """An upper bound on a text's tokens: one a byte, as tokenizers make of digits between commas."""
    return len(text.encode("utf-8", "replace"))
