"""What documents show of profiles, competitions, problems, rules and the terminal is what the code says."""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from rich.console import Console

from agent.config import load_config
from agent.problems.reader import practice_problems, starter_problems
from agent.types import Problem, Solution, StopReason, Tally, Vote
from agent.views.table import render
from submission.competitions import COMPETITIONS
from tests.layout.source import ROOT, text
from tools.capacity import main as capacity
from tools.replay.policies import policy_keys

README = ROOT / "README.md"
_SOLVED = re.compile(
    r"^    (?P<id>starter-\d+) +(?P<answer>\d+|none)  . (?P<truth>\d+) +(?:(?P<first>\d+)/(?P<all>\d+))?"
    r"(?: · next (?P<next>\d+))? +(?P<seconds>\d+) / (?P<allowance>\d+) s +(?P<tokens>[\d,]+)  (?P<stop>[a-z ]+)$",
    re.MULTILINE,
)


@pytest.mark.process
def test_the_table_of_vllm_profiles_is_that_of_the_arithmetic(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.capacity.find_gpus", lambda: ())  # the arithmetic of any machine
    shown = list(rows(ROOT / "agent" / "engine" / "README.md", "profile"))
    assert capacity(["--json"]) == 0
    plans = {row["profile"]: row for row in json.loads(capsys.readouterr().out)["profiles"]}
    named = [name for row in shown for name in re.findall(r"`([^`]+)`", row["profile"])]
    assert sorted(named) == sorted(plans)
    for row in shown:
        for name in re.findall(r"`([^`]+)`", row["profile"]):
            plan = plans[name]
            lanes, context = (number.replace(",", "") for number in row["lanes x context"].split(" x "))
            assert (int(lanes), int(context)) == (plan["lanes"], plan["context_tokens"]), name
            if row["KV tokens"]:
                assert int(row["KV tokens"].replace(",", "")) == plan["kv_tokens"], name
            if row["tokens/s to plan with"]:
                low, high = plan["planned_tokens_per_second"]
                assert row["tokens/s to plan with"] == f"{low:.0f}-{high:.0f}", name
            if plan["gpu"] not in ("", "cpu"):
                assert row["GPUs"] == f"{plan['gpus_needed']} x {plan['gpu']}", name


def test_the_table_of_competitions_is_theirs() -> None:
    shown = {row[""]: row for row in rows(ROOT / "submission" / "README.md", "")}
    assert set(COMPETITIONS) == set(shown["profile"]) - {""}
    for name, competition in COMPETITIONS.items():
        edition = competition.edition
        answer = f"modulo {edition.modulus}" if edition.modulus else f"0 to {edition.max_answer}"
        assert shown["answer"][name] == answer
        assert shown["profile"][name] == f"`{competition.profile}`"
        margin = f"time limit, less a margin of {competition.margin_seconds / 60:.0f} min"
        assert shown[margin][name] == f"{edition.time_limit_seconds / 3600:.0f} h"
        assert shown["scored runs of the notebook"][name].split(",")[0] == str(competition.scored_runs)
        within = shown["an answer has to come within"][name].partition(" (")[0]
        waits = competition.response_seconds
        assert within == ("-" if waits is None else f"{waits / 60:.0f} min")


def test_the_bundled_problems_are_as_they_are_described() -> None:
    document = " ".join(text(ROOT / "agent" / "problems" / "data" / "README.md").split())
    practice = [problem.answer for problem in practice_problems() if problem.answer is not None]
    counts = [int(number) for number in re.findall(r"csv\) \| (\d+) \|", document)]
    assert counts == [len(starter_problems()), len(practice)]
    assert f"Answers range from {min(practice)} to {max(practice)}, no two are equal" in document
    assert len(set(practice)) == len(practice)
    assert 0.4 < sum(answer > 999 for answer in practice) / len(practice) < 0.6


def test_the_policies_of_the_tables_are_known_to_the_replay() -> None:
    table = list(rows(ROOT / "agent" / "policy" / "README.md", "policy"))
    assert len(table) > 15
    for row in table:
        assert policy_keys(row["policy"])


def test_the_numbers_shown_with_keys_are_the_defaults() -> None:
    document = " ".join(text(ROOT / "agent" / "policy" / "README.md").split())
    defaults = load_config("qwq").model_dump()
    beside = re.findall(r"`(\w+)\.(\w+)` \(([\d./ ]+)[;,)]", document)
    assert len(beside) >= 5
    for table, key, shown in beside:
        default = defaults[table][key]
        expected = list(default) if isinstance(default, list | tuple) else [default]
        assert [float(number) for number in re.findall(r"[\d.]+", shown)] == expected, f"{table}.{key}"


def test_the_lines_that_the_readme_shows_are_those_of_the_terminal() -> None:
    shown = list(_SOLVED.finditer(text(README)))
    assert len(shown) > 3
    problems = [Problem(line["id"], "", int(line["truth"])) for line in shown]
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(render(problems, [solution(line) for line in shown], [], load_config("qwq", {"edition": "aimo3"})))
    assert isinstance(console.file, io.StringIO)
    printed = [line.split() for line in console.file.getvalue().splitlines()]
    heading = next(line for line in text(README).splitlines() if line.startswith("    problem "))
    for line in [heading, *(line[0] for line in shown)]:
        assert line.split() in printed


def test_the_python_of_the_documents_compiles_and_imports_what_is_there() -> None:
    pieces = [
        piece
        for path in (README, ROOT / "agent" / "README.md")
        for piece in re.findall(r"^```python\n(.*?)^```", text(path), re.DOTALL | re.MULTILINE)
    ]
    assert pieces
    for piece in pieces:
        compile(piece, "document", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for statement in ast.parse(piece).body:
            if isinstance(statement, ast.ImportFrom) and statement.module:
                module = import_module(statement.module)
                assert not [alias.name for alias in statement.names if not hasattr(module, alias.name)]


def solution(line: re.Match[str]) -> Solution:
    """What a line of the terminal's table was printed for."""
    votes: list[Vote] = []
    if line["answer"] != "none":
        first = int(line["first"])
        others = [int(line["next"])] if line["next"] else []
        others += [1] * (int(line["all"]) - first - sum(others))
        samples = dict(zip(range(-len(others), 0), others, strict=True))
        votes = [Vote(int(line["answer"]), first, first), *(Vote(a, n, n) for a, n in samples.items())]
    return Solution(
        problem_id=line["id"],
        answer=votes[0].answer if votes else None,
        tally=Tally(tuple(votes)),
        stop=StopReason(line["stop"]),
        samples_started=8,
        samples_finished=8,
        tokens=int(line["tokens"].replace(",", "")),
        tool_runs=0,
        seconds=float(line["seconds"]),
        allowance=float(line["allowance"]),
        at=0.0,
    )


def rows(path: Path, first: str) -> Iterator[dict[str, str]]:
    """The rows, by their headings, of each table in the document whose first heading is this."""
    headings: list[str] = []
    for line in text(path).splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            headings = []
        elif not headings:
            headings = cells
        elif headings[0] == first and not set("".join(cells)) <= set("-"):
            yield dict(zip(headings, cells, strict=True))
