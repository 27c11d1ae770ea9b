"""The notebook's steps: a worker that cannot solve fails an interactive run at once, and costs a scored one nothing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from agent.errors import EngineError
from agent.types import Problem
from submission.competitions import COMPETITIONS
from submission.serving.connection import WorkerProcess
from submission.serving.mounts import RERUN_VARIABLE
from submission.serving.predictor import Predictor
from submission.serving.session import open_predictor

pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(RERUN_VARIABLE, raising=False)


def opened(profile: str, **settings: Any) -> Predictor:
    predictor, _ = open_predictor(
        COMPETITIONS["aimo3"],
        profile=profile,
        model="",
        sources=[],
        settings=settings,
        stand_in={},
        load_seconds=0.0,
        wheels=None,
        started=time.monotonic(),
        margin_seconds=600.0,
        fallback=3,
        load=lambda: [Problem("a", "What is 6 times 7?", 42)],
    )
    return predictor


def test_a_profile_that_is_not_there_fails_the_interactive_run() -> None:
    with pytest.raises(EngineError, match="no profile 'abacus'"):
        opened("abacus")
    page = Path("run-page.html").read_text(encoding="utf-8")
    assert "not started: " in page and "no profile &#x27;abacus&#x27;" in page and ">wheels</td>" in page


def test_an_engine_that_is_not_there_fails_the_interactive_run() -> None:
    with pytest.raises(EngineError, match=r"127\.0\.0\.1:9"):
        opened("cpu", **{"engine.kind": "http", "engine.url": "http://127.0.0.1:9"})


def test_the_scored_run_answers_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RERUN_VARIABLE, "1")
    predictor = opened("abacus")
    try:
        assert predictor.answer("a", "What is 6 times 7?") == 3
    finally:
        connection = predictor._client._connection
        assert isinstance(connection, WorkerProcess)
        connection.close()
    assert predictor.answered[0].source == "fallback"
    assert any("no profile 'abacus'" in warning for warning in predictor.answered[0].warnings)
