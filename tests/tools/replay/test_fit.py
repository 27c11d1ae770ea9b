"""What is chosen to compare the default with."""

from __future__ import annotations

import numpy as np

from tools.replay.fit import candidates, stop_fits
from tools.replay.policies import OURS, WAIT
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
    assert [(choice.chosen, choice.default, choice.baseline) for choice in fits[0].choices] == [(0.5, 0.2, 0.6)] * 2


def test_no_candidate_is_named_twice_and_the_default_is_beside_them() -> None:
    for stop_only in (True, False):
        names = candidates(stop_only=stop_only)
        assert len(set(names)) == len(names) and OURS in names and ORACLE not in names
