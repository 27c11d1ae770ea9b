"""Wrong samples beside right ones of the same problem, to be labelled: as JSON lines and as a page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from agent.errors import InputError
from agent.types import Sample, Turn
from tools.report.data import ProblemRecord, ReportedRun, VoteStatus
from tools.report.html_page import page_parts, report_templates
from tools.report.transcript import packed, transcript
from tools.report.waterfall import end_text
from tools.shared.exports import write_export
from tools.shared.markup import to_html

CAUSES = (
    *("misread the problem", "wrong approach", "slip in algebra or arithmetic", "case forgotten", "wrong code"),
    *("misread what code printed", "guessed", "repeated itself", "cut off", "right but in the wrong form"),
    *("the true answer is doubtful", "other"),
)
"""The labels that the page offers."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A sample that counts and is not right, and the shortest right one of its problem, None where none is.

    `id` is the name by which labels refer to it, `right_id` that of the right sample.
    """

    id: str
    run: ReportedRun
    problem: ProblemRecord
    wrong: Sample
    right: Sample | None
    right_id: str

    @property
    def text(self) -> Markup:
        """The question, with its formulas drawn."""
        return to_html(self.problem.problem.text.strip())

    @property
    def end(self) -> str:
        """Why the wrong sample ended."""
        return end_text(self.wrong)

    @property
    def key(self) -> str:
        """What a browser keeps its label by: runs of other samples have other keys, also where their ids are alike."""
        written = json.dumps(_sample_row(self.wrong))
        return f"{self.id} {hashlib.sha256(written.encode()).hexdigest()[:16]}"

    def row(self) -> dict[str, Any]:
        """What its line of JSON holds; `label` and `note` are empty, to be filled in."""
        solution = self.problem.solution
        return {
            "id": self.id,
            "model": self.run.record.config.engine.model,
            "problem_id": self.problem.problem.id,
            "problem": self.problem.problem.text,
            "truth": self.problem.problem.answer,
            "voted": solution.answer if solution is not None else None,
            "wrong": _sample_row(self.wrong),
            "right": None if self.right is None else _sample_row(self.right),
            "label": None,
            "note": "",
        }


def failures_of(runs: Sequence[ReportedRun]) -> list[Failure]:
    """Find the failures at problems whose truth is known, in the order of the runs, problems and samples.

    Runs have to be named apart.
    """
    found: list[Failure] = []
    for run in runs:
        for problem in run.problems:
            if problem.problem.answer is not None:
                found += _of_problem(f"{run.name}/{problem.problem.id}", run, problem)
    return found


def _of_problem(name: str, run: ReportedRun, problem: ProblemRecord) -> Iterator[Failure]:
    right = [sample for sample in problem.samples if problem.verdict(sample) is VoteStatus.RIGHT]
    best = min(right, key=lambda sample: sample.tokens, default=None)
    beside = "" if best is None else f"{name}/{best.index}"
    for sample in problem.counted:
        if sample not in right:
            yield Failure(f"{name}/{sample.index}", run, problem, sample, best, beside)


def write_failures(directory: Path, runs: Sequence[ReportedRun]) -> int:
    """Write failures.jsonl and failures.html; return how many there are.

    Labels and notes that an earlier failures.jsonl there has of the same samples are kept. Raises InputError if that
    fails, or where labels would be lost.
    """
    found = failures_of(runs)
    path = directory / "failures.jsonl"
    rows = _with_labels(path, [failure.row() for failure in found])
    write_export(path, "".join(json.dumps(row) + "\n" for row in rows), "--failures")
    template = report_templates().get_template("failures.html.j2")
    page = template.render(failures=found, causes=CAUSES, blobs=list(_blobs(found)), **page_parts("failures.js"))
    write_export(directory / "failures.html", page, "--failures")
    return len(found)


def _with_labels(path: Path, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Enter the labels and notes of the file that is there, each at the same sample of the same id."""
    elsewhere = "move it away, or name another --failures"
    try:
        before = [json.loads(line) for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        labelled = {row["id"]: row for row in before if row.get("label") or row.get("note")}
    except FileNotFoundError:
        return list(rows)
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(f"{path} cannot be read, so that its labels would be lost: {elsewhere}") from error
    filled = []
    for row in rows:
        same = labelled.get(row["id"], {})
        if same.get("wrong") == row["wrong"]:
            del labelled[row["id"]]
            row = {**row, "label": same.get("label"), "note": same.get("note", "")}
        filled.append(row)
    if labelled:
        raise InputError(f"{path} has labels of other samples, such as {next(iter(labelled))}: {elsewhere}")
    return filled


def _blobs(found: Sequence[Failure]) -> Iterator[tuple[str, Markup]]:
    """Yield each transcript once, as a right sample stands beside several wrong ones: its id and compressed HTML."""
    seen = set()
    for failure in found:
        for id_, sample in ((failure.id, failure.wrong), (failure.right_id, failure.right)):
            if sample is not None and id_ not in seen:
                seen.add(id_)
                yield id_, packed(transcript(sample, failure.run.record.config))


def _sample_row(sample: Sample) -> dict[str, Any]:
    return {
        "index": sample.index,
        "seed": sample.seed,
        "answer": sample.answer,
        "end": str(sample.end),
        "forced": sample.forced,
        "tokens": sample.tokens,
        "seconds": sample.seconds,
        "turns": [_turn_row(turn) for turn in sample.turns],
    }


def _turn_row(turn: Turn) -> dict[str, Any]:
    run = turn.tool_run
    tool = None
    if run is not None:
        tool = {"code": run.code, "output": run.output, "status": str(run.status), "seconds": run.seconds}
    return {"text": turn.text, "tool_run": tool, "inserted": turn.inserted}
