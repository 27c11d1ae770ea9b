"""Safer settings: each step changes something, and nothing but what it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import Config, load_config, override_config, profile_names
from agent.health.ladder import safer_steps

SPECULATION = '{"method": "suffix", "num_speculative_tokens": 8}'
KEPT = ["--distributed-executor-backend", "uni", "--seed=3", "-O3", "--no-enable-log-requests"]


def vllm_with(**keys: object) -> Config:
    named = {key.replace("__", "."): value for key, value in keys.items()}
    return load_config("vllm", {"engine.model": "some-model", **named})


def walked(config: Config) -> list[tuple[str, Config]]:
    """The names of the steps, and the configuration after each."""
    found = []
    for step in safer_steps(config):
        after = override_config(config, step.keys)
        assert after != config
        config = after
        found.append((step.name, config))
    return found


def test_the_kv_cache_comes_first_then_speculation_then_eager_mode() -> None:
    words = ["--speculative-config", SPECULATION, *KEPT]
    steps = walked(vllm_with(vllm__kv_cache_dtype="fp8", vllm__extra_args=words))
    assert [name for name, _ in steps] == ["its KV cache in 16 bits", "no speculation", "eager mode"]
    (_, first), (_, second), (_, third) = steps
    assert (first.vllm.kv_cache_dtype, list(first.vllm.extra_args), first.vllm.enforce_eager) == ("auto", words, False)
    assert (second.vllm.kv_cache_dtype, list(second.vllm.extra_args)) == ("auto", KEPT)
    assert (list(third.vllm.extra_args), third.vllm.enforce_eager) == (KEPT, True)


def test_steps_that_change_nothing_are_left_out() -> None:
    assert [name for name, _ in walked(vllm_with())] == ["eager mode"]
    assert walked(vllm_with(vllm__enforce_eager=True)) == []
    assert walked(vllm_with(vllm__extra_args=["--enforce-eager"])) == []
    assert safer_steps(load_config("vllm-cpu")) == ()


@pytest.mark.parametrize("profile", ["cpu", "qwq"])
def test_a_server_that_is_not_started_by_us_has_no_steps(profile: str) -> None:
    keys = {"vllm.kv_cache_dtype": "fp8", "vllm.extra_args": ["--speculative-config", SPECULATION]}
    assert safer_steps(load_config(profile, keys)) == ()


@pytest.mark.parametrize(
    "words",
    [
        ["--speculative-config", SPECULATION],
        ["--speculative_config", SPECULATION],
        [f"--speculative-config={SPECULATION}"],
        ["--speculative-config.method", "ngram", "--speculative-config.num_speculative_tokens", "4"],
        ["-sc", SPECULATION],
        ["--speculative-model", "[ngram]", "--num-speculative-tokens", "5"],
        ["--spec-method", "eagle3", "--spec-tokens", "3"],
    ],
)
def test_speculation_is_left_out_however_it_is_asked_for(words: list[str]) -> None:
    for at in (0, 2, len(KEPT)):
        extra = [*KEPT[:at], *words, *KEPT[at:]]
        name, after = walked(vllm_with(vllm__extra_args=extra))[0]
        assert (name, list(after.vllm.extra_args)) == ("no speculation", KEPT)


@pytest.mark.parametrize(
    "words", [["--kv-cache-dtype", "fp8_e5m2"], ["--kv_cache_dtype=fp8"], ["--kv-cache-dtype=fp8"]]
)
def test_a_kv_cache_among_the_further_arguments_is_put_into_16_bits_too(words: list[str]) -> None:
    name, after = walked(vllm_with(vllm__extra_args=[*words, *KEPT]))[0]
    assert (name, list(after.vllm.extra_args)) == ("its KV cache in 16 bits", KEPT)


@given(st.lists(st.sampled_from([*KEPT, "--seed", "3", "x", "--swap-space", "4"])))
def test_other_arguments_stay(words: list[str]) -> None:
    steps = safer_steps(vllm_with(vllm__extra_args=words))
    assert [step.keys for step in steps] == [{"vllm.enforce_eager": True}]


@pytest.mark.parametrize("profile", profile_names())
def test_the_steps_of_every_profile_are_valid(profile: str) -> None:
    walked(load_config(profile, {"engine.model": "some-model"}))
