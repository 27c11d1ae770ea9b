"""Mean log-probabilities of a sample and of its tail."""

from __future__ import annotations

import math
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.lane.logprobs import TAIL_TOKENS, LogprobMeter

LOGPROBS = st.lists(st.floats(-20, 0), min_size=1, max_size=700)


@given(LOGPROBS, st.integers(1, 50))
def test_means_do_not_depend_on_the_pieces(values: list[float], size: int) -> None:
    meter = LogprobMeter()
    for start in range(0, len(values), size):
        meter.feed(values[start : start + size])
    assert meter.mean == pytest.approx(fmean(values), abs=1e-9)
    assert meter.tail_mean == pytest.approx(fmean(values[-TAIL_TOKENS:]), abs=1e-9)


def test_nothing_reported_is_nothing_known() -> None:
    meter = LogprobMeter()
    meter.feed(())
    assert meter.mean is None and meter.tail_mean is None


def test_a_late_doubt_shows_in_the_tail() -> None:
    meter = LogprobMeter()
    meter.feed([math.log(0.99)] * 5_000)
    meter.feed([math.log(0.2)] * TAIL_TOKENS)
    assert meter.mean is not None and meter.mean > -0.1
    assert meter.tail_mean == pytest.approx(math.log(0.2))
