"""How much of a slow test `make quick` runs: fewer examples of a property, and the first cases of a kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hypothesis
import pytest
from _pytest.mark import ParameterSet

_USUAL = 100  # what the counts below are measured against: hypothesis's own default


def examples(count: int, **keys: Any) -> hypothesis.settings:
    """Settings of a property that needs more or fewer examples than others: each tier draws its share of them.

    Further `keys` are those of hypothesis. The default of the tier that runs is read here, so tests decorate with this
    while they are collected.
    """
    share = hypothesis.settings().max_examples / _USUAL
    return hypothesis.settings(max_examples=max(1, round(count * share)), **keys)


def quick_cases(count: int, cases: Sequence[object]) -> list[object | ParameterSet]:
    """Cases of a test that takes long for each, of which `make quick` runs the first `count` alone."""
    if count < 1:
        raise ValueError("the quick tier runs at least one case of a kind")
    return [*cases[:count], *(pytest.param(case, marks=pytest.mark.further) for case in cases[count:])]
