"""Check the results of a rehearsed run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import polars as pl

from agent.problems.reader import load_problems
from agent.summary.run_page import NOTES_FILE, PAGE_FILE, PREDICTOR_FILE
from agent.types import StopReason
from submission.protocol import REHEARSED
from submission.rehearse.listening import LISTENING_FILE, SOCKETS
from submission.rehearse.stage import Stage
from submission.serving.evaluation import SERVED_BY
from submission.serving.local_gateway import GATEWAY_PORT, STARTUP_SECONDS, SUBMISSION_FILE
from submission.serving.problem_table import table_of
from submission.serving.session import RUN_FOLDER, WORKER_LOG

Finding = tuple[bool | None, str]  # whether it passed, None for what is only to be looked at; and what it is
_LATE = (StopReason.DEADLINE, StopReason.OUT_OF_TIME)
_SANDBOX = re.compile(r"^Python sandbox: .+", re.MULTILINE)
_TRACEBACK = re.compile(r"(?P<margin> *[+|] )?(?:Exception Group )?Traceback \(most recent call last\):")
_MARGIN = re.compile(r" *[+|] ?")  # before the lines of a group of exceptions


def judge_rehearsal(stage: Stage, *, rerun: bool) -> list[Finding]:
    """Return the findings, each with whether it passed: the submission's format, and how it was answered."""
    run = stage.working / RUN_FOLDER
    called = rerun and stage.competition.server is not None  # by a gateway, which waits only so long
    return [
        *served_findings(stage.executed(rerun=rerun), genuine=stage.package is not None),
        *setup_findings(run / NOTES_FILE),
        *sandbox_findings(stage.executed(rerun=rerun)),
        *(start_findings(stage.folder(rerun=rerun) / LISTENING_FILE, run) if called else ()),
        *submission_findings(stage.submission(rerun=rerun), table_of(load_problems(stage.csv)), stage),
        *record_findings(run / PREDICTOR_FILE, stage.csv),
        *page_findings(stage.working / PAGE_FILE, run / PREDICTOR_FILE),
        *log_findings(run / WORKER_LOG),
    ]


def served_findings(executed: Path, *, genuine: bool) -> list[Finding]:
    """Return which evaluation package served the answers."""
    text = executed.read_text(encoding="utf-8") if executed.exists() else ""
    found = re.search(rf"{SERVED_BY} ([^\\\"]+)", text)
    if found is None:
        return [(False, "nothing was served")]
    return [(not (genuine and found[1].startswith("the local")), f"{SERVED_BY} {found[1]}")]


def setup_findings(notes: Path) -> list[Finding]:
    """Return what the worker chose to run, as it would on Kaggle, and below it what may not be meant."""
    chosen = next((str(row["text"]).splitlines() for row in _rows(notes) if row["kind"] == "setup"), [])
    return [(None if number else True, line) for number, line in enumerate(chosen) if not line.startswith(REHEARSED)]


def sandbox_findings(executed: Path) -> list[Finding]:
    """Return how the worker's first cell went in its sandbox: a small model may run none at all."""
    cells = json.loads(executed.read_text(encoding="utf-8"))["cells"] if executed.exists() else []
    printed = [output.get("text", "") for cell in cells for output in cell.get("outputs", ())]
    found = _SANDBOX.search("\n".join("".join(text) for text in printed))
    return [(True, found[0]) if found else (False, "no code was run in the sandbox")]


def start_findings(listening: Path, run: Path) -> list[Finding]:
    """Whether the server listened while Kaggle's gateway still waits, and before the model was loaded."""
    if not listening.exists():
        if not any(path.exists() for path in SOCKETS):
            return [(True, "after how many seconds the server listened cannot be seen on this system")]
        return [(False, f"nothing listened at port {GATEWAY_PORT}, so the gateway would have given up")]
    after, listened = map(float, listening.read_text(encoding="ascii").split())
    said = f"the server listened after {after:.0f} s of the {STARTUP_SECONDS:.0f} s that the gateway waits"
    started = [row for row in _rows(run / NOTES_FILE) if row["kind"] == "started"]
    if not started:
        return [(after <= STARTUP_SECONDS, said)]
    earlier = float(started[0]["monotonic"]) - listened
    first = [row["seconds"] for row in _rows(run / PREDICTOR_FILE)][:1]
    waited = f", for which the first problem waited: it took {first[0]:.0f} s" if first else ""
    early = f"{earlier:.0f} s before" if earlier > 0 else f"{-earlier:.0f} s AFTER"
    return [(after <= STARTUP_SECONDS and earlier > 0, f"{said}, {early} the model was loaded{waited}")]


