"""When each stopping rule closes a problem."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.editions import EDITIONS
from agent.policy.settings import StoppingConfig, VotingConfig
from agent.policy.state import Progress, Verdict
from agent.policy.stopping import STOPPING_RULES, judge
from agent.policy.voting import tally
from agent.types import StopReason, Tally
from tests.support.samples import sample

VOTING = VotingConfig()
MARGIN = StoppingConfig(rule="margin", margin=3)
PATIENCE = StoppingConfig(rule="patience", wait_by_lead=(3, 2, 1.5), min_wait_share=0.5, max_share=1, max_dissent=3)


def of(answers: list[int]) -> Tally:
    return tally([sample(answer) for answer in answers], VOTING, EDITIONS["aimo3"])


def progress(
    answers: list[int | None], running: int = 20, *, elapsed: float = 0, first: float = 100, share: float = math.inf
) -> Progress:
    votes = [answer for answer in answers if answer is not None]
    return Progress(of(votes), tuple(answers), running, 1.0, elapsed, first if votes else None, share)


def reason(answers: list[int], running: int, config: StoppingConfig = MARGIN) -> StopReason | None:
    return judge(progress(list(answers), running), config).stop


@pytest.mark.parametrize("rule", STOPPING_RULES)
def test_nothing_running_is_all_done_even_without_a_vote(rule: str) -> None:
    config = StoppingConfig(rule=rule)
    assert reason([], 0, config) is StopReason.ALL_DONE
    assert reason([1, 2], 0, config) is StopReason.ALL_DONE


@pytest.mark.parametrize("rule", STOPPING_RULES)
def test_nobody_has_voted_yet(rule: str) -> None:
    assert judge(progress([], 3), StoppingConfig(rule=rule)) == Verdict(None)


def test_a_tie_that_is_still_possible_does_not_stop_the_problem() -> None:
    assert reason([1, 1, 1, 2], 2) is None
    assert reason([1, 1, 1, 2], 1) is StopReason.UNCATCHABLE


def test_margin() -> None:
    assert reason([1, 1, 1], 20) is StopReason.MARGIN
    assert reason([1, 1, 1, 2], 20) is None


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(1, 4))
def test_uncatchable_is_lossless_and_as_early_as_can_be(answers: list[int], running: int) -> None:
    """Against every way in which the running lanes could still vote (or not)."""
    now = of(answers).leader
    assert now is not None
    futures = [
        of([*answers, *(vote for vote in votes if vote >= 0)]) for votes in product(range(-1, 4), repeat=running)
    ]
    stopped = reason(answers, running, StoppingConfig(rule="uncatchable")) is StopReason.UNCATCHABLE
    safe = all(future.leader and future.leader.answer == now.answer and future.lead > 0 for future in futures)
    assert stopped == safe


def test_waiting_for_all_never_stops_early() -> None:
    assert reason([1] * 15, 1, StoppingConfig(rule="wait-for-all")) is None


def test_patience_is_shorter_the_further_the_leader_is_ahead() -> None:
    def until(answers: list[int]) -> float:
        return judge(progress(list(answers)), PATIENCE).until

    assert until([1, 2]) == math.inf
    assert until([1, 1, 2]) == 300
    assert until([1]) == until([1, 1, 1, 2]) == 200
    assert until([1, 1]) == 150
    assert judge(progress([1, 1, 1]), PATIENCE).stop is StopReason.MARGIN


def test_patience_ends_when_its_time_has_come() -> None:
    assert judge(progress([1, 1], elapsed=149), PATIENCE).stop is None
    assert judge(progress([1, 1], elapsed=150), PATIENCE).stop is StopReason.PATIENCE


def test_a_problem_with_a_vote_ends_with_its_share() -> None:
    tie = progress([1, 2], elapsed=250, share=250)
    assert judge(tie, PATIENCE).stop is StopReason.SHARE
    assert judge(replace(tie, elapsed=249), PATIENCE) == Verdict(None, 250)
    assert judge(progress([], elapsed=900, share=250), PATIENCE) == Verdict(None)


def test_a_rich_bank_makes_patient() -> None:
    assert judge(progress([1, 1], share=1_000), PATIENCE).until == 1.5 * 500
    assert judge(progress([1], share=1_000), PATIENCE).until == 1_000


def test_scattered_votes_are_given_up() -> None:
    assert judge(progress([1, 2, 3, 4, 5]), PATIENCE).stop is StopReason.SCATTERED
    assert judge(progress([1, 2, 3, 4, 4]), PATIENCE).stop is None


states = st.builds(
    progress,
    st.lists(st.none() | st.integers(0, 5), max_size=12),
    st.integers(0, 12),
    elapsed=st.floats(0, 1e5),
    first=st.floats(0.1, 1e4),
    share=st.floats(0.1, 1e5) | st.just(math.inf),
)


@given(states, st.sampled_from(sorted(STOPPING_RULES)))
def test_a_rule_either_stops_or_names_a_moment_that_is_still_to_come(state: Progress, rule: str) -> None:
    config = StoppingConfig(rule=rule)
    verdict = judge(state, config)
    if verdict.stop is None and verdict.until < math.inf:
        assert verdict.until > state.elapsed
        assert judge(replace(state, elapsed=verdict.until), config).stop is not None
