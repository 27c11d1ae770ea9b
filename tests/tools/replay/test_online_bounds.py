"""What a policy can reach that meets the problems one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.recorded import RecordedLane, RecordedTurn
from agent.hardware.roofline import HARDWARE
from agent.types import Problem
from tests.support.tiers.cases import examples
from tools.replay.bounds.draws import Draws, draw_problems, end_seconds, seen_votes, whole_samples
from tools.replay.bounds.family import FittedPolicy, fit_family, play_fitted
from tools.replay.bounds.fluid import fit_fluid, play_fluid
from tools.replay.bounds.offline import AccuracyCurve, knapsack, oracle
from tools.replay.recordings import RecordedProblem, Recording
from tools.replay.run import Setting, play_run, replay_config

CONSTANT = HARDWARE["constant"]


@st.composite
def drawn(draw: st.DrawFn) -> Draws:
    """A few runs of problems that are harder the later they come; wrong samples are longer."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    runs, problems, lanes = draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 6))
    shape = (runs * problems, lanes)
    right = rng.random(shape) > np.tile(np.linspace(0, 1, problems), runs)[:, None]
    answers = np.where(right, 7, rng.choice([-1, 1, 2, 3], shape))
    tokens = np.ceil(1_000 * rng.lognormal(0, 0.5, shape) * np.where(right, 1, 1.6))
    return Draws(runs, np.full(shape[0], 7), answers, tokens, np.zeros(shape))


def curves(draws: Draws) -> list[AccuracyCurve]:
    votes = seen_votes(draws, draws.lanes, CONSTANT)
    count = len(draws.truths) // draws.runs
    return [
        AccuracyCurve(n % count, 1, tuple(zip(votes.times[n], votes.right[n].astype(int), strict=True)), end)
        for n, end in enumerate(votes.times[:, -1])
    ]


@examples(6)
@given(drawn(), st.floats(5, 100))
def test_the_fitted_policy_is_no_worse_than_a_patient_one_and_the_oracle_is_above_it(
    draws: Draws, share: float
) -> None:
    problems = len(draws.truths) // draws.runs
    limit = share * problems
    fitted, right = fit_family(draws, CONSTANT, limit, 0)
    assert play_fitted(fitted, draws, CONSTANT, limit) == pytest.approx(right)
    # Fewer lanes are other votes, which may be luckier: the oracle is that of the same lanes.
    few = slice(fitted.lanes)
    some = Draws(draws.runs, draws.truths, draws.answers[:, few], draws.tokens[:, few], draws.tool_seconds[:, few])
    known = curves(some)
    best = [oracle(known[n : n + problems], limit) for n in range(0, len(known), problems)]
    assert right <= np.mean(best) + 1e-9
    patient = FittedPolicy(draws.lanes, np.array([6.0, 1.0, 1.0, 0.0, 5.0, 6.0]))
    assert play_fitted(patient, draws, CONSTANT, 1e9) <= fit_family(draws, CONSTANT, 1e9, 0)[1] + 1e-9


@examples(6)
@given(drawn(), st.floats(5, 100))
def test_the_bound_at_one_price_falls_with_less_time_and_never_beats_all_that_can_be_right(
    draws: Draws, share: float
) -> None:
    values = [play_fluid(fit_fluid(draws, CONSTANT, time), draws, CONSTANT, time) for time in (share, share / 3)]
    assert values[1] <= values[0] + 0.02, "but for the grid of prices, which moves with the share"
    once = [seen_votes(draws, lanes, CONSTANT).right.any(axis=1) for lanes in range(1, draws.lanes + 1)]
    assert 0 <= values[0] <= np.any(once, axis=0).mean() + 1e-9


def test_who_knows_each_problem_does_no_worse_than_who_knows_the_population() -> None:
    """Of two kinds that look alike, one is solved at once and the other never: only the knapsack leaves it out."""
    answers = np.array([[7, 7, 7, 7], [1, 2, 3, 4]] * 40)
    tokens = np.array([[300.0, 400, 500, 600]] * 80)
    draws = Draws(40, np.full(80, 7), answers, tokens, np.zeros((80, 4)))
    for share in (4.0, 8.0, 12.0):
        known = knapsack(curves(draws), 2 * share, 2)
        online = 2 * play_fluid(fit_fluid(draws, CONSTANT, share), draws, CONSTANT, share)
        assert online <= known + 0.05


def recording(*problems: list[tuple[int, int]]) -> Recording:
    made = []
    for number, lanes in enumerate(problems):
        turns = [RecordedTurn(f"</think>\\boxed{{{answer}}}", tokens, "stop") for answer, tokens in lanes]
        made.append(RecordedProblem(Problem(f"p{number}", "", 7), tuple(RecordedLane((turn,)) for turn in turns)))
    return Recording("model", tuple(made))


@pytest.mark.parametrize("name", ["constant", "kaggle-l4x4"])
def test_the_arrays_say_of_lanes_what_the_solver_says(name: str) -> None:
    played = recording([(7, 900), (7, 1_000), (3, 1_100), (4, 3_000)], [(1, 500), (7, 700), (7, 800), (1, 900)])
    alone = Setting(HARDWARE[name], samples=4, problems=2, limit=1e5, token_cap=None, seed=0)
    draws = draw_problems(played, alone, 1, whole_samples(played, alone))
    votes = seen_votes(draws, 4, alone.hardware)
    outcomes, samples = play_run(replay_config("wait-for-all", played, alone), played, alone, 0)
    for place, (outcome, ended) in enumerate(zip(outcomes, samples, strict=True)):
        assert votes.right[place, -1] == outcome.correct
        assert votes.times[place, 1:] == pytest.approx([sample.seconds for sample in ended], rel=0.01)


@given(st.lists(st.floats(1, 1e5), min_size=1, max_size=8))
def test_lanes_end_in_the_order_of_their_lengths_and_alone_at_the_speed_of_the_hardware(lengths: list[float]) -> None:
    hardware = HARDWARE["kaggle-h100"]
    ends = end_seconds(np.array([lengths]), hardware)[0]
    assert list(np.argsort(ends, kind="stable")) == list(np.argsort(lengths, kind="stable"))
    assert ends.max() >= hardware.seconds(max(lengths), 1) * (1 - 1e-9)