def page_findings(page: Path, record: Path) -> list[Finding]:
    """Whether the notebook left the page of its run, with each problem that it answered."""
    if not page.exists():
        return [(False, f"{page.name} is missing")]
    text = page.read_text(encoding="utf-8")
    lacking = [row["id"] for row in _rows(record) if f'<td data-head="problem">{escape(row["id"])}</td>' not in text]
    return [(not lacking, f"{page.name} {'shows every problem' if not lacking else f'lacks {lacking}'}")]


def submission_findings(path: Path, problems: pl.DataFrame, stage: Stage) -> list[Finding]:
    """Whether the file has each problem once, with an integer in the edition's range."""
    if not path.exists():
        return [(False, f"no {SUBMISSION_FILE} was written")]
    frame = pl.read_parquet(path)
    if frame.columns != ["id", "answer"]:
        return [(False, f"{SUBMISSION_FILE} has the columns {frame.columns}")]
    most = stage.competition.edition.max_answer
    same = sorted(frame["id"].cast(pl.String)) == sorted(problems["id"].cast(pl.String))
    whole = frame["answer"].dtype.is_integer() and frame["answer"].null_count() == 0
    within = whole and bool(frame["answer"].is_between(0, most).all())
    return [
        (
            same,
            f"{SUBMISSION_FILE} has {frame.height} rows for {problems.height} problems, {'' if same else 'not '}theirs",
        ),
        (within, f"its answers are {frame['answer'].dtype}, {'' if within else 'not '}all in 0..{most}"),
    ]


def log_findings(path: Path) -> list[Finding]:
    """Return each exception that the worker survived, by its last line: nobody reads the log of a run that passed."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return [(False, f"an exception in {path.name}: {line}") for line in dict.fromkeys(_raised(text))]


def _raised(log: str) -> Iterator[str]:
    """The line behind each traceback, and what Python says where a signal ends it."""
    heading = None
    for line in log.splitlines():
        if found := _TRACEBACK.fullmatch(line.rstrip()):
            heading = found
        elif line.startswith("Fatal Python error: "):
            yield line.strip()
        elif heading is not None:
            bare = _MARGIN.sub("", line, count=1) if heading["margin"] else line
            if bare.strip() and not bare[0].isspace():
                yield bare.strip()
                heading = None


def record_findings(path: Path, csv: Path) -> list[Finding]:
    """Return how the problems were answered, and what went wrong."""
    if not path.exists():
        return [(False, "the predictor recorded nothing")]
    rows = _rows(path)
    voted = [row for row in rows if row["source"] == "vote"]
    warnings = sorted({warning for row in rows for warning in row["warnings"]})
    truths = {problem.id: problem.answer for problem in load_problems(csv)}
    right = sum(truths.get(row["id"]) == row["answer"] for row in rows)
    late = not voted and bool(rows) and all(row.get("closed") in _LATE for row in rows)
    cure = ": no lane voted in time, so give more --seconds where this machine is slow or busy" if late else ""
    slowest = max((row["seconds"] for row in rows), default=0.0)
    return [
        (bool(voted), f"{len(voted)} of {len(rows)} answers were voted, {right} are right{cure}"),
        (True, f"the slowest problem took {slowest:.0f} s"),
        *((False, f"warning: {warning}") for warning in warnings),
    ]


def _rows(path: Path) -> list[dict[str, Any]]:
    """What each line of a file of JSON holds; nothing where the file is missing."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]
