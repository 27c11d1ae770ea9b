"""The ladder with real processes, by the stand-in for vLLM's server: which settings help, recorded and resumed with."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from agent import Agent
from agent.config import Config, load_config
from agent.errors import UnhealthyModelError
from agent.events import Event, HealthChecked
from agent.journal.journal import JOURNAL_FILE, read_run
from agent.problems.reader import check_problems
from agent.types import Problem
from tests.support.servers.vllm_doubles import plan
from tests.support.servers.vllm_rules import add_flags

pytestmark = pytest.mark.process

SPECULATION = ("--speculative-config", '{"method": "ngram", "num_speculative_tokens": 4}')
PROBLEMS = [Problem("p", "What is 6 times 7?", 42)]
RIGHT = {problem.text: f"It is easy to see: \\boxed{{{problem.answer}}}" for problem in check_problems()}
STEPS = ("vllm.kv_cache_dtype", "vllm.extra_args", "vllm.enforce_eager")


def config_of(folder: Path, sound_with: dict[str, Any]) -> Config:
    environment = plan(
        folder, reply="It is \\boxed{42}", replies=RIGHT, ruined="?? " * 900, sound_with=sound_with, max_model_len=4_096
    )
    keys = {
        "engine.model": "some-model",
        "vllm.kv_cache_dtype": "fp8",
        "vllm.enforce_eager": False,
        "vllm.extra_args": [*SPECULATION, "--seed", "3"],
        "sample.family": "qwq-preview",
        "sample.count": 2,
        **{f"vllm.environment.{name}": value for name, value in environment.items()},
    }
    return load_config("vllm-cpu", keys)


def starts(folder: Path) -> list[list[str]]:
    """The flags of each start of the server."""
    lines = (folder / "seen.jsonl").read_text().splitlines()
    return [entry["flags"] for entry in map(json.loads, lines) if "flags" in entry]


def settings_of(flags: list[str]) -> tuple[str, bool, bool]:
    dtype = flags[flags.index("--kv-cache-dtype") + 1]
    return dtype, "--speculative-config" in flags, "--enforce-eager" in flags


@pytest.mark.parametrize(
    ("sound_with", "steps"),
    [({"kv_cache_dtype": "auto"}, 1), ({"speculative_config": None}, 2), ({"enforce_eager": True}, 3)],
    ids=["16 bits", "no speculation", "eager"],
)
def test_the_first_settings_that_help_are_recorded_told_and_resumed_with(
    sound_with: dict[str, Any], steps: int, tmp_path: Path
) -> None:
    told: list[Event] = []
    run = tmp_path / "run"
    (solution,) = Agent.run(PROBLEMS, config_of(tmp_path, sound_with), run_dir=run, listeners=[told.append])
    assert solution.answer == 42
    walked = [("fp8", True, False), ("auto", True, False), ("auto", False, False), ("auto", False, True)]
    assert list(map(settings_of, starts(tmp_path))) == walked[: steps + 1]

    record = read_run(run)
    (checked,) = record.checks
    assert [event for event in told if isinstance(event, HealthChecked)] == [checked]
    assert (checked.fault, checked.right >= 1, tuple(checked.changed)) == ("", True, STEPS[:steps])
    assert all(key in checked.text for key in STEPS[:steps])
    vllm = record.config.vllm
    kept = ("--seed", "3")
    assert vllm.kv_cache_dtype == "auto" and vllm.enforce_eager is (steps > 2)
    assert vllm.extra_args == (kept if steps > 1 else (*SPECULATION, *kept))

    journal = run / JOURNAL_FILE
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if json.loads(line)["kind"] == "check"))
    Agent.run(PROBLEMS, run / "config.toml", run_dir=run, resume=True)
    assert list(map(settings_of, starts(tmp_path))) == [*walked[: steps + 1], walked[steps]]
    assert [solution.answer for solution in read_run(run).solutions] == [42]


def test_a_server_that_no_settings_help_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"kv_cache_dtype": "none of these"})
    with pytest.raises(
        UnhealthyModelError, match=r"also with vllm\.kv_cache_dtype = 'auto', .*enforce_eager = True"
    ) as caught:
        Agent.run(PROBLEMS, config, run_dir=tmp_path / "run")
    assert "--no-check" in str(caught.value) and "'?? ??" in str(caught.value)
    assert len(starts(tmp_path)) == 4
    assert not (tmp_path / "run" / JOURNAL_FILE).exists()


@pytest.mark.parametrize("words", [["--kv-cache-dtype", "fp9"], ["--speculative-config", "ngram"]])
def test_the_stand_in_refuses_the_values_of_flags_that_vllm_refuses(words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    with pytest.raises(SystemExit):
        parser.parse_known_args(words)
