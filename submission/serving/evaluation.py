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
from submission.competitions import Competition, imported_class
from submission.serving.local_gateway import LocalInferenceServer, LocalIterator
from submission.serving.mounts import RERUN_VARIABLE, find_evaluation_package
from submission.serving.problem_table import table_of, write_table

Predict = Callable[..., pl.DataFrame]
Load = Callable[[], Sequence[Problem]]

PROBLEMS_COPY = Path("problems-without-answers.csv")
SERVED_BY = "served by"


def is_rerun() -> bool:
    """Whether this is the scored run, in which a gateway in another container calls us."""
    return os.environ.get(RERUN_VARIABLE) is not None


def serve_predict(predict: Predict, competition: Competition, load: Load) -> None:
    """Answer all problems: in the scored run those of Kaggle's gateway, else those that `load` reads.

    `submission.parquet` is written by the gateway.
    """
    folder = _package_folder(competition)
    if competition.server is None:
        serve_iterator(predict, _iterator(competition, folder, load))
        return
    server = _server(predict, competition, competition.server, folder)
    if is_rerun():
        with suppress(KeyboardInterrupt):  # Kaggle ends the container; a rehearsal only interrupts this cell
            server.serve()
    else:
        # A copy without the answers, which the package would hand to `predict` as a third argument.
        write_table(table_of(load()), PROBLEMS_COPY)
        server.run_local_gateway((str(PROBLEMS_COPY),))


def serve_iterator(predict: Predict, environment: Any) -> None:
    """Answer all problems of an environment that is iterated over, as in AIMO-1."""
    for problem, sample in environment.iter_test():
        answered = predict(problem["id"], problem["problem"])
        sample["answer"] = answered["answer"].item()
        environment.predict(sample)


def _package_folder(competition: Competition) -> Path | None:
    """The mounted folder that holds the competition's package, made importable, or None; prints which it is."""
    folder = find_evaluation_package(competition.package)
    if folder is None:
        print(f"{SERVED_BY} the local gateway, because no {competition.package} is mounted")
        return None
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    version = getattr(importlib.import_module(competition.package), "__version__", "of an unknown version")
    print(f"{SERVED_BY} {competition.package} {version} in {folder}")
    return folder


def _server(predict: Predict, competition: Competition, name: str, folder: Path | None) -> Any:
    if folder is None:
        return LocalInferenceServer(predict, competition.edition)
    return imported_class(name)(predict)


def _iterator(competition: Competition, folder: Path | None, load: Load) -> Any:
    if folder is None:
        return LocalIterator(load(), competition.edition)
    return importlib.import_module(competition.package).make_env()
