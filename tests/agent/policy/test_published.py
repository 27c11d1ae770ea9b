"""The stopping rules that others published: where each closes a problem, and one step before that."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from agent.policy.settings import StoppingConfig
from agent.policy.state import Progress
from agent.policy.stopping import judge
from agent.types import StopReason
from tests.support.samples import votes_of

AGREED = StopReason.AGREED


def closed(answers: Sequence[int | None], config: StoppingConfig | str, *, running: int = 1_000) -> StopReason | None:
    """Why the rule closes a problem whose samples have given these answers; None where it does not."""
    voted = [answer for answer in answers if answer is not None]
    counts = {answer: voted.count(answer) for answer in sorted(set(voted), key=lambda answer: -voted.count(answer))}
    config = StoppingConfig(rule=config) if isinstance(config, str) else config
    first = 100.0 if voted else None
    return judge(Progress(votes_of(counts), tuple(answers), running, 1.0, 0.0, first, math.inf), config).stop


def votes_needed(rule: str, against: int) -> int:
    """How many votes a leader needs at the least, with so many for one other answer."""
    return next(leader for leader in range(against + 1, 40) if closed([1] * leader + [2] * against, rule))


def test_beta_needs_what_the_posterior_says() -> None:
    assert [votes_needed("beta", against) for against in range(6)] == [4, 6, 8, 9, 11, 12]


def test_beta_is_content_with_exactly_its_confidence_and_never_without_a_vote() -> None:
    """Of Beta(2, 1), three quarters lie above 1/2; of Beta(1, 1), one half."""
    assert closed([1], StoppingConfig(rule="beta", confidence=0.75)) is AGREED
    assert closed([1], StoppingConfig(rule="beta", confidence=0.76)) is None
    assert closed([None], StoppingConfig(rule="beta", confidence=0.5)) is None


def test_the_bayes_factor_of_ten_needs_a_lead_of_three() -> None:
    assert [votes_needed("bayes-factor", against) for against in range(6)] == [3, 4, 5, 6, 7, 8]


def test_the_bayes_factor_is_sure_of_a_leader_with_any_number_of_votes() -> None:
    assert [closed([1] * votes + [2], "bayes-factor") for votes in (40, 60, 200)] == [AGREED] * 3


def test_the_certificate_needs_what_its_e_processes_say() -> None:
    assert [votes_needed("certified", against) for against in range(6)] == [4, 9, 12, 14, 17, 19]


def test_the_certificate_looks_at_all_the_others_together() -> None:
    assert closed([1] * 9 + [2], "certified") is AGREED
    assert closed([1] * 9 + [2, 3, 4], "certified") is None


@pytest.mark.parametrize(
    ("answers", "stop"),
    [
        ([1, 1, 1, 1, 1], AGREED),
        ([2, 1, 1, 1, 1, 1], None),
        ([2, 2, 1, 1, 2, 1, 1, 1, 1, 1], AGREED),
        ([1, 1, 1, 1, 1, 2, 3], AGREED),  # two have ended since, at the same moment
        ([1, 1, 1, 1], None),
    ],
)
def test_a_window_is_aligned_and_unanimous(answers: list[int], stop: StopReason | None) -> None:
    assert closed(answers, "window") is stop


@pytest.mark.parametrize(
    ("answers", "stop"),
    [
        ([1, 1, 1, 1], AGREED),
        ([1, 2, 2, 2], None),
        ([2, 1, 2, 2, 2], AGREED),
        ([2, 2, 2, 1, 3], None),
        ([1, 1, 2, 1, 1, 3, 1], AGREED),  # 5 of 7
        ([1, 3, 2, 1, 1, 3, 1], None),
        ([1, 2, 1, 1, 3, 1], None),
        ([1, 1, 1, 2, 1, 3, 1, 2, 1], AGREED),  # 6 of 9
        ([3, 1, 1, 2, 1, 3, 1, 2, 1], None),
        ([1, 1, 2, 1, 3, 1, 2, 1], None),
        ([1, 1, 1, 2, 3, 4, 5, 6, 1, 2, 3], None),
    ],
)
def test_aimo2s_second_place_looks_at_the_last_answers(answers: list[int], stop: StopReason | None) -> None:
    assert closed(answers, "aimo2-second") is stop


def test_nemoskills_stops_at_ten_of_twelve_or_four_of_the_first_five() -> None:
    assert closed([None] * 10, "nemoskills", running=2) is AGREED
    assert [closed([None] * 9, "nemoskills", running=running) for running in (2, 3)] == [None, None]
    assert closed([1, 2, 1, 1, 1], "nemoskills") is AGREED
    assert closed([1, 2, 1, 1, 2, 1, 3], "nemoskills") is None


def test_four_agree() -> None:
    assert closed([1, 2, 3, 1, 2, 1, 1], "agree") is AGREED
    assert closed([1, 2, 3, 1, 2, 1], "agree") is None
    assert closed([None], StoppingConfig(rule="agree", votes=1)) is None


@pytest.mark.parametrize(
    ("answers", "stop"),
    [
        ([1, 2, 3, 4, 5, 6, 1, 2], StopReason.SCATTERED),
        ([1, 2, 3, 4, 5, 1, 2, 3], None),
        ([1, 2, 3, 4, 5, 6, 1], None),
        ([None] * 4, None),
        ([None] * 5, StopReason.SCATTERED),
        ([None] * 5 + [1, 2], StopReason.SCATTERED),
        ([None] * 4 + [1, 2, 3], None),
        ([None] * 8, None),
        ([None] * 5 + [1, 2, 3], None),
    ],
)
def test_hopeless_are_many_answers_or_much_junk(answers: list[int | None], stop: StopReason | None) -> None:
    assert closed(answers, "hopeless") is stop
