"""The interface between the agent and a source of tokens."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import NamedTuple, Protocol

Prompt = str | Sequence[int]
"""A prompt as text or as token ids."""

OnEvent = Callable[[str], None]
"""Called with a one-line description when something happens to an engine."""


class SamplingParams(NamedTuple):
    """Sampling parameters, with the names and meanings of the OpenAI and vLLM protocols."""

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0  # 0: no cut
    min_p: float = 0.0
    presence_penalty: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    control_tokens: tuple[str, ...] = ()  # that must show in the text, where a server can be told which
    answer_head: str = "\n\n"  # what the model writes between thinking and answer, for servers that send them apart
    thinking_tokens: int | None = None  # a server that can may end the thinking there; do not rely on it
    forces_answer: bool = False  # the prompt ends with the box of a forced answer, behind whose close nothing is read


class Chunk(NamedTuple):
    """A piece of the stream: its text and the number of its tokens.

    `finish` is set once, when generation ends by itself: "stop" (the model's turn is over), "length" or "repetition"
    (the server detected an endless loop). A last chunk without text may correct the token count.

    Servers that report token ids fill `token_ids` and `logprobs` (natural logarithms, one for each token); `aligned`
    says that `text` is exactly the decoded tokens (a chunk may end inside a character, whose text comes later). The
    first chunk then has the prompt's ids. The last one has the number of tokens of the prompt, and how many of them
    were in the server's prefix cache, if it reports that.
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

        Raises EngineUnavailableError if it does not serve now, RequestRefusedError if waiting cannot help.
        """

    async def warm(self, prompt: str) -> None:
        """Prefill a prompt that will be continued many times. An optimization; does nothing where it cannot help."""

    def release(self, prompt: str) -> None:
        """Free what is cached for a prompt that will not be continued any more."""

    def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        """Continue the prompt. Closing the generator aborts the request on the server.

        Raises one of the four kinds of EngineError, with the text received so far.
        """

    async def tokenize(self, text: str) -> list[int] | None:
        """Return the token ids of a text that continues others; None where prompts are better given as text."""

    async def count_tokens(self, text: str) -> int | None:
        """Count the tokens of a text with the server's own tokenizer; None where the server cannot."""

    @property
    def context_tokens(self) -> int | None:
        """The context length, in tokens of prompt and reply together, as reported by the server; None if unknown."""

    async def close(self) -> None:
        """Free the engine's resources and end its server if it is ours. Idempotent."""
