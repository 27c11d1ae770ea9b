"""Serves `predict` through the competition's own evaluation package, or through the local one where it is absent."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from submission.competitions import Competition
from submission.serving.local_gateway import LocalInferenceServer, LocalIterator
from submission.serving.mounts import find_evaluation_package
from submission.serving.problem_table import column_names, read_table, write_table

Predict = Callable[..., pl.DataFrame]

RERUN_VARIABLE = "KAGGLE_IS_COMPETITION_RERUN"
SERVED_BY = "served by"
_SERVERS = {
    "aimo2": ("kaggle_evaluation.aimo_2_inference_server", "AIMO2InferenceServer"),
    "aimo3": ("kaggle_evaluation.aimo_3_inference_server", "AIMO3InferenceServer"),
}


def is_rerun() -> bool:
    """Whether this is the scored run, in which a gateway in another container calls us."""
    return os.environ.get(RERUN_VARIABLE) is not None


def serve(predict: Predict, competition: Competition, csv: Path) -> None:
    """Answer all problems: in the scored run those of Kaggle's gateway, else those of `csv`.

    `submission.parquet` is written by the gateway.
    """
    if competition.edition.name == "aimo1":
        serve_iterator(predict, _iterator(competition, csv))
        return
    server = _server(predict, competition)
    if is_rerun():
        with suppress(KeyboardInterrupt):  # Kaggle ends the container; a rehearsal only interrupts this cell
            server.serve()
    else:
        server.run_local_gateway((str(without_answers(csv)),))


def serve_iterator(predict: Predict, environment: Any) -> None:
    """Answer all problems of AIMO-1's environment."""
    for problem, sample in environment.iter_test():
        answered = predict(problem["id"], problem["problem"])
        sample["answer"] = answered["answer"].item()
        environment.predict(sample)


def without_answers(csv: Path) -> Path:
    """The file, or a copy without its answers: the package would hand these to `predict` as a third argument."""
    if column_names(csv) == ["id", "problem"]:
        return csv
    copy = Path.cwd() / f"{csv.stem}-problems.csv"
    write_table(read_table(csv), copy)
    return copy


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


def _iterator(competition: Competition, csv: Path) -> Any:
    folder = find_evaluation_package("aimo")
    if folder is None:
        print(f"{SERVED_BY} the local gateway, because no aimo package is mounted")
        return LocalIterator(csv, competition.edition)
    print(f"{SERVED_BY} aimo in {folder}")
    sys.path.insert(0, str(folder))
    return importlib.import_module("aimo").make_env()
