"""The speed that is expected of known hardware, and by the check of a model, before a run has measured any."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import load_config
from agent.hardware.detect import Gpu
from agent.hardware.expected_speed import expected_speed, roofline_speed, speed_of_steps
from agent.hardware.roofline import HARDWARE
from agent.policy.planning.speed import DecodingSpeed
from agent.types import Learnt
from tests.support.tiers.cases import examples

H100, L4 = Gpu("NVIDIA H100 80GB HBM3", 80 << 30), Gpu("NVIDIA L4", 23 << 30)
speeds = st.builds(DecodingSpeed, st.floats(1e-3, 1), st.floats(0, 1), st.floats(0, 2))
checks = st.lists(
    st.builds(Learnt, st.integers(1, 8), st.integers(200, 4_000), st.floats(0.1, 900), st.just(True)),
    min_size=1,
    max_size=3,
)


@examples(30)
@given(st.sampled_from(["kaggle-l4x4", "kaggle-h100", "h200"]), st.integers(1, 16), st.floats(1, 20_000))
def test_the_speed_of_a_gpu_is_that_of_its_steps(name: str, lanes: int, tokens: float) -> None:
    hardware = HARDWARE[name]
    speed = speed_of_steps(lambda lanes, contexts: hardware.step_seconds(lanes, contexts)[0])
    assert speed.seconds(tokens, lanes) == pytest.approx(hardware.seconds(tokens, lanes))


def test_lanes_that_share_their_arithmetic_slow_each_other_down() -> None:
    hardware = HARDWARE["two-cores"]
    speed = speed_of_steps(lambda lanes, contexts: hardware.step_seconds(lanes, contexts)[0])
    assert speed.seconds(300, 16) == pytest.approx(hardware.seconds(300, 16), rel=0.02)


@pytest.mark.parametrize("name", ["kaggle-h100", "h200"])
def test_a_profile_tells_the_roofline_that_a_replay_has_for_it(name: str) -> None:
    speed = roofline_speed(load_config(name), ())
    assert speed is not None
    assert speed.seconds(9_000, 8) == pytest.approx(HARDWARE[name].seconds(9_000, 8), rel=0.01)


def test_lanes_that_choose_other_experts_slow_each_other_down() -> None:
    speed = roofline_speed(load_config("rtx6000-qwen3"), ())
    assert speed is not None and 0.1 < speed.load < 1


def test_the_slowest_gpu_that_is_used_is_the_one_that_counts() -> None:
    one, four = load_config("kaggle-h100"), load_config("kaggle-l4x4")
    assert roofline_speed(one, [H100, L4]) == roofline_speed(one, ())
    on_an_l4 = roofline_speed(one, [L4])
    assert on_an_l4 is not None and on_an_l4.seconds(9_000, 8) > 9 * HARDWARE["kaggle-h100"].seconds(9_000, 8)
    assert roofline_speed(four, [H100, H100, L4, H100]) == roofline_speed(four, ())


@pytest.mark.parametrize(
    ("profile", "keys", "gpus"),
    [
        ("cpu", {}, []),
        ("hosted", {"engine.model": "Qwen/QwQ-32B", "engine.url": "http://localhost:1/v1"}, [H100]),
        ("vllm", {"engine.model": "Qwen/QwQ-32B"}, []),
        ("vllm-cpu", {}, []),
        ("kaggle-h100", {"engine.model": "someone/unheard-of"}, [H100]),
        ("kaggle-h100", {}, [Gpu("NVIDIA Something New", 80 << 30)]),
    ],
)
def test_nothing_is_expected_of_an_unknown_model_gpu_or_engine(
    profile: str, keys: dict[str, str], gpus: list[Gpu]
) -> None:
    assert roofline_speed(load_config(profile, keys), gpus) is None


@given(speeds, checks)
def test_a_check_is_met_and_contexts_grow_as_on_the_roofline(roofline: DecodingSpeed, learnt: list[Learnt]) -> None:
    known = expected_speed(roofline, learnt)
    assert known is not None and (known.load, known.crowding) == (roofline.load, roofline.crowding)
    wrong_by = [math.log(known.seconds(each.tokens, each.lanes) / (each.seconds or 0)) for each in learnt]
    assert math.fsum(wrong_by) == pytest.approx(0, abs=1e-6)
    alone = expected_speed(None, learnt[:1])
    assert alone is not None and alone.seconds(learnt[0].tokens, learnt[0].lanes) == pytest.approx(learnt[0].seconds)


def test_what_a_check_took_for_a_few_tokens_or_while_the_engine_was_down_is_no_speed() -> None:
    roofline = DecodingSpeed(0.02, 0.0, 1.0)
    useless = [Learnt(4, 199, 30.0, voted=True), Learnt(4, 900, None, voted=True)]
    assert expected_speed(roofline, useless) == expected_speed(roofline, ()) == roofline
    assert expected_speed(None, useless) is None
    useful = Learnt(4, 900, 30.0, voted=True)
    assert expected_speed(None, [*useless, useful]) == expected_speed(None, [useful])
