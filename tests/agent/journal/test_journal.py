"""What is written to a journal is read back, wherever it was cut."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import InputError, JournalError
from agent.events import (
    EngineEvent,
    EngineStarted,
    Event,
    HealthChecked,
    ProblemSolved,
    ProblemStarted,
    RequestCharged,
    RunWarning,
    SampleEnded,
)
from agent.journal.journal import (
    ANSWERS_FILE,
    JOURNAL_FILE,
    PACKED_JOURNAL_FILE,
    Journal,
    create_run,
    read_run,
)
from agent.journal.lines import KIND_OF, RecordedStart
from agent.types import Problem, SampleEnd, Solution, StopReason, ToolRun, ToolStatus, Turn
from tests.support.doubles import config_with
from tests.support.samples import sample, solution
from tests.support.tiers.cases import examples

PROBLEMS = [Problem("p1", "What?", 42), Problem("p2", "Why?")]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    create_run(tmp_path / "run", config_with(), PROBLEMS)
    return tmp_path / "run"


def write(directory: Path, *solutions: Solution) -> None:
    journal = Journal(directory)
    journal(ProblemStarted(PROBLEMS[0], "PROMPT", 60.0, 1))
    journal(SampleEnded(sample(42)))
    for each in solutions:
        journal(ProblemSolved(each))
    journal.close()
    journal.close()


def test_a_sample_of_an_earlier_version_keeps_what_is_called_otherwise_now(directory: Path) -> None:
    journal = Journal(directory)
    journal(SampleEnded(sample(3, language_mixing=7)))
    journal.close()
    path = directory / JOURNAL_FILE
    path.write_text(path.read_text(encoding="utf-8").replace("language_mixing", "foreign_letters"), encoding="utf-8")
    assert "foreign_letters" in path.read_text(encoding="utf-8")
    assert [each.language_mixing for each in read_run(directory).samples] == [7]


def test_what_is_written_is_read_back_equal(directory: Path) -> None:
    run = ToolRun("print(1)", "1\n", ToolStatus.TIMEOUT, 2.5)
    rich = sample(3, turns=(Turn("a\n", 5, 1.0, "out", run), Turn("b", 1, 0.5)), end=SampleEnd.DEADLINE, forced=True)
    journal = Journal(directory)
    journal(SampleEnded(rich))
    journal(ProblemSolved(solution()))
    journal.close()
    record = read_run(directory)
    assert (record.samples, record.solutions, record.unreadable) == ((rich,), (solution(),), 0)
    assert record.problems == tuple(PROBLEMS)
    assert record.config == config_with()


def test_what_was_asked_and_what_happened_to_the_engine_is_read_back(directory: Path) -> None:
    journal = Journal(directory)
    journal(ProblemStarted(PROBLEMS[0], "PROMPT", 60.0, 3))
    journal(EngineEvent("the engine died", 12.5))
    journal.close()
    with (directory / JOURNAL_FILE).open("a") as file:
        file.write('{"kind": "of a later version"}\n{"kind": "engine", "text": "without its time"}\n{"kind": []}\n')
    record = read_run(directory)
    assert record.starts == (RecordedStart("p1", "PROMPT", 60.0, 3),)
    assert record.engine_events == (EngineEvent("the engine died", 12.5),)
    assert record.unreadable == 2


@given(text=st.text(st.characters(exclude_categories=())))
@examples(50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_of_a_model_is_recorded(directory: Path, text: str) -> None:
    (directory / JOURNAL_FILE).write_bytes(b"")
    journal = Journal(directory)
    journal(SampleEnded(sample(1, turns=(Turn(text, 1, 1.0),))))
    journal.close()
    assert json.loads((directory / JOURNAL_FILE).read_text())["turns"][0]["text"] == text


def test_each_event_that_is_written_as_it_is_can_be_read(directory: Path) -> None:
    written: list[Event] = [
        RequestCharged("p1", 0, 0.25, 2.5, "EUR"),
        EngineEvent("the engine died", 12.5),
        EngineStarted({"weights read": 93.1, "first token": 0.4}),
        RunWarning("no sample ran code", 70.0),
        HealthChecked(2, 2, 20.0, changed={"vllm.enforce_eager": True}, cost=0.5),
    ]
    assert {*map(type, written)} == {*KIND_OF}
    with closing(Journal(directory)) as journal:
        for event in written:
            journal(event)
    record = read_run(directory)
    read = [*record.charges, *record.engine_events, *record.engine_starts, *record.warnings, *record.checks]
    assert read == written


def test_answers_are_rewritten_with_each_solution_and_no_answer_is_empty(directory: Path) -> None:
    write(directory, solution(), solution("p2", {}))
    assert (directory / ANSWERS_FILE).read_text() == "id,answer\np1,42\np2,\n"


def test_cut_anywhere_the_journal_loses_at_most_the_last_line(directory: Path) -> None:
    write(directory, solution(), solution("p2", {7: 1}))
    whole = (directory / JOURNAL_FILE).read_bytes()
    ends = [index for index, byte in enumerate(whole) if byte == ord("\n")]
    for length in sorted({*range(0, len(whole), 7), *ends, *(end + 1 for end in ends), *(end - 1 for end in ends)}):
        (directory / JOURNAL_FILE).write_bytes(whole[:length])
        Journal(directory).close()
        complete = sum(end <= length for end in ends)
        assert (directory / JOURNAL_FILE).read_bytes().splitlines() == whole.splitlines()[:complete]
        record = read_run(directory)
        assert record.unreadable == 0
        assert len(record.solutions) == max(0, complete - 2)


def test_a_whole_last_line_that_lacks_its_newline_is_counted_kept_and_ended(directory: Path) -> None:
    write(directory, solution())
    journal = directory / JOURNAL_FILE
    journal.write_bytes(journal.read_bytes().removesuffix(b"\n"))
    before = read_run(directory)
    assert set(before.solved) == {"p1"}
    Journal(directory).close()
    assert read_run(directory) == before
    assert journal.read_bytes().endswith(b"\n")
    write(directory, solution("p2", {7: 1}))
    assert (set(read_run(directory).solved), read_run(directory).unreadable) == ({"p1", "p2"}, 0)


def test_writing_after_a_torn_line_starts_a_new_line(directory: Path) -> None:
    write(directory, solution())
    with (directory / JOURNAL_FILE).open("ab") as file:
        file.write(b'{"kind": "sample", "prob')
    write(directory, solution("p2", {7: 1}))
    record = read_run(directory)
    assert (set(record.solved), record.unreadable) == ({"p1", "p2"}, 0)


@given(st.binary(max_size=80))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_in_the_middle_is_counted_and_costs_only_itself(directory: Path, garbage: bytes) -> None:
    (directory / JOURNAL_FILE).write_bytes(b"")
    write(directory, solution())
    good = (directory / JOURNAL_FILE).read_bytes()
    (directory / JOURNAL_FILE).write_bytes(garbage + b"\n" + good)
    record = read_run(directory)
    assert record.solutions == (solution(),)
    assert record.samples == (sample(42),)


def test_problems_that_ended_for_want_of_engine_or_time_are_attempted_again(directory: Path) -> None:
    write(directory, solution(votes={}, stop=StopReason.ENGINE_ERROR), solution("p2", {}, stop=StopReason.OUT_OF_TIME))
    assert read_run(directory).solved == {}
    write(directory, solution(votes={}, stop=StopReason.DEADLINE))
    assert set(read_run(directory).solved) == {"p1"}


def test_samples_that_failed_or_were_cancelled_are_drawn_again(directory: Path) -> None:
    journal = Journal(directory)
    ends = [SampleEnd.ANSWERED, SampleEnd.NO_ANSWER, SampleEnd.ENGINE_ERROR, SampleEnd.CANCELLED]
    for index, end in enumerate(ends):
        journal(SampleEnded(sample(None, index=index, end=end)))
    journal(SampleEnded(replace(sample(1), problem_id="p2")))
    journal.close()
    assert [s.index for s in read_run(directory).samples_of("p1")] == [0, 1]


def test_a_compressed_journal_is_read_alike_and_not_written_to(directory: Path) -> None:
    write(directory, solution())
    before = read_run(directory)
    plain, packed = directory / JOURNAL_FILE, directory / PACKED_JOURNAL_FILE
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    assert read_run(directory) == before
    with pytest.raises(InputError, match="gunzip"):
        Journal(directory)
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(InputError, match="cannot be read"):
        read_run(directory)


def test_a_directory_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no run: there is no config.toml"):
        read_run(tmp_path)


def test_a_run_is_never_overwritten(directory: Path) -> None:
    write(directory)
    with pytest.raises(InputError, match="already holds a run: resume that"):
        create_run(directory, config_with(), PROBLEMS)


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match=r"cannot be written .*: free space or name another one"):
        create_run(tmp_path / "file" / "run", config_with(), PROBLEMS)


FULL_DISK = """
import resource, sys
from pathlib import Path
from agent.errors import JournalError
from agent.events import SampleEnded
from agent.journal.journal import Journal
from tests.support.samples import sample
directory = Path(sys.argv[1])
journal = Journal(directory)
journal(SampleEnded(sample(1)))
size = (directory / "journal.jsonl").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, size + 50))
try:
    journal(SampleEnded(sample(2, index=1)))
except JournalError as error:
    print(error)
"""


@pytest.mark.process
def test_a_full_disk_is_reported_and_takes_nothing_that_was_recorded(directory: Path) -> None:
    """The kernel's file size limit stands in for the full disk: a write comes back short, then fails."""
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", FULL_DISK, str(directory)]
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=root, check=True, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert "cannot be written" in result.stdout
    record = read_run(directory)
    assert (record.samples, record.unreadable) == ((sample(1),), 0)
    assert (directory / JOURNAL_FILE).read_bytes().endswith(b"\n")
