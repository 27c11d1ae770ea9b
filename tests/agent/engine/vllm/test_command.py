"""The command line of a vLLM server: for how many sequences graphs are captured."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import EngineConfig, VllmConfig
from agent.engine.vllm.command import capture_sizes, launch_settings, server_command

_FLAG = "--cudagraph-capture-sizes"


@given(st.integers(1, 1_024))
def test_graphs_are_captured_for_every_number_of_lanes_up_to_the_most(most: int) -> None:
    for launch in launch_settings(VllmConfig(gpu="H100", max_num_seqs=most)):
        sizes = capture_sizes(launch.settings)
        if launch.settings.enforce_eager or launch.settings.max_num_seqs > 256:
            assert not sizes
            continue
        assert sizes[0] == 1 and sizes[-1] == launch.settings.max_num_seqs
        assert all(0 < after - before <= 8 for before, after in pairwise(sizes))  # how much a step is padded by
        command = server_command(EngineConfig(kind="vllm", model="m"), launch.settings, 1)
        at = command.index(_FLAG) + 1
        assert command[at : at + len(sizes)] == list(map(str, sizes))


@pytest.mark.parametrize(
    "settings",
    [
        VllmConfig(gpu="cpu"),
        VllmConfig(enforce_eager=True),
        VllmConfig(max_num_seqs=257),
    ],
)
def test_where_graphs_are_not_ours_to_choose_vllm_does(settings: VllmConfig) -> None:
    assert _FLAG not in server_command(EngineConfig(kind="vllm", model="m"), settings, 1)


@pytest.mark.parametrize(
    "argument",
    [
        "--compilation-config",
        "--compilation_config",
        "-cc",
        "-O0",
        "--max-cudagraph-capture-size=8",
        "--speculative-config={}",
        "--speculative_config",
        "--spec-method=ngram",
        "--spec_tokens",
        "-sc",
        "--max-num-seqs=64",
        "--max_num_seqs",
        "--performance-mode=interactivity",
    ],
)
def test_an_argument_about_graphs_in_any_spelling_leaves_them_to_vllm(argument: str) -> None:
    assert not capture_sizes(VllmConfig(extra_args=(argument,)))


@pytest.mark.parametrize("argument", ["--seed=1", "--max-num-batched-tokens=64", "--swap_space"])
def test_other_arguments_change_nothing_about_graphs(argument: str) -> None:
    assert capture_sizes(VllmConfig(extra_args=(argument,))) == capture_sizes(VllmConfig())
