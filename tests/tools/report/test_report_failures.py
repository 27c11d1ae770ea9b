"""Wrong samples are exported beside right ones, and can be labelled in a browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from agent.types import Problem, SampleEnd, ToolRun, ToolStatus, Turn
from tests.support.browser import browser, browser_page
from tests.support.runs.report_runs import vote, write_run
from tests.support.texts.fenced import tool_result
from tests.tools.report.test_report_page import HOSTILE, QUESTION
from tools.report.command import load_runs, main
from tools.report.data import load_run
from tools.report.failures import failures_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

RUN = ToolRun("print(6 * 8)", "48", ToolStatus.OK, 0.2)
CODED = (Turn("```python\nprint(6 * 8)\n```", 20, 1.0, tool_result("48"), RUN), Turn(r"\boxed{48}", 4, 1.0))
PROBLEMS = [Problem("mixed", "What is $6 \\cdot 7$?", 42), Problem("none", QUESTION, 5), Problem("open", "?")]
SAMPLES = {
    "mixed": [
        vote(0, 42, tokens=90),
        vote(1, 42, tokens=30),
        vote(2, 48, turns=CODED),
        vote(3, None),
        vote(4, None, end=SampleEnd.CANCELLED),
    ],
    "none": [vote(0, 6, turns=(Turn(HOSTILE, 9, 1.0),))],
    "open": [vote(0, 1)],
}


def exported(tmp_path: Path, *runs: Path) -> list[dict[str, Any]]:
    argv = [*map(str, runs), "--output", str(tmp_path / "page.html"), "--failures", str(tmp_path / "out")]
    assert main(argv) == 0
    lines = (tmp_path / "out" / "failures.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_a_line_has_a_wrong_sample_and_the_shortest_right_one_with_their_tool_runs(tmp_path: Path) -> None:
    rows = exported(tmp_path, write_run(tmp_path / "run", PROBLEMS, SAMPLES))
    assert [row["id"] for row in rows] == ["run/mixed/2", "run/mixed/3", "run/none/0"]
    first, silent, alone = rows
    assert (first["truth"], first["voted"], first["label"], first["note"]) == (42, 42, None, "")
    assert first["wrong"]["answer"] == 48 and first["right"]["index"] == 1
    assert first["wrong"]["turns"][0]["tool_run"] == {
        "code": "print(6 * 8)", "output": "48", "status": "ok", "seconds": 0.2,
    }  # fmt: skip
    assert silent["wrong"]["answer"] is None and alone["right"] is None
    assert alone["wrong"]["turns"][0]["text"] == HOSTILE


def label_first(path: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows[0] |= {"label": "wrong code", "note": "6 · 8"}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return rows


def test_labels_in_the_file_stay_when_it_is_written_again(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", PROBLEMS, SAMPLES)
    exported(tmp_path, run)
    labelled = label_first(tmp_path / "out" / "failures.jsonl")
    assert exported(tmp_path, run) == labelled


@pytest.mark.parametrize("content", ["", "not JSON\n", "[1]\n"])
def test_labels_of_other_samples_are_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    run = write_run(tmp_path / "run", PROBLEMS, SAMPLES)
    exported(tmp_path, run)
    path = tmp_path / "out" / "failures.jsonl"
    label_first(path)
    if content:
        path.write_text(content, encoding="utf-8")
    before = path.read_bytes()
    other = write_run(tmp_path / "other" / "run", PROBLEMS, {**SAMPLES, "mixed": [vote(2, 49), vote(0, 42)]})
    argv = [str(other), "--output", str(tmp_path / "page.html"), "--failures", str(path.parent)]
    assert main(argv) == 2
    assert path.read_bytes() == before
    told = capsys.readouterr().err
    assert "labels" in told and "name another --failures" in told and "Traceback" not in told


def test_every_failure_has_an_id_of_its_own(tmp_path: Path) -> None:
    votes = {"mixed": [vote(0, 1), vote(1, 42), vote(2, 2)]}
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
    runs = [write_run(tmp_path / place / "run", PROBLEMS[:1], votes) for place in ("a", "b")]
    ids = [failure.id for failure in failures_of(load_runs(runs, Console(quiet=True)))]
    assert ids == ["run-1/mixed/0", "run-1/mixed/2", "run-2/mixed/0", "run-2/mixed/2"]


def test_a_label_is_kept_for_its_sample_and_for_none_of_a_later_run_by_the_same_name(tmp_path: Path) -> None:
    for place, number in (("first", 48), ("again", 48), ("later", 49)):
        (tmp_path / place).mkdir()
        turns = (Turn(f"so \\boxed{{{number}}}", 4, 1.0),)
        write_run(tmp_path / place / "run", PROBLEMS[:1], {"mixed": [vote(0, 48, turns=turns)]})
    found = {place: failures_of([load_run(tmp_path / place / "run")])[0] for place in ("first", "again", "later")}
    assert len({failure.id for failure in found.values()}) == 1
    assert found["first"].key == found["again"].key != found["later"].key


def test_a_folder_that_cannot_be_made_is_refused_by_its_flag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", PROBLEMS, SAMPLES)
    (tmp_path / "file").write_text("", encoding="utf-8")
    for flag in ("--failures", "--export"):
        assert main([str(run), flag, str(tmp_path / "file" / "out")]) == 2
        assert f"name another {flag}" in " ".join(capsys.readouterr().err.split())


def test_a_run_without_failures_gives_an_empty_file(tmp_path: Path) -> None:
    assert exported(tmp_path, write_run(tmp_path / "run", PROBLEMS[:1], {"mixed": [vote(0, 42)]})) == []


def test_labels_are_given_kept_and_saved_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    exported(tmp_path, write_run(tmp_path / "run", PROBLEMS, SAMPLES))
    with browser_page(browser) as opened:
        page = opened.page
        page.goto((tmp_path / "out" / "failures.html").as_uri())
        expect(page.get_by_text("0 of 3 labelled.")).to_be_visible()
        first = page.locator(".failure").first
        first.locator("select").select_option("wrong code")
        first.get_by_label("note").fill("6 times 8")
        expect(page.get_by_text("1 of 3 labelled.")).to_be_visible()
        first.locator("details").first.locator("summary").click()
        expect(first.locator(".transcript").first).to_contain_text("print(6 * 8)")
        page.locator(".failure").last.locator("details summary").click()
        page.reload()
        expect(page.get_by_text("1 of 3 labelled.")).to_be_visible()
        page.get_by_label("only those without a label").check()
        expect(first).to_be_hidden()
        with page.expect_download() as download:
            page.get_by_role("button", name="Save labels").click()
        rows = [json.loads(line) for line in download.value.path().read_text(encoding="utf-8").splitlines()]
        assert rows == [{"id": "run/mixed/2", "label": "wrong code", "note": "6 times 8"}]
        assert page.evaluate("window.hacked") is None
        assert not opened.errors
