"""An engine with a tokenizer and a context, which refuses what vLLM refuses."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.errors import ContextExceededError, RequestRefusedError

_TOKEN = re.compile(r"[0-9, \n]|[^0-9, \n]{1,4}")


class Tells(StrEnum):
    """What a server tells of its tokens."""

    IDS = "ids"
    COUNTS = "counts"
    NOTHING = "nothing"


@dataclass
class RefusingEngine:
    """Replies `reply(prompt)`; digits, commas and spaces are a token each, as for QwQ, other text one for 4 characters.

    `names_context` says whether a refusal names the context, `lists_context` whether it is known beforehand.
    """

    reply: Callable[[str], str]
    context: int
    tells: Tells = Tells.IDS
    lists_context: bool = True
    names_context: bool = True
    refusals: int = 0
    learned: int | None = None
    longest: int = 0
    _vocabulary: list[str] = field(default_factory=list)
    _ids: dict[str, int] = field(default_factory=dict)

    async def ready(self) -> None:
        pass

    async def warm(self, prompt: str) -> None:
        pass

    def release(self, prompt: str) -> None:
        pass

    async def close(self) -> None:
        pass

    @property
    def context_tokens(self) -> int | None:
        return self.context if self.lists_context else self.learned

    async def tokenize(self, text: str) -> list[int] | None:
        return self.encode(text) if self.tells is Tells.IDS else None

    async def count_tokens(self, text: str) -> int | None:
        return None if self.tells is Tells.NOTHING else len(self.encode(text))

    def encode(self, text: str) -> list[int]:
        ids = []
        for piece in _TOKEN.findall(text):
            if piece not in self._ids:
                self._ids[piece] = len(self._vocabulary)
                self._vocabulary.append(piece)
            ids.append(self._ids[piece])
        return ids

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        ids = self.encode(prompt) if isinstance(prompt, str) else list(prompt)
        if params.max_tokens < 1 or not ids:
            raise RequestRefusedError(f"max_tokens must be at least 1, got {params.max_tokens}")
        self.longest = max(self.longest, len(ids) + params.max_tokens)
        if len(ids) + params.max_tokens > self.context:
            self.refusals += 1
            named = self.context if self.names_context else None
            self.learned = named
            raise ContextExceededError("This model's maximum context length is exceeded.", context_tokens=named)
        text = self.reply("".join(self._vocabulary[token] for token in ids))
        written = self.encode(text)
        for number, token in enumerate(written[: params.max_tokens]):
            piece = self._vocabulary[token]
            if self.tells is not Tells.IDS:
                yield Chunk(piece, 1)
            else:
                first = tuple(ids) if number == 0 else ()
                yield Chunk(piece, 1, token_ids=(token,), aligned=True, prompt_ids=first)
            if any(stop in piece for stop in params.stop):
                break
        yield Chunk("", 0, "length" if len(written) > params.max_tokens else "stop", prompt_tokens=len(ids))
