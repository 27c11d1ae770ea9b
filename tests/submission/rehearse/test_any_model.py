"""The whole notebook, executed as Kaggle does, with a model folder that is not QwQ's."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
import pytest

from agent.config import load_config
from agent.problems.reader import load_problems
from agent.problems.writer import write_problems
from agent.types import Problem
from submission.build.command import NOTEBOOK_FILE, build_notebook, write_notebook
from submission.competitions import COMPETITIONS
from submission.isolation import can_isolate
from submission.rehearse.stage import Stage, copy_stand_in, lay_out
from submission.rehearse.verdict import submission_findings
from submission.serving.problem_table import table_of

pytestmark = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.skipif(not can_isolate(), reason="bubblewrap is not usable here"),
]

SECONDS = 240.0


@pytest.fixture
def stage(tmp_path: Path, tiny_model: Path) -> Stage:
    """A built notebook on this Python, whose packages are those of the worker too, since no wheels are attached."""
    competition = COMPETITIONS["aimo3"]
    write_notebook(build_notebook(competition, {}), tmp_path / NOTEBOOK_FILE)
    stand_in = copy_stand_in(tiny_model, tmp_path)
    return Stage(competition, tmp_path, tmp_path / NOTEBOOK_FILE, Path(sys.executable), SECONDS, stand_in)


def attach(stage: Stage, model: str, machine: str) -> None:
    problems = stage.out / "problems.csv"
    write_problems([Problem("a", "What is 6 times 7?", 42), Problem("b", "What is 2 times 3?", 6)], problems)
    wheels = stage.out / "no-wheels"
    wheels.mkdir()
    lay_out(stage, problems=problems, wheels=wheels, package=None, machine=machine, attached=model)


def execute(stage: Stage, *, rerun: bool) -> tuple[str | None, str]:
    """The one-line message of a failure, and the executed notebook."""
    error = stage.execute(rerun=rerun, tell=lambda line: None)
    return error, stage.executed(rerun=rerun).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("model", "machine", "profile", "family"),
    [
        ("openai/gpt-oss-120b", "NvidiaH100", "kaggle-h100-gpt-oss-120b", "gpt-oss"),
        ("Qwen/Qwen3-30B-A3B-Thinking-2507", "NvidiaL4", "vllm", "qwen3-thinking"),
    ],
)
def test_the_family_and_the_profile_are_those_of_the_attached_model(
    model: str, machine: str, profile: str, family: str, stage: Stage
) -> None:
    attach(stage, model, machine)
    error, executed = execute(stage, rerun=False)
    assert error is None or "no problem was answered by vote" in error  # so small a model may give none
    assert f"family {family}, profile {profile}: " in executed
    config = load_config(str(stage.working / "run" / "config.toml"))
    assert (config.profile, config.sample.family, config.engine.kind) == (profile, family, "embedded")
    found = submission_findings(stage.submission(rerun=False), table_of(load_problems(stage.csv)), stage)
    assert all(good for good, _ in found), found


def test_where_nothing_fits_the_interactive_run_fails_and_the_scored_run_answers(stage: Stage) -> None:
    attach(stage, "openai/gpt-oss-120b", "NvidiaTeslaT4")
    error, _ = execute(stage, rerun=False)
    assert error is not None and "no attached model suits" in error
    assert not stage.submission(rerun=False).exists()
    error, _ = execute(stage, rerun=True)
    assert error is None
    assert pl.read_parquet(stage.submission(rerun=True))["answer"].to_list() == [0, 0]
