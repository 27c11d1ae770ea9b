"""What tokens cost: the table of the configuration with the prices of a hosted model."""

from __future__ import annotations

from pydantic import Field

from agent.files.section import Section

NO_PRICE = (
    "budget.max_cost (--max-cost) needs prices: give --price INPUT,OUTPUT for a million tokens, or set "
    "price.input_per_million and price.output_per_million"
)
"""Why a limit on the cost alone is refused."""

_MILLION = 1e6


class PriceConfig(Section):
    """Prices of a million tokens, in `currency`; where neither of input and output has one, no cost is counted.

    Tokens of a prompt that the server reports as cached cost `cached_input_per_million`, or as all others if that is 0.
    """

    input_per_million: float = Field(0.0, ge=0)
    cached_input_per_million: float = Field(0.0, ge=0)
    output_per_million: float = Field(0.0, ge=0)
    currency: str = Field("USD", pattern=r"^\w{1,8}$")

    @property
    def known(self) -> bool:
        """Whether there is a price."""
        return self.input_per_million > 0 or self.output_per_million > 0

    def cost(self, prompt: float, cached: float, generated: float) -> float:
        """What a request costs: tokens of its prompt, those of them that were cached, tokens generated."""
        cached = min(cached, prompt)
        fresh = (prompt - cached) * self.input_per_million
        return (fresh + cached * self._cached_per_million + generated * self.output_per_million) / _MILLION

    def most(self, prompt: float, generated: float) -> float:
        """The most that a request of so many tokens can cost, whatever of its prompt is cached."""
        return max(self.cost(prompt, 0, generated), self.cost(prompt, prompt, generated))

    @property
    def _cached_per_million(self) -> float:
        return self.cached_input_per_million or self.input_per_million
