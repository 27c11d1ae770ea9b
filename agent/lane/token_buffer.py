"""The token ids of a text that a server continues, cut exactly where the text is cut.

A prompt that goes back as the ids the server itself has used is continued exactly, and its prefix is found in the
server's cache; the same text tokenized anew may differ where tokens met.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from agent.engine.base import Chunk, Prompt

Tokenize = Callable[[str], Awaitable[list[int] | None]]


class TokenTrail:
    """Ids of all that has been written so far, and the end of the text for which there are none yet.

    As long as the server tells no ids, prompts are text.
    """

    def __init__(self) -> None:
        self._ids: list[int] | None = None
        self._loose = ""  # text behind the ids
        self._segments: list[tuple[str, tuple[int, ...]]] = []  # texts of the running stream, each with its ids
        self._unaligned = ""  # text of the stream behind the segments
        self._unaligned_ids: tuple[int, ...] = ()

    async def prompt(self, text: str, tokenize: Tokenize) -> Prompt:
        """What to send for the whole `text`: ids if all of it can be had as such, else the text itself."""
        if self._ids is not None and self._loose:
            more = await tokenize(self._loose)
            if more is None:  # for now: the next stream tells the ids of its whole prompt
                return text
            self._ids += more
            self._loose = ""
        return text if self._ids is None else list(self._ids)

    async def peek(self, text: str, more: str, tokenize: Tokenize) -> Prompt:
        """The prompt for the whole `text` with `more` behind it, while a stream runs."""
        if self._ids is None:
            return text + more
        spelled = [token for _, ids in self._segments for token in ids]
        rest = await tokenize(self._loose + self._unaligned + more)
        return text + more if rest is None else [*self._ids, *spelled, *rest]

    @property
    def tokens(self) -> int | None:
        """Number of ids so far; None where there are none."""
        return None if self._ids is None else len(self._ids)

    @property
    def loose(self) -> str:
        """The text at the end that has no ids yet."""
        return self._loose

    def add(self, chunk: Chunk) -> None:
        """Take the next chunk of the stream; the first one brings the ids of its prompt."""
        if chunk.prompt_ids:
            self._ids, self._loose = list(chunk.prompt_ids), ""
        if chunk.aligned:
            if self._unaligned_ids:  # what came before has been spelled out by now
                self._segments.append((self._unaligned, self._unaligned_ids))
                self._unaligned, self._unaligned_ids = "", ()
            self._segments.append((chunk.text, chunk.token_ids))
        else:
            self._unaligned += chunk.text
            self._unaligned_ids += chunk.token_ids

    def end(self, dropped: int) -> None:
        """The stream has ended, and the last `dropped` characters of it are not wanted.

        Tokens are kept up to the last that lies wholly before the cut. What is behind them has no ids yet; so have the
        tokens that spell nothing, such as the end of the model's turn.
        """
        keep = sum(len(text) for text, _ in self._segments) + len(self._unaligned) - dropped
        tail = ""
        for text, ids in self._segments:
            if keep >= len(text) and not tail and self._ids is not None:
                self._ids.extend(ids)
            else:
                tail += text[:keep]
            keep -= min(keep, len(text))
        self._loose += tail + self._unaligned[:keep]
        self._segments, self._unaligned, self._unaligned_ids = [], "", ()

    def append(self, text: str) -> None:
        """Text that the agent has written behind the stream."""
        self._loose += text
