"""Check the results of a rehearsed run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl

from agent.problems.reader import load_problems
from agent.summary.run_page import PREDICTOR_FILE
from submission.rehearse.stage import Stage
from submission.serving.evaluation import SERVED_BY
from submission.serving.local_gateway import SUBMISSION_FILE
from submission.serving.problem_table import table_of
from submission.serving.session import RUN_FOLDER, WORKER_LOG

Finding = tuple[bool, str]
_SANDBOX = re.compile(r"^Python sandbox: .+", re.MULTILINE)
_TRACEBACK = re.compile(r"^Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*(.*)", re.MULTILINE)


def judge_rehearsal(stage: Stage, *, rerun: bool) -> list[Finding]:
    """Return the findings, each with whether it passed: the submission's format, and how it was answered."""
    return [
        *served_findings(stage.executed(rerun=rerun), genuine=stage.package is not None),
        *sandbox_findings(stage.executed(rerun=rerun)),
        *submission_findings(stage.submission(rerun=rerun), table_of(load_problems(stage.csv)), stage),
        *record_findings(stage.working / RUN_FOLDER / PREDICTOR_FILE, stage.csv),
        *log_findings(stage.working / RUN_FOLDER / WORKER_LOG),
    ]


def served_findings(executed: Path, *, genuine: bool) -> list[Finding]:
    """Return which evaluation package served the answers."""
    text = executed.read_text(encoding="utf-8") if executed.exists() else ""
    found = re.search(rf"{SERVED_BY} ([^\\\"]+)", text)
    if found is None:
        return [(False, "nothing was served")]
    return [(not (genuine and found[1].startswith("the local")), f"{SERVED_BY} {found[1]}")]


def sandbox_findings(executed: Path) -> list[Finding]:
    """Return how the worker's first cell went in its sandbox: a small model may run none at all."""
    cells = json.loads(executed.read_text(encoding="utf-8"))["cells"] if executed.exists() else []
    printed = [output.get("text", "") for cell in cells for output in cell.get("outputs", ())]
    found = _SANDBOX.search("\n".join("".join(text) for text in printed))
    return [(True, found[0]) if found else (False, "no code was run in the sandbox")]


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
    raised = (match[1].strip() for match in _TRACEBACK.finditer(text))
    return [(False, f"an exception in {path.name}: {line}") for line in dict.fromkeys(raised)]


def record_findings(path: Path, csv: Path) -> list[Finding]:
    """Return how the problems were answered, and what went wrong."""
    if not path.exists():
        return [(False, "the predictor recorded nothing")]
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    voted = [row for row in rows if row["source"] == "vote"]
    warnings = sorted({warning for row in rows for warning in row["warnings"]})
    truths = {problem.id: problem.answer for problem in load_problems(csv)}
    right = sum(truths.get(row["id"]) == row["answer"] for row in rows)
    slowest = max((row["seconds"] for row in rows), default=0.0)
    return [
        (bool(voted), f"{len(voted)} of {len(rows)} answers were voted, {right} are right"),
        (True, f"the slowest problem took {slowest:.0f} s"),
        *((False, f"warning: {warning}") for warning in warnings),
    ]
