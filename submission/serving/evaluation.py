"""Serves `predict` through the competition's own evaluation package, or through the local one where it is absent."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from agent.types import Problem
from submission.competitions import Competition
from submission.serving.local_gateway import LocalInferenceServer, LocalIterator
from submission.serving.mounts import find_evaluation_package
from submission.serving.problem_table import table_of, write_table

Predict = Callable[..., pl.DataFrame]
Load = Callable[[], Sequence[Problem]]

RERUN_VARIABLE = "KAGGLE_IS_COMPETITION_RERUN"
PROBLEMS_COPY = Path("problems-without-answers.csv")
SERVED_BY = "served by"
_SERVERS = {
    "aimo2": ("kaggle_evaluation.aimo_2_inference_server", "AIMO2InferenceServer"),
    "aimo3": ("kaggle_evaluation.aimo_3_inference_server", "AIMO3InferenceServer"),
}


def is_rerun() -> bool:
    """Whether this is the scored run, in which a gateway in another container calls us."""
    return os.environ.get(RERUN_VARIABLE) is not None


def serve(predict: Predict, competition: Competition, load: Load) -> None:
    """Answer all problems: in the scored run those of Kaggle's gateway, else those that `load` reads.

    `submission.parquet` is written by the gateway.
    """
    if competition.edition.name == "aimo1":
        serve_iterator(predict, _iterator(competition, load))
        return
    server = _server(predict, competition)
    if is_rerun():
        with suppress(KeyboardInterrupt):  # Kaggle ends the container; a rehearsal only interrupts this cell
            server.serve()
    else:
        # A copy without the answers, which the package would hand to `predict` as a third argument.
        write_table(table_of(load()), PROBLEMS_COPY)
        server.run_local_gateway((str(PROBLEMS_COPY),))


def serve_iterator(predict: Predict, environment: Any) -> None:
    """Answer all problems of AIMO-1's environment."""
    for problem, sample in environment.iter_test():
        answered = predict(problem["id"], problem["problem"])
        sample["answer"] = answered["answer"].item()
        environment.predict(sample)


def _server(predict: Predict, competition: Competition) -> Any:
    folder = find_evaluation_package()
    if folder is None:
        print(f"{SERVED_BY} the local gateway, because no kaggle_evaluation is mounted")
        return LocalInferenceServer(predict, competition.edition)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    package = importlib.import_module("kaggle_evaluation")
    print(f"{SERVED_BY} kaggle_evaluation {getattr(package, '__version__', 'of an unknown version')} in {folder}")
    module, name = _SERVERS[competition.edition.name]
    return getattr(importlib.import_module(module), name)(predict)


def _iterator(competition: Competition, load: Load) -> Any:
    folder = find_evaluation_package("aimo")
    if folder is None:
        print(f"{SERVED_BY} the local gateway, because no aimo package is mounted")
        return LocalIterator(load(), competition.edition)
    print(f"{SERVED_BY} aimo in {folder}")
    sys.path.insert(0, str(folder))
    return importlib.import_module("aimo").make_env()
