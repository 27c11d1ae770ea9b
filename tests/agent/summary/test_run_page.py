"""The page of a run shows what its directory holds, whatever is missing there, torn, or hostile."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.events import EngineStarted, RunWarning, SampleEnded, ServerMemory
from agent.journal.journal import Journal
from agent.summary.run_page import NOTES_FILE, PREDICTOR_FILE, run_page, write_run_page
from tests.support.samples import sample
from tests.support.tiers.cases import examples

SOLUTION = {
    **{"kind": "solution", "problem_id": "a", "answer": 42, "stop": "margin", "samples_started": 8},
    **{"samples_finished": 5, "tokens": 12_345, "tool_runs": 7, "seconds": 61.0, "allowance": 300.0, "at": 61.0},
    "tally": {"votes": [{"answer": 42, "weight": 3.0, "samples": 3}, {"answer": 7, "weight": 0.5, "samples": 1}]},
}
ANSWERED: dict[str, Any] = {
    **{"id": "a", "answer": 42, "source": "vote", "closed": "margin", "votes": "3 of 5 samples, 7 tool runs"},
    **{"seconds": 63.0, "warnings": []},
}
FALLBACK: dict[str, Any] = {
    **{"id": "b", "answer": 0, "source": "fallback", "closed": "watchdog", "votes": "", "seconds": 12.0},
    "warnings": ["the worker did not answer in time and was replaced"],
}
NOTES = [
    {"kind": "start", "at": 3.0, "part": "notebook", "seconds": 3.0},
    {"kind": "setup", "at": 5.0, "text": "my-model, family qwq-calls"},
    {"kind": "start", "at": 99.0, "part": "engine, with its weights", "seconds": 93.5},
    {"kind": "memory", "at": 100.0, "used": 40e9, "total": 80e9},
    {"kind": "memory", "at": 3_700.0, "used": 60e9, "total": 80e9},
]


def lines(path: Path, *rows: object) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    run.mkdir()
    lines(run / PREDICTOR_FILE, ANSWERED, FALLBACK, {**ANSWERED, "source": "memory"})
    lines(run / NOTES_FILE, *NOTES)
    engine = {"kind": "engine", "text": "the vLLM server is up after 93 s", "at": 0.0}
    check = {"kind": "check", "right": 2, "asked": 2, "seconds": 20.0, "fault": "", "changed": {}}
    lines(run / "journal.jsonl", engine, check, {"kind": "sample", "turns": []}, SOLUTION, {"kind": "future", "x": 1})
    (run / "engine.log").write_text("INFO 05-01 [loader.py:4] Loading weights took 91.20 seconds\nnothing\n" * 9)
    return run


def texts(page: str) -> list[str]:
    """The text of each element that has some, in their order."""
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_data = lambda data: found.append(data.strip())  # type: ignore[method-assign]
    parser.feed(page)
    return [text for text in found if text]


def test_the_page_shows_start_problems_fallback_events_and_memory(directory: Path) -> None:
    shown = texts(run_page(directory))
    assert "1 of 2 answered by vote, in 0:01:15; 7 tool runs, 12,345 tokens" in shown
    assert "my-model, family qwq-calls" in shown
    at = shown.index("engine, with its weights")
    assert shown[at : at + 4] == ["engine, with its weights", "93.5", "together", "96.5"]
    assert shown.count("engine.log: Loading weights took 91.20 seconds") == 1
    at = shown.index("a")
    assert shown[at : at + 8] == [
        "a",
        "42",
        "42: 3 · 7: 1 (weight 0.5)",
        "5 of 8",
        "7",
        "12,345",
        "63 of 300",
        "margin",
    ]
    assert "0 (fallback)" in shown
    assert "b: 0; watchdog; the worker did not answer in time and was replaced" in shown
    assert "0:00:00: the vLLM server is up after 93 s" in shown
    assert "model checked: 2 of 2 right, 20 s" in shown
    assert "at most 60.0 of 80.0 GB in use, at 1:01:40" in shown


def test_a_run_that_no_notebook_made_is_shown_by_its_journal(directory: Path) -> None:
    (directory / PREDICTOR_FILE).unlink()
    (directory / NOTES_FILE).unlink()
    with (directory / "journal.jsonl").open("a") as journal:
        journal.write(json.dumps({"kind": "start", "parts": {"weights read": 91.25, "graph capture": 9.0}}) + "\n")
    with gzip.open(directory / "journal.jsonl.gz", "wb") as file:
        file.write((directory / "journal.jsonl").read_bytes())
    (directory / "journal.jsonl").unlink()
    shown = texts(run_page(directory))
    assert "1 of 1 answered by vote, in 0:01:01; 7 tool runs, 12,345 tokens" in shown
    assert "61 of 300" in shown and "Memory" not in shown
    at = shown.index("weights read")
    assert shown[at : at + 6] == ["weights read", "91.2", "graph capture", "9.0", "together", "100.2"]
    assert not any(text.startswith("engine.log") for text in shown), "no second is shown twice"


def test_the_memory_of_the_server_is_shown_as_its_start_was_journalled(directory: Path) -> None:
    memory = ServerMemory(31.24, 85.1, 233_739, 130.5, 139.8)
    with closing(Journal(directory)) as journal:
        journal(EngineStarted({"weights read": 91.25}, memory))
        journal(EngineStarted({"weights read": 90.0}))
    shown = texts(run_page(directory))
    at = shown.index("Memory")
    assert shown[at + 1 : at + 3] == [f"server: {memory.text}", "at most 60.0 of 80.0 GB in use, at 1:01:40"]


def test_what_requests_cost_is_shown_where_it_was_counted(directory: Path) -> None:
    row = {"kind": "cost", "problem_id": "a", "index": 0, "cost": 0.25, "currency": "EUR"}
    with (directory / "journal.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({**row, "total": total}) + "\n" for total in (2.25, 2.5))
    page = run_page(directory)
    shown = texts(page)
    assert "1 of 2 answered by vote, in 0:01:15; 7 tool runs, 12,345 tokens; cost 2.50 EUR" in shown
    at = shown.index("a")
    assert shown[at + 7 : at + 9] == ["margin", "0.5000 EUR"], "that of this part of the run"
    assert '<td data-head="cost">0.0000 EUR</td>' in page


def test_a_directory_without_a_record_has_a_page_too(tmp_path: Path) -> None:
    assert "0 of 0 answered by vote, in 0:00:00; 0 tool runs, 0 tokens" in texts(run_page(tmp_path))


def test_a_line_torn_by_a_kill_is_left_out(directory: Path) -> None:
    whole = run_page(directory)
    for name in (PREDICTOR_FILE, NOTES_FILE, "journal.jsonl"):
        with (directory / name).open("ab") as file:
            file.write(b'{"kind": "solution", "problem_id": "\xff')
    assert run_page(directory) == whole


TEXT = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(["<script>alert(1)</script>", "&<\"'>"])


@examples(40)
@given(id_=TEXT, closed=TEXT, warning=TEXT)
def test_no_text_becomes_an_element(id_: str, closed: str, warning: str, tmp_path_factory: Any) -> None:
    run = tmp_path_factory.mktemp("run")
    lines(run / PREDICTOR_FILE, {**FALLBACK, "id": id_, "closed": closed, "warnings": [warning]})
    lines(run / NOTES_FILE, {"kind": "setup", "text": warning}, {"kind": "start", "part": closed, "seconds": 1})
    page = run_page(run)
    tags = {tag.lower() for tag in re.findall(r"<\s*([a-zA-Z]+)", page)}
    assert tags <= {"html", "title", "meta", "style", "h", "p", "table", "tr", "th", "td", "div", "ul", "li"}
    shutil.rmtree(run)


def test_the_page_needs_nothing_from_elsewhere_and_is_written_as_a_whole(directory: Path, tmp_path: Path) -> None:
    write_run_page(directory, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page == run_page(directory)
    assert not re.search(r"https?:|src=|href=|<script", page)
    assert [path.name for path in tmp_path.glob("*page*")] == ["page.html"]


def test_a_long_journal_is_read_without_its_samples(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Journal(directory)) as journal:
        journal(SampleEnded(sample(42)))
        journal(RunWarning("the last line", 70.0))
    read: list[bytes] = []
    loads = json.loads

    def counted(line: bytes) -> object:
        read.append(line)
        return loads(line)

    monkeypatch.setattr(json, "loads", counted)
    assert "0:01:10: the last line" in texts(run_page(directory))
    assert read and not any(b"sample" in line.split(b",")[0] for line in read)


def test_each_line_of_what_was_chosen_is_a_line_of_the_page(tmp_path: Path) -> None:
    lines(tmp_path / NOTES_FILE, {"kind": "setup", "at": 1.0, "text": "my-model, 12 lanes\nnot used: <other>"})
    assert {"my-model, 12 lanes", "not used: <other>"} <= set(texts(run_page(tmp_path)))
