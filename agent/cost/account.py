"""What one sample may spend and has spent: every request of it is counted here, however it ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from agent.cost.ledger import CostLedger
from agent.engine.base import Chunk
from agent.errors import ContextExceededError, EngineUnavailableError, RequestRefusedError
from agent.types import Usage

# What a server answers with one of these before a token came is not billed.
_NOT_SERVED = (ContextExceededError, EngineUnavailableError, RequestRefusedError)
_BYTES_PER_TOKEN = 3  # the fewest, in text whose pieces have an unknown length


class Account:
    """The money of one sample.

    `charged` is called with the cost of each request that has ended.
    """

    def __init__(self, ledger: CostLedger, reserved: float, charged: Callable[[float], None]) -> None:
        """`reserved` has been taken from the ledger."""
        self._ledger = ledger
        ledger.open_accounts += 1
        self._left = reserved  # for requests that are not sent yet
        self._charged = charged
        self._usage = Usage(0, 0, 0, 0, 0, 0.0, ledger.price.currency)

    def room(self, length: int) -> float:
        """Tokens that a request with so many in its prompt may generate, so that a forced answer is still paid for."""
        price = self._ledger.price
        each = price.most(1, 1)  # a token that is generated is in the prompt of the forced answer too
        left = self._left + self._ledger.free
        return (left - price.most(length, 0) - self._ledger.forced_answer(length)) / each

    def reserve(self, length: int, tokens: int, *, answer: bool = True) -> bool:
        """Keep money for a request of so many tokens, with a forced `answer` after it; returns whether it is there."""
        needed = self._ledger.price.most(length, tokens)
        if answer:
            needed += self._ledger.forced_answer(length + tokens)
        more = needed - self._left
        if more > 0:
            if not self._ledger.take(more):
                return False
            self._left += more
        return True

    async def stream(
        self, chunks: AsyncGenerator[Chunk, None], length: int, max_tokens: int
    ) -> AsyncGenerator[Chunk, None]:
        """Pass on the stream of a request with at most `length` tokens in its prompt, and charge what it costs.

        A server that refused it or was not there costs nothing. Where the server does not tell the tokens of the
        prompt, as of a stream that is closed early, they are taken to be `length`.
        """
        most = self._ledger.price.most(length, max_tokens)
        self._left -= most
        meter = _Meter(length, max_tokens)
        served = True
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    meter.add(chunk)
                    yield chunk
        except _NOT_SERVED:
            served = meter.begun
            raise
        finally:
            self._left += most
            if served:
                self._charge(meter)

    def close(self) -> Usage:
        """Give back what is left over; returns what the sample has used. To be called once."""
        self._ledger.reserved -= self._left
        self._left = 0.0
        self._ledger.open_accounts -= 1
        self._ledger.dearest = max(self._ledger.dearest, self._usage.cost)
        return self._usage

    def _charge(self, meter: _Meter) -> None:
        cost = self._ledger.price.cost(meter.prompt_tokens, meter.cached_tokens, meter.generated)
        before = self._usage
        self._usage = Usage(
            before.requests + 1,
            before.unreported + (not meter.reported),
            before.prompt_tokens + meter.prompt_tokens,
            before.cached_tokens + meter.cached_tokens,
            before.tokens + meter.generated,
            before.cost + cost,
            before.currency,
        )
        paid = min(cost, self._left)  # a server may have generated more than it was asked for
        self._left -= paid
        self._ledger.reserved -= paid
        self._ledger.spent += cost
        self._charged(cost)


class _Meter:
    """The tokens of one request, as far as its server has told them."""

    def __init__(self, length: int, max_tokens: int) -> None:
        self._max_tokens = max_tokens
        self.prompt_tokens = length
        self.cached_tokens = 0
        self.reported = False
        self.begun = False
        self._tokens = 0
        self._bytes = 0
        self._counted = False  # whether the server told token ids

    def add(self, chunk: Chunk) -> None:
        """Count a chunk."""
        self.begun = True
        self._tokens += chunk.tokens
        self._bytes += len(chunk.text.encode("utf-8", "replace"))
        self._counted = self._counted or bool(chunk.token_ids)
        if chunk.prompt_ids and not self.reported:
            self.prompt_tokens = len(chunk.prompt_ids)
        if chunk.prompt_tokens is not None:
            self.reported = True
            self.prompt_tokens, self.cached_tokens = chunk.prompt_tokens, chunk.cached_tokens or 0

    @property
    def generated(self) -> int:
        """The tokens generated; an estimate where the server told neither their number nor their ids."""
        if self.reported or self._counted:
            return self._tokens
        return max(self._tokens, min(-(-self._bytes // _BYTES_PER_TOKEN), self._max_tokens))
