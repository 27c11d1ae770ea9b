"""What a request costs, at the prices of a million tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.policy.token_prices import PriceConfig

amounts = st.floats(0, 1e3)
counts = st.integers(0, 10**6)


def test_a_model_has_a_price_if_one_kind_of_token_has_however_small_it_is() -> None:
    assert PriceConfig(input_per_million=0.04).known and PriceConfig(output_per_million=0.04).known
    assert not PriceConfig(cached_input_per_million=0.04).known and not PriceConfig().known


@given(amounts, amounts, counts, counts, counts)
def test_cached_tokens_without_a_price_of_their_own_cost_as_much_as_others(
    input_price: float, output_price: float, prompt: int, cached: int, generated: int
) -> None:
    price = PriceConfig(input_per_million=input_price, output_per_million=output_price)
    whole = price.cost(prompt, 0, generated)
    assert price.cost(prompt, cached, generated) == pytest.approx(whole)
    assert price.cost(prompt, prompt + cached, generated) == pytest.approx(whole), "no more is cached than there is"


@given(amounts, amounts, amounts, counts, counts)
def test_the_most_that_a_request_costs_is_what_it_costs_with_nothing_or_all_of_its_prompt_cached(
    input_price: float, cached_price: float, output_price: float, prompt: int, generated: int
) -> None:
    price = PriceConfig(
        input_per_million=input_price, cached_input_per_million=cached_price, output_per_million=output_price
    )
    assert price.most(prompt, generated) in [price.cost(prompt, cached, generated) for cached in (0, prompt)]
