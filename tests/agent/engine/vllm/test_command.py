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
        if launch.settings.enforce_eager:
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
        VllmConfig(extra_args=("--compilation-config", "{}")),
        VllmConfig(extra_args=("-O0",)),
        VllmConfig(extra_args=("--speculative-config={}",)),
    ],
)
def test_where_graphs_are_not_ours_to_choose_vllm_does(settings: VllmConfig) -> None:
    assert _FLAG not in server_command(EngineConfig(kind="vllm", model="m"), settings, 1)
