"""A double of a server that reports token ids, or none, and cuts its streams anywhere."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from agent.engine.base import Chunk, Prompt, SamplingParams
from tests.support.doubles import ScriptedEngine
from tests.support.texts.loops import cut

_TOKEN = re.compile(r"<\|\w+\|>|<\uff5c[^\uff5c]*\uff5c>|</?(?:think|tool_call|tool_response)>|.", re.DOTALL)


@dataclass
class TokenEngine(ScriptedEngine):
    """Streams the reply to a prompt's text; a control token is one token, and so is any other character.

    With `ids` each chunk is whole tokens, and prompts may be ids; without, it is characters. `lengths` are those of the
    chunks. `leaves_out` is what ends a reply and is left out of its text, as some servers do.
    """

    ids: bool = True
    lengths: list[int] = field(default_factory=lambda: [5])
    leaves_out: tuple[str, ...] = ()
    _known: dict[str, int] = field(default_factory=dict)

    def tokens_of(self, text: str) -> list[int]:
        return [self._known.setdefault(token, len(self._known)) for token in _TOKEN.findall(text)]

    def text_of(self, prompt: Prompt) -> str:
        spelled = list(self._known)
        return prompt if isinstance(prompt, str) else "".join(spelled[token] for token in prompt)

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        written = self.text_of(prompt)
        self.prompts.append(written)
        reply = self.reply(written, params)
        for mark in self.leaves_out:
            reply = reply.removesuffix(mark)
        cuts = [Chunk(piece, 1) for piece in cut(reply, self.lengths)]
        for chunk in self._in_tokens(written, reply) if self.ids else cuts:
            yield chunk
        yield Chunk("", 0, "stop")

    def _in_tokens(self, prompt: str, reply: str) -> list[Chunk]:
        tokens = _TOKEN.findall(reply)
        chunks: list[Chunk] = []
        start = 0
        while start < len(tokens):
            piece = tokens[start : start + self.lengths[len(chunks) % len(self.lengths)]]
            start += len(piece)
            ids = tuple(self.tokens_of("".join(piece)))
            first = () if chunks else tuple(self.tokens_of(prompt))
            chunks.append(Chunk("".join(piece), len(ids), token_ids=ids, aligned=True, prompt_ids=first))
        return chunks

    async def tokenize(self, text: str) -> list[int] | None:
        return self.tokens_of(text) if self.ids else None

    async def count_tokens(self, text: str) -> int | None:
        return len(self.tokens_of(text)) if self.ids else None


def by_rounds(replies: list[str], result: str) -> Callable[[str, SamplingParams], str]:
    """Reply n follows n results in the prompt, each of which has the mark `result`; "42}" is the forced answer."""

    def reply(prompt: str, params: SamplingParams) -> str:
        return "42}" if params.forces_answer else replies[min(prompt.count(result), len(replies) - 1)]

    return reply
