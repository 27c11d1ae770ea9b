"""Speed that is learnt from a run's own problems."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.hardware.roofline import HARDWARE, Hardware
from agent.policy.planning.speed import DecodingSpeed, TimedLanes, learnt_speed

speeds = st.builds(DecodingSpeed, st.floats(1e-3, 1), st.floats(0, 1), st.floats(0, 2))
LENGTHS = (3_000, 5_000, 8_000, 12_000, 20_000)


def measured(hardware: Hardware, lanes: tuple[int, ...]) -> list[TimedLanes]:
    """What first votes after usual lengths tell, with so many lanes in turn."""
    return [
        TimedLanes(lanes[place % len(lanes)], tokens, hardware.seconds(tokens, lanes[place % len(lanes)]))
        for place, tokens in enumerate(LENGTHS * 2)
    ]


@given(speeds, st.integers(1, 64), st.integers(1, 400))
def test_the_seconds_are_the_sum_of_steps_whose_contexts_grow(speed: DecodingSpeed, lanes: int, tokens: int) -> None:
    steps = (
        speed.first * (1 + speed.load * (lanes - 1) + speed.crowding * lanes * (step + 0.5) / 160_000)
        for step in range(tokens)
    )
    assert speed.seconds(tokens, lanes) == pytest.approx(sum(steps))


@pytest.mark.parametrize("name", ["kaggle-l4x4", "kaggle-h100", "h200", "constant"])
def test_a_gpu_is_learnt_from_first_votes_of_changing_lanes(name: str) -> None:
    hardware = HARDWARE[name]
    speed = learnt_speed(measured(hardware, (16, 10, 6, 4)))
    for lanes in (4, 8, 16):
        for tokens in (4_000, 15_000):
            assert speed.seconds(tokens, lanes) == pytest.approx(hardware.seconds(tokens, lanes), rel=0.15)


def test_cores_that_share_their_arithmetic_are_learnt_where_the_lanes_change() -> None:
    hardware = HARDWARE["two-cores"]
    speed = learnt_speed(measured(hardware, (8, 4, 6)))
    assert speed.seconds(300, 8) / speed.seconds(300, 4) == pytest.approx(2, rel=0.2)


def test_lanes_that_slow_each_other_down_by_nothing_cost_nothing() -> None:
    speed = learnt_speed(measured(HARDWARE["constant"], (16,)))
    assert speed.seconds(10_000, 16) < 1.05 * speed.seconds(10_000, 2)


@given(st.integers(1, 64), st.floats(1, 1e5), st.floats(1e-3, 1e6))
def test_one_measurement_is_met_by_what_is_learnt_of_it(lanes: int, tokens: float, seconds: float) -> None:
    speed = learnt_speed([TimedLanes(lanes, tokens, seconds)])
    assert speed.seconds(tokens, lanes) == pytest.approx(seconds)
    assert math.isfinite(speed.first)
    assert speed.first > 0
