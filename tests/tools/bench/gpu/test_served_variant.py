"""A served variant whose server fails, and the lanes that all benchmarks draw."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.config import Config
from agent.engine.base import SamplingParams
from agent.errors import EngineError
from agent.types import Problem
from tests.support.doubles import BREAK, ScriptedEngine, config_with
from tests.support.runs.serving_matrices import USUAL
from tests.support.samples import sample
from tools.bench import engine as engine_bench
from tools.bench import lane as lane_bench
from tools.bench.clients import Draw, whole_lanes
from tools.bench.delegating_engine import FirstTokenWatch
from tools.bench.gpu.measure import MeasurementSettings, ServedVariant, speed_config


class DyingEngine(ScriptedEngine):
    """Is gone once its first problem is solved, as a server that crashes when the votes are enough."""

    def release(self, prompt: str) -> None:
        super().release(prompt)
        self.down = True


def served(engine: ScriptedEngine, folder: Path, **keys: object) -> ServedVariant:
    config = config_with(sample__tools=False, sampling__seeded=True, engine__port=1, **keys)
    settings = MeasurementSettings(None, 40, [Problem("p", "What is 2 + 2?", 4)], folder)
    return ServedVariant(USUAL, config, FirstTokenWatch(engine), settings, lambda text: None)


@pytest.mark.process
async def test_a_server_that_dies_behind_enough_votes_has_failed(tmp_path: Path) -> None:
    reply = "So it is \\boxed{4}."
    alive, dying = (kind(lambda prompt, params: reply, 0.0) for kind in (ScriptedEngine, DyingEngine))
    measured = await served(alive, tmp_path / "alive", sample__count=2).accuracy()
    assert measured.right == 1
    with pytest.raises(EngineError, match="down"):
        await served(dying, tmp_path / "dying", sample__count=2).accuracy()


@pytest.mark.process
@pytest.mark.parametrize("broken", [1, 3])
async def test_lanes_that_fail_at_once_are_not_left_out_of_a_speed(broken: int, tmp_path: Path) -> None:
    failing: list[int | None] = []

    def reply(prompt: str, params: SamplingParams) -> str:
        if params.seed not in failing and len(failing) < broken:
            failing.append(params.seed)
        return BREAK if params.seed in failing else "word " * 99

    with pytest.raises(EngineError, match="broken"):
        await served(ScriptedEngine(reply, 0.0), tmp_path, engine__retries=0).speed(3)


def _engine_config(lanes: int, tokens: int, folder: Path) -> Config:
    parser = argparse.ArgumentParser()
    engine_bench.add_engine_flags(parser)
    args = parser.parse_args(["--profile", "vllm-cpu", "--model", "some/model", "--tokens", str(tokens)])
    return engine_bench._with_lanes(engine_bench._config(args, folder), lanes)


@pytest.mark.parametrize(
    "config",
    [
        _engine_config,
        lambda lanes, tokens, folder: lane_bench._config(lanes, "model", tokens),
        lambda lanes, tokens, folder: speed_config(config_with(sample__probe_tokens=99), lanes, tokens),
    ],
    ids=["engine", "lane", "gpu"],
)
def test_every_benchmark_lets_all_lanes_run_to_their_end(
    config: Callable[[int, int, Path], Config], tmp_path: Path
) -> None:
    found, keys = config(5, 17, tmp_path), whole_lanes(5, 17)
    assert {key: found.model_dump()[key.partition(".")[0]][key.partition(".")[2]] for key in keys} == keys


def test_the_mean_context_is_of_what_was_drawn() -> None:
    """The prompt, at four characters a token, and half of the tokens that a lane has at its end."""
    draw = Draw(config_with(), Problem("p", "x"), [sample(None, tokens=100), sample(None, tokens=300)], "")
    assert draw.mean_context == len(draw.prompt) / 4 + 100
