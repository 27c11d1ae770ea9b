"""The interface between the agent and whatever generates tokens."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

Prompt = str | Sequence[int]
"""A prompt as text or as token ids."""


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How to draw tokens; the names and meanings are those of the OpenAI and vLLM protocols."""

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0  # 0: no cut
    min_p: float = 0.0
    presence_penalty: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    thinking_tokens: int | None = None  # the server may close the thinking there, if it can; not to be relied on


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of the stream: its text and how many tokens it counts for.

    `finish` is set once, when generation ended by itself: "stop" (the model's turn is over), "length" or "repetition"
    (the server saw an endless loop). A last chunk without text may correct the count of tokens.

    Servers that tell token ids fill `token_ids` and `logprobs` (natural logarithms, one for each token); `aligned`
    says that `text` is exactly what these tokens spell (a piece may end inside a character, whose text comes later).
    The first chunk then has the prompt's ids. The last one has the tokens of the prompt and how many of them were
    in the server's cache, where it says so.
    """

    text: str
    tokens: int
    finish: str | None = None
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    aligned: bool = False
    prompt_ids: tuple[int, ...] = ()
    prompt_tokens: int | None = None
    cached_tokens: int | None = None


class Engine(Protocol):
    """A source of tokens. All methods are called on one event loop."""

    async def ready(self) -> None:
        """Return once prompts can be served, restarting the server if it is ours and has died.

        Raises EngineUnavailableError if it does not serve now, RequestRefusedError if it never will as things are.
        """

    async def warm(self, prompt: str) -> None:
        """Prepare for many continuations of one prompt. Only saves time: does nothing where it cannot help."""

    def release(self, prompt: str) -> None:
        """Nothing will continue this prompt any more: what is kept for that may go."""

    def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        """Continue the prompt. Closing the generator makes the server stop computing.

        Raises one of the four kinds of EngineError, with the text received so far.
        """

    async def tokenize(self, text: str) -> list[int] | None:
        """The ids of a text that goes on from others; None where prompts are better given as text."""

    async def count_tokens(self, text: str) -> int | None:
        """How many tokens a text is, by the server's own tokenizer; None where the server does not tell."""

    @property
    def context_tokens(self) -> int | None:
        """Tokens that a prompt and its reply may have together, as the server has told; None where it has not."""

    async def close(self) -> None:
        """Free what the engine holds and end its server if it is ours. May be called twice."""
