"""Values on the edge of a rule: which side they are on, and what a default stands for."""

from __future__ import annotations

import pytest

from agent.config import Config
from agent.editions import EDITIONS
from agent.gateway_run import next_allowance
from agent.latex.integer import MAX_CHARS
from agent.policy.budget import TimeBank, grant
from agent.policy.code_output import printed_integer
from agent.policy.grants import Bank, nemoskills_grant
from agent.policy.planning.planners import PLANNERS
from agent.policy.settings import BudgetConfig, StoppingConfig, VotingConfig
from agent.policy.state import Progress
from agent.policy.stopping import judge
from agent.policy.voting import confidence, sample_weight, tally
from agent.types import Learnt, StopReason
from tests.support.samples import sample, solution

EQUAL = BudgetConfig(planner="equal", time_limit_seconds=3_600, floor_seconds=0, ceiling_seconds=3_600)


def test_a_grant_for_no_problem_is_refused() -> None:
    for problems in (0, -1):
        with pytest.raises(ValueError, match="needs a problem"):
            grant(100, problems, Config())


def test_a_bank_that_is_overdrawn_grants_nothing() -> None:
    allowance = grant(-5, 3, Config())
    assert (allowance.seconds, allowance.reasoning_seconds) == (0, 0)


def test_the_reserve_for_answers_takes_at_most_half_of_what_is_granted() -> None:
    allowance = grant(100, 1, Config(budget=EQUAL.model_copy(update={"answer_reserve_seconds": 1_000.0})))
    assert (allowance.seconds, allowance.reasoning_seconds) == (100, 50)


def test_half_of_what_stays_in_the_bank_makes_up_for_outages() -> None:
    allowance = grant(1_000, 5, Config(budget=BudgetConfig(planner="spread", spread=1)))
    assert (allowance.seconds, allowance.extension_seconds) == (200, 400)


def test_problems_in_flight_share_a_round_of_the_run() -> None:
    """Four problems are solved, two at a time: two rounds are past, two to come, each a quarter of the hour."""
    config = Config(budget=EQUAL, problems_in_flight=2)
    assert grant(3_600, 2, config, [solution(seconds=10.0)] * 4).seconds == 900


@pytest.mark.parametrize("planner", sorted(PLANNERS))
def test_a_gateways_problem_is_planned_for_as_alone_however_many_are_configured_in_flight(planner: str) -> None:
    past = [solution(seconds=300.0, learnt=Learnt(16, 9_000, 270.0, voted=True))] * 4
    configs = [Config(budget=BudgetConfig(planner=planner), problems_in_flight=each) for each in (1, 4)]
    bank = TimeBank(9_000, lambda: 0.0)
    alone, configured = (next_allowance(bank, each, past, problems_left=20, at_most=9_000) for each in configs)
    assert configured == alone


def test_a_new_bank_has_spent_nothing() -> None:
    bank = TimeBank(60, lambda: 5.0)
    assert (bank.spent, bank.left) == (0, 60)


def test_what_earlier_problems_left_over_is_never_a_debt_and_starts_at_nothing() -> None:
    budget = BudgetConfig(planner="nemoskills")
    assert nemoskills_grant(Bank(1_000, 2, 360.0, (10_000.0,)), budget) == 350
    assert nemoskills_grant(Bank(1_000, 2, 360.0, (10_000.0, 340.0)), budget) == 360


def test_half_votes_that_may_still_come_count_by_half() -> None:
    """A lead of 3 cannot be caught by four lanes that weigh 0.5 each, but by six of them it can."""
    votes = tally([sample(1)] * 3, VotingConfig(), EDITIONS["aimo3"])
    for running, stop in ((4, StopReason.UNCATCHABLE), (6, None)):
        progress = Progress(votes, (1, 1, 1), running, 0.5, 10.0, 1.0, 1e9)
        assert judge(progress, StoppingConfig(rule="margin", margin=10)).stop is stop


def test_a_probability_beyond_one_by_rounding_counts_as_one() -> None:
    sure = sample(1, tail_logprob=1e-3)
    assert confidence(sure) == 1
    assert sample_weight(sure, VotingConfig(confidence_bonus=0.5), EDITIONS["aimo3"]) == 1.5


def test_only_a_cut_directly_before_the_last_line_makes_it_a_rest() -> None:
    assert printed_integer("[... 5 lines cut ...]\n42") is None
    assert printed_integer("[... 5 lines cut ...]\n7\n42") == 42


def test_the_longest_line_that_is_read_has_as_many_characters_as_the_longest_box() -> None:
    for extra, result in ((0, 42), (1, None)):
        assert printed_integer("n" * (MAX_CHARS - len(" = 42") + extra) + " = 42") == result
