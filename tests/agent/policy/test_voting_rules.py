"""What holds of every voting rule: no vote weighs more than its bound, so that nothing is closed too early for it.

The parameters of all rules are drawn within what the configuration allows, so that those of a new rule are, too.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.editions import EDITIONS
from agent.policy.settings import StoppingConfig, VotingConfig
from agent.policy.state import Progress
from agent.policy.stopping import judge
from agent.policy.voting import VOTING_RULES, largest_weight, sample_weight, tally
from agent.types import Edition, Probe, Sample, SampleEnd, StopReason, ToolRun, ToolStatus, Turn

MOST = 4.0  # where a parameter has no limit of its own


def parameter(name: str) -> st.SearchStrategy[float]:
    """Any value that the configuration takes, up to some size."""
    limits = {
        kind: float(getattr(limit, kind))
        for limit in VotingConfig.model_fields[name].metadata
        for kind in ("ge", "gt", "le", "lt")
        if hasattr(limit, kind)
    }
    low, high = limits.get("gt", limits.get("ge", 0.0)), limits.get("lt", limits.get("le", MOST))
    return st.floats(low, high, exclude_min="gt" in limits, exclude_max="lt" in limits)


PARAMETERS = {name: parameter(name) for name, field in VotingConfig.model_fields.items() if field.annotation is float}
logprobs = st.none() | st.floats(-50, 0) | st.sampled_from([0.0, -1e-9])
answers = st.integers(0, 3)
runs = st.builds(
    lambda output, status, seconds: ToolRun("print(x)", output, status, seconds),
    st.integers(0, 3).map(str) | st.sampled_from(["", "so 2\n", "Traceback", "1003"]),
    st.sampled_from(ToolStatus),
    st.floats(0, 60),
)
turns = st.builds(
    lambda text, tokens, run: Turn(text, tokens, 1.0, "inserted", run),
    st.sampled_from(["", "Wait.", "so \\boxed{2}"]),
    st.integers(0, 40_000),
    st.none() | runs,
)
samples = st.builds(
    Sample,
    problem_id=st.just("p1"),
    index=st.integers(0, 99),
    seed=st.integers(0, 99),
    turns=st.lists(turns, min_size=1, max_size=3).map(tuple),
    answer=answers,
    end=st.sampled_from(SampleEnd),
    forced=st.booleans(),
    started=st.floats(0, 1e4),
    seconds=st.floats(0, 1e4),
    mean_logprob=logprobs,
    tail_logprob=logprobs,
    language_mixing=st.integers(0, 500),
    probes=st.lists(st.builds(Probe, st.integers(1, 9), st.none() | answers, st.just(1.0)), max_size=2).map(tuple),
    copies_example=st.booleans(),
)
editions = st.sampled_from(sorted(EDITIONS.values(), key=lambda edition: edition.name))


@st.composite
def votings(draw: st.DrawFn, rule: str) -> VotingConfig:
    return VotingConfig(rule=rule, **{name: draw(values) for name, values in PARAMETERS.items()})


each_rule = pytest.mark.parametrize("rule", VOTING_RULES)


@each_rule
@given(data=st.data(), sample=samples, edition=editions)
def test_no_vote_weighs_more_than_the_bound_or_less_than_nothing(
    rule: str, data: st.DataObject, sample: Sample, edition: Edition
) -> None:
    voting = data.draw(votings(rule))
    weight = sample_weight(sample, voting, edition)
    assert 0 <= weight <= largest_weight(voting) < math.inf
    if sample.forced and sample.end is not SampleEnd.NO_ANSWER:
        assert weight <= largest_weight(voting, forced=True) <= largest_weight(voting)


@each_rule
@given(data=st.data(), sample=samples, edition=editions)
def test_a_copy_weighs_so_much_less_under_every_rule(
    rule: str, data: st.DataObject, sample: Sample, edition: Edition
) -> None:
    voting = data.draw(votings(rule))
    own = sample_weight(replace(sample, copies_example=False), voting, edition)
    assert sample_weight(replace(sample, copies_example=True), voting, edition) == own * voting.copied_example_weight


@each_rule
@given(data=st.data(), drawn=st.lists(samples, max_size=9), later=st.lists(samples, max_size=4), edition=editions)
def test_a_leader_that_cannot_be_caught_stays_the_leader_whatever_the_running_lanes_vote(
    rule: str, data: st.DataObject, drawn: list[Sample], later: list[Sample], edition: Edition
) -> None:
    voting = data.draw(votings(rule))
    now = tally(drawn, voting, edition)
    answered = tuple(sample.answer for sample in drawn)
    progress = Progress(now, answered, len(later), largest_weight(voting), 1.0, 1.0, math.inf)
    if judge(progress, StoppingConfig(rule="uncatchable")).stop is StopReason.UNCATCHABLE:
        final = tally([*drawn, *later], voting, edition)
        assert now.leader and final.leader and final.leader.answer == now.leader.answer


@each_rule
@given(data=st.data(), drawn=st.lists(samples, max_size=9), edition=editions)
def test_the_order_of_samples_does_not_matter_to_any_rule(
    rule: str, data: st.DataObject, drawn: list[Sample], edition: Edition
) -> None:
    voting = data.draw(votings(rule))
    assert tally(drawn, voting, edition) == tally(data.draw(st.permutations(drawn)), voting, edition)


def test_every_parameter_of_a_rule_is_drawn() -> None:
    assert set(VotingConfig.model_fields) - set(PARAMETERS) == {"rule"}
