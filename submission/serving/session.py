"""The notebook's own steps: opening the predictor, and reporting how the run went."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.errors import AgentError, EngineError, InputError
from agent.summary.run_page import PAGE_FILE, PREDICTOR_FILE
from submission.competitions import Competition
from submission.compile_cache import CACHE_FILE, CACHE_FOLDER, pack_cache
from submission.protocol import CHECK_FILE, WorkerSettings
from submission.serving.client import WorkerClient
from submission.serving.connection import WorkerProcess
from submission.serving.evaluation import Load, is_rerun
from submission.serving.mounts import find_models, incomplete_models, named_models, scratch_folder
from submission.serving.notes import RunNotes
from submission.serving.predictor import Predictor, print_safely

RUN_FOLDER = "run"
WORKER_LOG = "worker.log"
ENVIRONMENT_FOLDER = "aimo-agent-environment"
_CODE = Path(__file__).parents[2]
_START_SECONDS = 1_800.0  # for a worker to start: its wheels, and its engine from a cold disk


def open_predictor(
    competition: Competition,
    *,
    profile: str,
    model: str,
    sources: Sequence[str],
    settings: Mapping[str, object],
    stand_in: Mapping[str, object],
    load_seconds: float,
    wheels: Path | None,
    started: float,
    margin_seconds: float,
    fallback: int,
    load: Load,
) -> tuple[Predictor, RunNotes]:
    """The predictor of a notebook that started at `started` on the monotonic clock, and the notes of its run.

    `profile`, `settings`, `sources`, `stand_in` and `load_seconds` are those of `WorkerSettings`; `model` is a part of
    the path of the model to run, "" for any that is attached. The worker starts to install the wheels and to load the
    model. `load` reads the problems of an interactive run; in a scored run their number is the edition's. The run is
    recorded in `run` below the current directory, beside which its page is kept up to date.

    An interactive run waits for the worker. Raises AgentError with the reason if that cannot solve problems, so that
    such a notebook is not submitted; a scored run answers all the same.
    """
    limit = float(str({**settings, **stand_in}.get("budget.time_limit_seconds", 0)))
    limit = limit or competition.edition.time_limit_seconds
    ends = started + limit - margin_seconds
    folder = Path.cwd() / RUN_FOLDER
    folder.mkdir(exist_ok=True)
    folder.joinpath(CHECK_FILE).unlink(missing_ok=True)  # left by an earlier attempt
    sent = WorkerSettings(
        profile,
        str(folder),
        ends - started,
        overrides=dict(settings),
        models=attached_models(model),
        sources=list(sources),
        stand_in=dict(stand_in),
        load_seconds=load_seconds,
    )
    notes = RunNotes(folder, folder.with_name(PAGE_FILE), lambda: time.monotonic() - started)
    notes.start()
    client = _start_worker(sent, wheels, started, notes)
    predictor = Predictor(
        client,
        competition.edition,
        time.monotonic,
        ends=ends,
        response_seconds=competition.response_seconds,
        problem_count=competition.edition.problem_count if is_rerun() else len(load()),
        fallback=fallback,
        record=folder / PREDICTOR_FILE,
        noted=notes.want_page,
    )
    return predictor, notes


def attached_models(name: str) -> list[str]:
    """The paths of the attached models among which the worker chooses: those with `name` in their paths.

    Raises InputError if there is none and the run is interactive; a scored run has the worker choose among all.
    """
    models = find_models()
    for fault in incomplete_models():
        print_safely(f"warning: {fault}")
    try:
        return [str(path) for path in (named_models(name, models) if name else models)]
    except InputError as error:
        if not is_rerun():
            raise
        print_safely(f"warning: {error}")
        return [str(path) for path in models]


def _start_worker(settings: WorkerSettings, wheels: Path | None, started: float, notes: RunNotes) -> WorkerClient:
    """Start the worker, and wait for it in an interactive run, the only one in which its failure is raised."""

    def command() -> list[str]:
        spent = time.monotonic() - started
        notes.worker_starts()
        sent = settings.after(spent).to_json()
        launch = [sys.executable, "-m", "submission.worker.launch"]
        return [*launch, str(wheels or ""), str(scratch_folder(ENVIRONMENT_FOLDER)), sent]

    log = Path(settings.run_dir, WORKER_LOG)
    connection = WorkerProcess(command, log, {**os.environ, "PYTHONPATH": str(_CODE)})
    client = WorkerClient(connection, time.monotonic, start_seconds=_START_SECONDS, tell=print_safely, hear=notes.hear)
    try:
        connection.restart()
        if not is_rerun():
            client.wait_until_started()
            _keep_compiled()
    except AgentError as error:
        if not is_rerun():
            connection.close()  # what it holds on the GPU would be in the way of another attempt
            notes.add("setup", text=f"not started: {error}")
            notes.write_page()
            raise
        print_safely(f"warning: {error}")
    return client


def _keep_compiled() -> None:
    """Keep what vLLM compiled in the notebook's output, from which it can travel with the wheels."""
    try:
        pack_cache(scratch_folder(CACHE_FOLDER), Path.cwd() / CACHE_FILE)
    except OSError as error:
        print_safely(f"warning: what vLLM compiled is not kept: {error}")


def report(predictor: Predictor, notes: RunNotes, load: Load, competition: Competition) -> None:
    """Write the run's page, print how the problems were answered, and how many answers are right where that is known.

    Raises EngineError after an interactive run in which nothing was voted, so that it is not submitted.
    """
    notes.write_page()
    asked = [answered for answered in predictor.answered if answered.source != "memory"]
    voted = sum(answered.source == "vote" for answered in asked)
    warnings = sum(len(answered.warnings) for answered in asked)
    seconds = sum(answered.seconds for answered in asked)
    print(f"{len(asked)} problems in {seconds:.0f} s: {voted} answered by vote, {len(asked) - voted} by the fallback")
    print(f"warnings: {warnings}")
    print(f"the run on one page: {PAGE_FILE}")
    if not voted and not is_rerun():
        raise EngineError("no problem was answered by vote: see run/worker.log and run/engine.log for the reason")
    truths = {} if is_rerun() else {p.id: p.answer for p in load() if p.answer is not None}
    if not truths:
        return
    right = sum(competition.edition.reduce(truths[a.id]) == a.answer for a in asked if a.id in truths)
    print(f"{right} of {len(asked)} answers are right")
