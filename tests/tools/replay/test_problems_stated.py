"""Runs whose number of problems is not what the agent is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.runs.recordings import write_traces
from tests.tools.replay.test_replay import complaint, replayed

FLAGS = ("--budget-tokens", "2500", "--repeats", "2", "--problems", "8", "--samples", "6", "--no-bounds")
POLICIES = ("--policy", "price", "--policy", "aimo3-clamp")


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    return write_traces(tmp_path / "model.jsonl")


def test_problems_one_by_one_of_the_number_that_was_stated_are_a_run_like_any(
    capsys: pytest.CaptureFixture[str], traces: Path
) -> None:
    plain, stated = (replayed(capsys, traces, *FLAGS, *POLICIES, *more) for more in ((), ("--problems-stated", "8")))
    assert (plain["setting"].pop("problems_stated"), stated["setting"].pop("problems_stated")) == (None, 8)
    assert plain == stated


@pytest.mark.parametrize("stated", ["1", "5", "20"])
def test_whatever_number_is_stated_the_run_keeps_its_limit(
    stated: str, capsys: pytest.CaptureFixture[str], traces: Path
) -> None:
    told = replayed(capsys, traces, *FLAGS, *POLICIES, "--problems-stated", stated)
    shares = [policy["wall_share"] for policy in told["policies"].values()]
    assert max(shares) <= 1 + 1e-9
    assert min(shares) < 0.9 or stated != "20", "time is kept for problems that never come"


def test_stopping_alone_knows_no_number_of_problems(capsys: pytest.CaptureFixture[str], traces: Path) -> None:
    assert "leave out --problems-stated" in complaint(capsys, traces, "--stop-only", "--problems-stated", "9")
