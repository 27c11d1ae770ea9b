from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from agent.config import VotingConfig
from agent.stopping import stop_reason
from agent.types import StopReason, Tally
from agent.vote import tally
from tests.doubles import sample

VOTING = VotingConfig()


def reason(answers: list[int], running: int, margin: float = 1e9) -> StopReason | None:
    return stop_reason(of(answers), running, margin=margin, largest_weight=1.0)


def of(answers: list[int]) -> Tally:
    return tally([sample(answer) for answer in answers], VOTING)


def test_nothing_running_is_all_done_even_without_a_vote() -> None:
    assert reason([], 0) is StopReason.ALL_DONE
    assert reason([1, 2], 0) is StopReason.ALL_DONE


def test_nobody_has_voted_yet() -> None:
    assert reason([], 3) is None


def test_a_tie_that_may_still_come_goes_on() -> None:
    assert reason([1, 1, 1, 2], 2) is None
    assert reason([1, 1, 1, 2], 1) is StopReason.UNCATCHABLE


def test_margin() -> None:
    assert reason([1, 1, 1], 20, margin=3) is StopReason.MARGIN
    assert reason([1, 1, 1, 2], 20, margin=3) is None


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(1, 4))
def test_uncatchable_is_lossless_and_as_early_as_can_be(answers: list[int], running: int) -> None:
    """Against every way in which the running lanes could still vote (or not)."""
    now = of(answers).leader
    assert now is not None
    futures = [
        of([*answers, *(vote for vote in votes if vote >= 0)]) for votes in product(range(-1, 4), repeat=running)
    ]
    stopped = reason(answers, running) is StopReason.UNCATCHABLE
    safe = all(future.leader and future.leader.answer == now.answer and future.lead > 0 for future in futures)
    assert stopped == safe
