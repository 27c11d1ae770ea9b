"""Every kind of long text that a solution may have, and mixtures of them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.support.texts.long_arguments import (
    continued_fraction,
    coordinates,
    dice,
    digit_sums,
    edges,
    euclid,
    games,
    induction,
    inversions,
    knights,
    long_division,
    nested_cases,
    polynomials,
    powers,
    recurrence,
    residues,
)
from tests.support.texts.long_lists import (
    binary,
    code_shown_twice,
    coins,
    constant_phrase,
    discriminants,
    divisible,
    fractions,
    functions,
    latex_table,
    matrices,
    output,
    search,
    series,
    table,
    truth_table,
    two_numbers_far_apart,
)

KINDS = (
    *(table, divisible, search, discriminants, constant_phrase, two_numbers_far_apart, coins, truth_table, knights),
    *(binary, matrices, latex_table, fractions, functions, code_shown_twice, output, series, powers, residues, dice),
    *(nested_cases, edges, games, long_division, euclid, continued_fraction, polynomials, coordinates, inversions),
    *(recurrence, induction, digit_sums),
)
TEXTS_OF_A_KIND = 32


def solution(kind: Callable[[Random], str], seed: int) -> str:
    """A text of that kind, cut somewhere, and the start of another."""
    rng = Random(f"{kind.__name__} {seed}")
    return f"{kind(rng)[: rng.randint(2_500, 4_500)]}\n{rng.choice(KINDS)(rng)[:800]}"
