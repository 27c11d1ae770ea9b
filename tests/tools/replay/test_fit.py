"""What is chosen to compare the default with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.runs.recordings import write_traces
from tools.replay.fit import BASELINE, candidates, main, stop_fits
from tools.replay.policies import OURS, WAIT, policy_keys
from tools.replay.stop import ORACLE, REFERENCE, StoppingResult
from tools.shared.intervals import resamples


def test_the_quickest_of_others_is_chosen_and_never_the_default_or_the_oracle() -> None:
    """Every policy is right at both problems of both recordings; the oracle and the default are the quickest."""
    seconds = {WAIT: 10.0, REFERENCE: 6.0, "margin-2": 5.0, "agree-4": 7.0, OURS: 2.0, ORACLE: 1.0}
    rows = [np.ones(2), np.ones(2)]
    result = StoppingResult(
        recordings=("a", "b"),
        policies=tuple(seconds),
        right=dict.fromkeys(seconds, rows),
        seconds={policy: [row * each for row in rows] for policy, each in seconds.items()},
        draws=rows,
        weights=resamples(2, 0),
    )
    fits = stop_fits(result)
    assert [choice.candidate for fit in fits for choice in fit.choices] == ["margin-2"] * 4
    assert [fit.shown[:12] for fit in fits] == ["", "How many pro"], "nothing differs in accuracy"
    assert [(choice.chosen, choice.default, choice.baseline) for choice in fits[0].choices] == [(0.5, 0.2, 0.6)] * 2


@pytest.mark.parametrize("stop_only", [True, False])
def test_no_candidate_is_another_by_its_keys_and_the_default_and_the_published_rule_are_among_them(
    *, stop_only: bool
) -> None:
    names = candidates(stop_only=stop_only)
    keys = {tuple(sorted(policy_keys(name).items())) for name in names}
    assert len(keys) == len(names) and ORACLE not in names
    assert {OURS, REFERENCE if stop_only else BASELINE} <= set(names)


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        write_traces(tmp_path / f"{name}.jsonl", problems=2)
    return tmp_path


def test_the_published_rule_is_among_those_that_are_chosen(traces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--samples=2", "--problems=2", "--repeats=1", "--processes=1", "--budget-tokens=3000", "--json"]
    assert main([str(traces), *flags]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [len(fit["choices"]) for fit in told] == [2, 2]
    assert all("1 right answer of 2" in fit["shown"] for fit in told)
    assert all(choice["candidate"] in candidates(stop_only=False) for fit in told for choice in fit["choices"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--samples=64"], "and 64 are to be drawn: give --samples 24"),
        (["--stop-only", "--samples=64"], "and 64 are to be drawn: give --samples 24"),
        (["--stop-only", "--budget-tokens=9000"], "--stop-only plays no runs, which have a time limit: leave out"),
    ],
)
def test_what_cannot_be_fitted_is_one_sentence(
    flags: list[str], message: str, traces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(traces), *flags]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and message in told and told.count("\n") == 1
