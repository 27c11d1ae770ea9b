"""Replays of recorded runs under other policies."""

from __future__ import annotations

import json
import math
import random
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from agent.config import load_config
from agent.policy.registries import RULES
from agent.policy.settings import StoppingConfig
from agent.policy.stopping import STOPPING_RULES
from agent.policy.voting import VOTING_RULES
from tests.agent.policy.test_stopping import progress
from tests.support.runs.recordings import TRACES, setting, write_traces
from tools.replay.command import main
from tools.replay.policies import OURS, POLICIES, policy_keys
from tools.replay.recordings import Recording, load_recordings
from tools.replay.run import draw_run, play_run, replay_config

NAMES = [*POLICIES, *VOTING_RULES]


def replayed(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> Any:
    """What the command prints as JSON."""
    assert main([str(arg) for arg in (*argv, "--json", "--processes", 1)]) == 0
    return json.loads(capsys.readouterr().out)


def complaint(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> str:
    assert main([str(arg) for arg in argv]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and "Traceback" not in err
    return err


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    return write_traces(tmp_path / "model.jsonl")


@pytest.mark.parametrize("name", [*NAMES, "spread+nemoskills+margin-2", "price,voting.code_bonus=0.5"])
def test_every_policy_is_a_valid_configuration(name: str, traces: Path) -> None:
    recording = load_recordings([traces])[0]
    config = replay_config(name, recording, setting())
    assert config.time_limit_seconds == 1e5
    if not name.startswith(OURS):
        assert config.budget.planner != "price", "a published rule starts all lanes"


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        (
            "margin-2",
            {"stopping.rule": "margin", "stopping.margin": 2, "budget.planner": "spread", "budget.spread": 1.5},
        ),
        ("beta-0.9+equal", {"stopping.rule": "beta", "stopping.confidence": 0.9, "budget.planner": "equal"}),
        ("aimo3-clamp", {"stopping.rule": "margin", "stopping.margin": 3, "budget.planner": "aimo3-clamp"}),
        ("nemoskills", {"stopping.rule": "nemoskills", "budget.planner": "nemoskills"}),
        ("nemoskills+spread-2", {"stopping.rule": "nemoskills", "budget.planner": "spread", "budget.spread": 2}),
        ("price,budget.rule=equal", {"stopping.rule": "price", "budget.planner": "equal"}),
        ("margin-3,budget.planner=price", {"stopping.rule": "margin", "budget.planner": "price"}),
        ("price+margin-3", {"stopping.rule": "margin", "budget.planner": "price"}),
        ("margin-3+price", {"stopping.rule": "price", "budget.planner": "price"}),
        ("majority+agree-5", {"voting.rule": "majority", "stopping.rule": "agree", "stopping.votes": 5}),
    ],
)
def test_a_policy_sets_the_rules_that_its_name_has(name: str, keys: dict[str, object]) -> None:
    assert keys.items() <= policy_keys(name).items()


def test_every_rule_of_the_configuration_is_a_policy_by_the_same_name() -> None:
    for key, rules in RULES.items():
        assert [policy_keys(rule)[key] for rule in rules] == list(rules)
    others = {name for key, rules in RULES.items() if key != "voting.rule" for name in rules}
    assert set(POLICIES) == others


def test_ours_is_what_the_profiles_use() -> None:
    ours = policy_keys(OURS)
    for profile in ("qwq", "cpu"):
        assert load_config(profile) == load_config(profile, ours)


@pytest.mark.process
def test_a_run_is_the_same_whatever_plays_it(capsys: pytest.CaptureFixture[str], traces: Path) -> None:
    flags = (
        traces, "--budget-tokens", "4000", "--repeats", "4", "--problems", "12",
        "--policy", "price", "--policy", "aimo3-clamp", "--seed", "3",
    )  # fmt: skip
    alone = replayed(capsys, *flags)
    assert main([*map(str, flags), "--json", "--processes", "2"]) == 0
    assert json.loads(capsys.readouterr().out) == alone
    assert replayed(capsys, *flags[:-1], "4") != alone


def test_ray_gives_the_same_numbers(capsys: pytest.CaptureFixture[str], traces: Path) -> None:
    pytest.importorskip("ray")
    flags = (traces, "--budget-tokens", "4000", "--repeats", "20", "--problems", "12")
    alone = replayed(capsys, *flags)
    assert main([*map(str, flags), "--json", "--ray"]) == 0
    assert json.loads(capsys.readouterr().out) == alone


@pytest.mark.further
def test_all_figures_are_there(capsys: pytest.CaptureFixture[str], traces: Path) -> None:
    result = replayed(
        capsys, traces, "--budget-tokens", "4000", "--repeats", "4", "--problems", "12",
        "--policy", "price", "--compare", "price", "aimo3-clamp",
    )  # fmt: skip
    assert set(result["policies"]) == {"price", "aimo3-clamp"}
    figures = {
        "mean_correct", "interval", "wall_seconds", "wall_share", "tokens", "lanes_cut", "starved", "two_run_score",
    }  # fmt: skip
    for policy in result["policies"].values():
        assert figures | {"recordings"} == set(policy)
        assert figures == set(policy["recordings"]["model"])
        assert policy["interval"][0] <= policy["mean_correct"] <= policy["interval"][1]
        assert 0 < policy["wall_share"] <= 1 + 1e-9
        assert policy["mean_correct"] <= result["bounds"]["model"]["oracle"] + 12
    comparison = result["comparisons"][0]
    means = [result["policies"][name]["mean_correct"] for name in comparison["policies"]]
    assert comparison["difference"] == pytest.approx(means[0] - means[1])
    power = comparison["power"]
    assert power["problems"] == 12 and power["problems_for_one_right_answer"] >= 2
    assert power["runs_for_one_right_answer"] is None or power["runs_for_one_right_answer"] > 0


def test_the_limit_that_mean_tokens_allow(capsys: pytest.CaptureFixture[str], traces: Path) -> None:
    flags = ("--repeats", "2", "--problems", "12", "--policy", "margin-3", "--no-bounds", "--hardware", "constant")
    result = replayed(capsys, traces, *flags, "--budget-tokens", "3000")
    assert result["setting"]["time_limit_seconds"] == pytest.approx(12 * 3_000 / 30)
    assert result["bounds"] == {}


@pytest.mark.further
def test_a_token_cap_takes_votes_and_never_adds_any(capsys: pytest.CaptureFixture[str], traces: Path) -> None:
    flags = (traces, "--stop-only", "--repeats", "4", "--policy", "wait-for-all")
    capped = replayed(capsys, *flags, "--token-cap", "1500")["policies"]["wait-for-all"]
    assert capped["accuracy"] < replayed(capsys, *flags)["policies"]["wait-for-all"]["accuracy"]


@pytest.mark.further
def test_stopping_alone_lies_between_the_oracle_and_waiting(capsys: pytest.CaptureFixture[str], traces: Path) -> None:
    policies = replayed(capsys, traces, "--stop-only", "--repeats", "5", "--policy", "uncatchable")["policies"]
    assert policies["wait-for-all"]["wall"] == 1
    assert policies["oracle"]["wall"] < policies["uncatchable"]["wall"] < 1
    for lossless in ("uncatchable", "oracle"):
        assert policies[lossless]["accuracy_minus_wait_for_all"] == 0
    assert policies["margin-3"]["gap_closed"] == 0
    assert policies["oracle"]["gap_closed"] == 1


def test_help_names_every_policy(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(name in text for name in NAMES)


def test_runs_of_a_pair_share_their_problems_and_nothing_else(traces: Path) -> None:
    recording = load_recordings([traces])[0]
    first, second, third = (draw_run(recording, setting(problems=18), repeat) for repeat in range(3))
    indexes = [[index for index, *_ in run] for run in (first, second, third)]
    assert sorted(indexes[0]) == sorted(indexes[1])
    assert indexes[0] != indexes[1]
    assert len({problem.id for _, problem, _ in first}) == 18
    assert max(indexes[0].count(index) for index in indexes[0]) == 2
    assert all(len(lanes) == len(set(map(id, lanes))) == 8 for *_, lanes in first)


def test_a_run_never_overruns_its_limit(traces: Path) -> None:
    recording = load_recordings([traces])[0]
    for limit in (0.5, 60, 600, 6_000):
        tight = setting(limit)
        for name in ("price", "aimo3-clamp", "wait-for-all"):
            outcomes, _ = play_run(replay_config(name, recording, tight), recording, tight, 0)
            assert sum(problem.seconds for problem in outcomes) <= limit * (1 + 1e-9)
            assert len(outcomes) == 12


def test_answers_that_are_no_small_integers_are_votes_all_the_same(tmp_path: Path) -> None:
    row = {
        "problem_id": "a", "answer": "x^2", "model": "m",
        "samples": [
            {"answer": "x^2", "tokens": 10}, {"answer": 7_000_000, "tokens": 10}, {"answer": " 7 ", "tokens": 9},
            {"answer": "", "tokens": 5}, {"answer": "x^2", "tokens": 11},
        ],
    }  # fmt: skip
    (tmp_path / "a.jsonl").write_text(json.dumps(row), encoding="utf-8")
    recording = load_recordings([tmp_path / "a.jsonl"])[0]
    everything = setting(samples=5, problems=1)
    outcomes, samples = play_run(replay_config("wait-for-all", recording, everything), recording, everything, 0)
    assert outcomes[0].correct
    answers = {sample.answer for sample in samples[0]}
    assert None in answers
    assert 7 in answers
    assert len(answers) == 4


def test_a_lane_that_is_forced_may_be_assumed_to_answer(traces: Path) -> None:
    never, late = (load_recordings([traces], forced_from)[0] for forced_from in (math.inf, 0.5))
    tight = setting(12 * 60)

    def forced(recording: Recording, policy: str) -> int:
        _, samples = play_run(replay_config(policy, recording, tight), recording, tight, 0)
        return sum(sample.forced and sample.answer is not None for drawn in samples for sample in drawn)

    assert forced(never, "wait-for-all+equal") == 0
    assert forced(late, "wait-for-all+equal") > 0
    assert forced(late, "wait-for-all+equal,budget.answer_reserve_seconds=0") == 0


@pytest.mark.long
@pytest.mark.skipif(not TRACES.is_dir(), reason="the shared recordings are not here")
def test_the_known_figures_of_the_shared_recordings(capsys: pytest.CaptureFixture[str]) -> None:
    """Margin 3 costs about half of the wall time of waiting for all, the oracle about a third, and no accuracy."""
    table = replayed(capsys, TRACES, "--stop-only", "--hardware", "constant", "--repeats", "1", "--policy", "margin-3")
    policies = table["policies"]
    assert policies["wait-for-all"]["accuracy"] == pytest.approx(0.832, abs=0.02)
    assert policies["margin-3"]["accuracy"] == pytest.approx(0.833, abs=0.02)
    assert policies["margin-3"]["wall"] == pytest.approx(0.51, abs=0.03)
    assert policies["oracle"]["wall"] == pytest.approx(0.36, abs=0.03)


@pytest.mark.long
@pytest.mark.skipif(not TRACES.is_dir(), reason="the shared recordings are not here")
def test_ours_beats_the_clamp_on_the_shared_recordings(capsys: pytest.CaptureFixture[str]) -> None:
    result = replayed(
        capsys, TRACES, "--budget-tokens", "9000", "--repeats", "2", "--no-bounds",
        "--policy", "price", "--compare", "price", "aimo3-clamp",
    )  # fmt: skip
    assert result["comparisons"][0]["difference"] > 1


def random_answers(rng: random.Random) -> list[int]:
    return [rng.choice([1, 1, 1, 2, 3]) for _ in range(rng.randint(1, 16))]


def test_adaptive_consistency_agrees_with_its_own_package() -> None:
    package = pytest.importorskip("adaptive_consistency")
    rule = package.AC(stop_criteria=package.BetaStoppingCriteria)
    rng = random.Random(0)
    for _ in range(200):
        answers = random_answers(rng)
        ours = STOPPING_RULES["beta"].verdict(progress(list(answers)), StoppingConfig(confidence=0.95)).stop is not None
        assert ours == bool(rule.should_stop(answers))


def test_consol_agrees_with_its_own_package() -> None:
    package = find_spec("consol")
    if package is None or not package.submodule_search_locations:
        pytest.skip("consol is not installed")
    # Loaded by its file: the package itself imports clients of language models.
    path = Path(package.submodule_search_locations[0]) / "confidence_models.py"
    spec = spec_from_file_location("confidence_models", path)
    assert spec is not None
    assert spec.loader is not None
    models = module_from_spec(spec)
    spec.loader.exec_module(models)
    test = models.SprtConfidenceModel()
    for second in range(8):
        for first in range(second, 16):
            assert bool(test.test(first, second)) == (first - second >= 3)
