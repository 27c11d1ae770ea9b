"""Token in, token out: the ids of a text that a server continues, cut exactly where the text is cut.

A prompt that goes back as the ids that the server itself reported is continued exactly, and its prefix is found in the
server's cache; the same text tokenized anew may differ where tokens meet.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from agent.engine.base import Chunk, Prompt

Tokenize = Callable[[str], Awaitable[list[int] | None]]


class TokenBuffer:
    """The ids of all that has been written so far, and the text after them that is not tokenized yet.

    As long as the server reports no ids, prompts are text.
    """

    def __init__(self) -> None:
        self._ids: list[int] | None = None
        self._untokenized = ""  # text after the ids
        self._segments: list[tuple[str, tuple[int, ...]]] = []  # texts of the running stream, each with its ids
        self._unaligned = ""  # text of the stream after the segments
        self._unaligned_ids: tuple[int, ...] = ()

    async def prompt(self, text: str, tokenize: Tokenize) -> Prompt:
        """What to send for the whole `text`: ids if all of it can be had as such, else the text itself."""
        if self._ids is not None and self._untokenized:
            more = await tokenize(self._untokenized)
            if more is None:  # for now: the next stream reports the ids of its whole prompt
                return text
            self._ids += more
            self._untokenized = ""
        return text if self._ids is None else list(self._ids)

    async def peek(self, text: str, more: str, tokenize: Tokenize) -> Prompt:
        """The prompt for the whole `text` with `more` after it, while a stream runs."""
        if self._ids is None:
            return text + more
        streamed = [token for _, ids in self._segments for token in ids]
        rest = await tokenize(self._untokenized + self._unaligned + more)
        return text + more if rest is None else [*self._ids, *streamed, *rest]

    @property
    def tokens(self) -> int | None:
        """Number of ids so far; None where there are none."""
        return None if self._ids is None else len(self._ids)

    @property
    def untokenized(self) -> str:
        """The text at the end that has no ids yet."""
        return self._untokenized

    def add(self, chunk: Chunk) -> None:
        """Take the next chunk of the stream; the first one brings the ids of its prompt."""
        if chunk.prompt_ids:
            self._ids, self._untokenized = list(chunk.prompt_ids), ""
        if chunk.aligned:
            if self._unaligned_ids:  # the text of what came before is complete by now
                self._segments.append((self._unaligned, self._unaligned_ids))
                self._unaligned, self._unaligned_ids = "", ()
            self._segments.append((chunk.text, chunk.token_ids))
        else:
            self._unaligned += chunk.text
            self._unaligned_ids += chunk.token_ids

    def end(self, dropped: int) -> None:
        """End the stream, of which the last `dropped` characters are not wanted.

        Tokens are kept up to the last one that lies wholly before the cut. The text after them is untokenized, and
        tokens without text, such as the end of the model's turn, come unaligned and are dropped.
        """
        keep = sum(len(text) for text, _ in self._segments) + len(self._unaligned) - dropped
        tail = ""
        for text, ids in self._segments:
            if keep >= len(text) and not tail and self._ids is not None:
                self._ids.extend(ids)
            else:
                tail += text[:keep]
            keep -= min(keep, len(text))
        self._untokenized += tail + self._unaligned[:keep]
        self._segments, self._unaligned, self._unaligned_ids = [], "", ()

    def append(self, text: str) -> None:
        """Take text that the agent has written after the stream."""
        self._untokenized += text
