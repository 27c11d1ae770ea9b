"""A replay leaves nothing to the garbage collector, which would take a fifth of its time."""

from __future__ import annotations

import gc
from pathlib import Path

from agent.lane.lane import Lane
from tests.support.runs.recordings import setting, write_traces
from tools.replay.recordings import load_recordings
from tools.replay.run import play_run, replay_config


def test_a_lane_that_was_cancelled_is_freed_without_the_garbage_collector(tmp_path: Path) -> None:
    recording = load_recordings([write_traces(tmp_path / "model.jsonl")])[0]
    tight = setting(12 * 60)
    config = replay_config("margin-2", recording, tight)
    gc.collect()
    gc.disable()
    before = [each for each in gc.get_objects() if isinstance(each, Lane)]  # which other tests still hold
    try:
        outcomes, _ = play_run(config, recording, tight, 0)
        left = [each for each in gc.get_objects() if isinstance(each, Lane) and each not in before]
    finally:
        gc.enable()
    assert sum(problem.cut for problem in outcomes) > 10
    assert not left
