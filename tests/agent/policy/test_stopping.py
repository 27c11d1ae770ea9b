"""When each stopping rule closes a problem."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.editions import EDITIONS
from agent.policy.settings import StoppingConfig, VotingConfig
from agent.policy.state import Progress, Verdict
from agent.policy.stopping import STOPPING_RULES, StoppingRule, judge
from agent.policy.voting import tally
from agent.types import StopReason, Tally
from tests.support.samples import sample

VOTING = VotingConfig()
MARGIN = StoppingConfig(rule="margin", margin=3)


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


def judged(verdict: Verdict, monkeypatch: pytest.MonkeyPatch) -> Verdict:
    """What becomes of the verdict of a rule of one's own after 100 seconds."""
    own = StoppingRule(lambda progress, config: verdict)
    monkeypatch.setitem(cast(dict[str, StoppingRule], STOPPING_RULES), "own", own)
    return judge(progress([1], elapsed=100.0), StoppingConfig(rule="own"))


@pytest.mark.parametrize(("until", "seen"), [(99.0, math.inf), (100.0, math.inf), (100.5, 100.5), (math.inf, math.inf)])
def test_a_moment_that_has_passed_is_not_looked_for_again(
    until: float, seen: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert judged(Verdict(None, until), monkeypatch) == Verdict(None, seen)


def test_a_rule_that_closes_a_problem_need_not_say_until_when(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(Verdict(StopReason.AGREED, until=0.0), monkeypatch).stop is StopReason.AGREED


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
