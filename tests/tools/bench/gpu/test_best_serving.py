"""Which way to serve is the best, and the profile that is written for it."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from agent.config import load_config
from tests.support.runs.serving_matrices import USUAL, accuracy_of, matrix_results, plan_of, speed_of
from tests.support.tiers.cases import examples
from tools.bench.gpu.best import EQUAL_SHARE, BestServing, accuracy_interval, best_serving, profile_text
from tools.bench.gpu.matrix import SPECULATIONS, ServingMatrix, ServingVariant
from tools.bench.gpu.results import MatrixResults, Measured, Refused, ServerStarted

FP8_KV = ServingVariant("stored", "fp8", "none")
NGRAM = ServingVariant("stored", "auto", "ngram")
PLAN = plan_of(ServingMatrix(("stored",), ("auto", "fp8"), ("none", "ngram"), (8, 16)))


def chosen(*records: Measured) -> tuple[ServingVariant, int]:
    best = best_serving(MatrixResults(PLAN, records))
    assert best is not None
    return best.speed.variant, best.speed.lanes


@examples(40)
@given(matrix_results())
def test_the_best_is_the_fastest_of_its_variant_which_is_not_surely_less_accurate_than_another(
    results: MatrixResults,
) -> None:
    results = replace(results, records=tuple(each for each in results.records if not isinstance(each, ServerStarted)))
    best = best_serving(results)
    if best is None:
        assert not results.speeds or results.accuracies or results.refusals
        return
    variant = best.speed.variant
    if results.accuracies:
        own = accuracy_interval(results.accuracies[variant])
        assert all(own.high >= accuracy_interval(other).low for other in results.accuracies.values())
    failed = [step.lanes for each, step in results.refusals if each == variant and step is not None]
    assert None not in failed
    least = min((lanes for lanes in failed if lanes), default=math.inf)
    kept = [
        speed.agent.per_second for speed in results.speeds.values() if speed.variant == variant and speed.lanes < least
    ]
    assert best.speed.lanes < least and best.speed.agent.per_second >= max(kept) * (1 - EQUAL_SHARE)


@examples(20)
@given(matrix_results())
def test_the_profile_of_any_matrix_loads(results: MatrixResults) -> None:
    best = best_serving(results)
    if best is None:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(profile_text(results, best))
        file.flush()
        config = load_config(file.name)
    assert (config.sample.count, config.vllm.max_num_seqs) == (best.speed.lanes, best.speed.lanes)
    assert config.vllm.kv_cache_dtype == best.speed.variant.kv_cache


def test_the_fastest_is_chosen_and_of_equal_ones_the_usual_with_the_fewest_lanes() -> None:
    assert chosen(speed_of(USUAL, 8, 100.0), speed_of(NGRAM, 8, 110.0)) == (NGRAM, 8)
    assert chosen(speed_of(NGRAM, 8, 102.0), speed_of(USUAL, 16, 101.0), speed_of(USUAL, 8, 100.0)) == (USUAL, 8)


def test_what_is_surely_less_accurate_or_not_known_to_be_accurate_is_not_chosen() -> None:
    fast = speed_of(FP8_KV, 8, 500.0)
    slow = speed_of(USUAL, 8, 100.0)
    assert chosen(fast, slow, accuracy_of(USUAL, 12), accuracy_of(FP8_KV, 11)) == (FP8_KV, 8)
    assert chosen(fast, slow, accuracy_of(USUAL, 12), accuracy_of(FP8_KV, 2)) == (USUAL, 8)
    assert chosen(fast, slow, accuracy_of(USUAL, 12)) == (USUAL, 8)


def test_what_failed_with_as_many_lanes_or_fewer_or_while_it_solved_problems_is_not_chosen() -> None:
    fast, faster, slow = speed_of(NGRAM, 8, 500.0), speed_of(NGRAM, 16, 900.0), speed_of(USUAL, 8, 100.0)
    assert chosen(fast, slow, Refused(NGRAM, "why", 16)) == (NGRAM, 8)
    assert chosen(faster, slow, Refused(NGRAM, "why", 8)) == (USUAL, 8)
    assert chosen(fast, faster, slow, Refused(NGRAM, "why", None, accuracy=True)) == (USUAL, 8)


@pytest.mark.parametrize(("kv_tokens", "lanes"), [(100_000, 16), (12_000, 8), (10, 16), (None, 16)])
def test_lanes_that_the_kv_cache_cannot_hold_at_half_their_context_are_not_chosen(
    kv_tokens: int | None, lanes: int
) -> None:
    """Each lane of the profile has up to 2,048 tokens; where not even the fewest lanes fit, the fastest are taken."""
    server = ServerStarted(USUAL, 1.0, {}, None, kv_tokens)
    assert chosen(server, speed_of(USUAL, 8, 100.0), speed_of(USUAL, 16, 200.0)) == (USUAL, lanes)


def loaded(text: str, tmp_path: Path) -> tuple[str, list[str]]:
    path = tmp_path / "own.toml"
    path.write_text(text)
    config = load_config(path)
    assert config.profile == "own"
    return config.engine.model, list(config.vllm.extra_args)


def test_the_profile_says_what_was_measured_and_serves_that_way(tmp_path: Path) -> None:
    speed = speed_of(NGRAM, 8, 123.4, roofline=500.0)
    best = BestServing(speed, accuracy_of(NGRAM, 11))
    text = profile_text(MatrixResults(PLAN, (speed,)), best)
    model, args = loaded(text, tmp_path)
    assert model == "some/model" and "--speculative-config" in args and SPECULATIONS["ngram"]["method"] in args[-1]
    comment = [line for line in text.splitlines() if line.startswith("#")]
    for words in (
        "vLLM 0.32.0 on 1 x NVIDIA H200",
        "123.4 tokens/s",
        "25% of the roofline",
        "11 of 12 starter problems",
    ):
        assert any(words in line for line in comment), words


def test_a_matrix_of_an_earlier_version_has_a_profile(tmp_path: Path) -> None:
    """Its configuration has keys that are retired."""
    config = {**PLAN.config, "budget": {**PLAN.config["budget"], "lanes_per_first_vote": 6.0}}
    speed = speed_of(USUAL, 8, 100.0)
    text = profile_text(MatrixResults(replace(PLAN, config=config), (speed,)), BestServing(speed, None))
    assert loaded(text, tmp_path)[0] == "some/model"


def test_a_profile_from_random_weights_names_no_model_and_says_so(tmp_path: Path) -> None:
    plan = plan_of(PLAN.matrix, random="qwq-32b", model="qwq-32b")
    speed = speed_of(USUAL, 8, 100.0)
    text = profile_text(MatrixResults(plan, (speed,)), BestServing(speed, None))
    assert loaded(text, tmp_path)[0] == ""
    assert "random weights of the shape qwq-32b" in text and "with --model" in text
    assert load_config(tmp_path / "own.toml").vllm.load_format == "auto"
