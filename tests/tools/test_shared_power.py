"""The number of problems that a comparison needs is the one at which it sees the difference as often as it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.shared.intervals import Floats
from tools.shared.power import POWER, Power, paired_power, sampling_noise

RNG_SEED = 5
DIFFERENCE = 0.1


def shares(rng: np.random.Generator, runs: int, problems: int, samples: int) -> tuple[Floats, Floats]:
    """The shares of right samples of two models in repeated comparisons, with a mean true difference of 0.1."""
    first = rng.beta(1.2, 1.2, (runs, problems)) * 0.8
    second = first + DIFFERENCE + rng.normal(0, 0.05, first.shape).clip(-0.1, 0.1)
    return rng.binomial(samples, first) / samples, rng.binomial(samples, second) / samples


def seen(first: Floats, second: Floats) -> float:
    """How often the 95% interval of the mean paired difference lies above 0."""
    differences = second - first
    error = differences.std(axis=1, ddof=1) / np.sqrt(differences.shape[1])
    return float(np.mean(differences.mean(axis=1) > 1.96 * error))


def pilot(rng: np.random.Generator, samples: int) -> Power:
    """The power of a comparison over very many problems, so that its variances are known well."""
    first, second = shares(rng, 1, 20_000, samples)
    counts = [[(round(share * samples), samples) for share in each[0]] for each in (first, second)]
    noise = sum(each for one in counts if (each := sampling_noise(one)) is not None)
    power = paired_power(list(second[0] - first[0]), noise if samples > 1 else None)
    assert power is not None
    return power


@pytest.mark.parametrize("samples", [1, 4, 16])
def test_so_many_problems_show_the_difference_as_often_as_it_is_said(samples: int) -> None:
    rng = np.random.default_rng(RNG_SEED)
    needed = pilot(rng, samples).problems_for(DIFFERENCE)
    assert seen(*shares(rng, 4_000, needed, samples)) == pytest.approx(POWER, abs=0.03)


def test_so_many_times_the_samples_show_it_with_the_same_problems() -> None:
    rng = np.random.default_rng(RNG_SEED)
    known = pilot(rng, 4)
    problems = known.problems_for(DIFFERENCE) // 2
    times = Power(problems, known.spread, known.noise).samples_for(DIFFERENCE)
    assert times is not None and times > 1
    samples = round(4 * times)
    assert seen(*shares(rng, 4_000, problems, samples)) == pytest.approx(POWER, abs=0.05)


def test_samples_do_not_help_where_the_problems_themselves_differ() -> None:
    assert Power(10, 0.3, 0.01).samples_for(0.05) is None
    assert Power(10, 0.3, None).samples_for(0.05) is None
    assert "with no number of samples" in Power(10, 0.3, 0.01).sentence("0.05", 0.05)
    assert "times the runs; " in Power(10, 0.3, 0.3).sentence("0.05", 0.05, drawn="runs")


def test_the_noise_of_samples_is_their_variance_without_bias() -> None:
    rng = np.random.default_rng(RNG_SEED)
    right = rng.binomial(6, 0.3, 40_000)
    noise = sampling_noise([(int(count), 6) for count in right])
    assert noise == pytest.approx(0.3 * 0.7 / 6, rel=0.03)
    assert sampling_noise([(1, 1), (2, 4)]) is None and sampling_noise([]) is None


@given(spread=st.floats(1e-6, 1), problems=st.integers(2, 5_000), difference=st.floats(0.001, 1))
def test_problems_and_detectable_difference_agree(spread: float, problems: int, difference: float) -> None:
    power = Power(problems, spread)
    enough = power.problems_for(difference)
    assert (problems >= enough) == (power.detectable <= difference * (1 + 1e-9)) or enough == 2
    sentence = power.sentence("D", difference)
    assert sentence.endswith(".") and (f"these are {problems:,}" in sentence) == (problems >= enough)


def test_too_few_problems_and_equal_differences_claim_nothing() -> None:
    assert paired_power([0.5]) is None
    alike = paired_power([0.25, 0.25, 0.25])
    assert alike is not None and "cannot be told" in alike.sentence("0.05", 0.05)
