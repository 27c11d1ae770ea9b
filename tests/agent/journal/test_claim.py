"""A run directory has one writer at a time, and nothing is left of a run that was not laid out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent.errors import InputError, JournalError
from agent.events import SampleEnded
from agent.journal.claim import LOCK_FILE, claim, claim_fresh
from agent.journal.journal import read_run
from agent.types import Problem
from submission.worker.recording import RunRecorder
from tests.support.calls import ROOT, environment
from tests.support.doubles import config_with
from tests.support.samples import sample

HOLDER = """
import pathlib, sys
from agent.journal.claim import claim
with claim(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    input()
"""


@pytest.mark.process
def test_a_second_process_is_refused_by_name_until_the_first_has_died(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=environment(),
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=rf"in use by another run \(process {holder.pid}\)"), claim(tmp_path):
            pass
        os.kill(holder.pid, signal.SIGKILL)
    with claim(tmp_path):
        assert (tmp_path / LOCK_FILE).read_text() == f"{os.getpid()}\n"
    assert list(tmp_path.iterdir()) == []


def test_only_one_of_many_concurrent_claims_holds(tmp_path: Path) -> None:
    held, most = 0, 0

    def take(_: int) -> int:
        nonlocal held, most
        try:
            with claim(tmp_path / "run"):
                held += 1
                most = max(most, held)
                held -= 1
                return 1
        except InputError:
            return 0

    with ThreadPoolExecutor(8) as pool:
        taken = sum(pool.map(take, range(200)))
    assert taken >= 1
    assert most == 1
    assert not (tmp_path / "run" / LOCK_FILE).exists()


def test_what_was_made_is_removed_unless_something_was_put_there(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with claim(tmp_path / "mine" / "a" / "b"):
        assert (tmp_path / "mine" / "a" / "b").is_dir()
    assert list((tmp_path / "mine").iterdir()) == []
    with claim(tmp_path / "mine"):
        pass
    assert (tmp_path / "mine").is_dir()
    with claim(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "config.toml").touch()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["config.toml"]


def test_fresh_directories_take_other_names_where_theirs_are_taken(tmp_path: Path) -> None:
    (tmp_path / "runs" / "noon-2").mkdir(parents=True)
    with ExitStack() as stack:
        made = [stack.enter_context(claim_fresh(tmp_path / "runs", "noon")).name for _ in range(3)]
    assert made == ["noon", "noon-3", "noon-4"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["noon-2"]


def test_new_directories_made_at_the_same_moment_differ(tmp_path: Path) -> None:
    def take(_: int) -> bool:
        with claim_fresh(tmp_path / "runs", "noon") as directory:
            (directory / "mine").touch(exist_ok=False)
            (directory / "mine").unlink()
            return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(take, range(100)))
    assert list(tmp_path.glob("runs/*")) == []


@pytest.mark.parametrize(
    ("place", "error", "message"),
    [
        (lambda path: path / "file", InputError, "is a file: name a directory"),
        (lambda path: path / "file" / "run", JournalError, "cannot be written .Not a directory"),
        (lambda path: Path("/proc/run"), JournalError, "cannot be written"),
        (lambda path: path / ("x" * 300), JournalError, "name too long"),
    ],
)
def test_a_directory_that_cannot_be_created_is_an_error(
    tmp_path: Path, place: Callable[[Path], Path], error: type[Exception], message: str
) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(error, match=f"(?i){message}"), claim(place(tmp_path)):
        pass
    with pytest.raises(InputError, match="is a file"), claim_fresh(tmp_path / "file", "run"):
        pass
    assert (tmp_path / "file").read_text() == "kept"


def test_a_notebooks_recorder_holds_its_directory_until_it_is_closed(tmp_path: Path) -> None:
    complaints: list[str] = []
    first, second = (RunRecorder(tmp_path / "run", complaints.append) for _ in range(2))
    first.add_problem(Problem("p1", "What?"), config_with())
    second.add_problem(Problem("p2", "Why?"), config_with())
    assert len(complaints) == 1
    assert "in use by another run" in complaints[0]
    first(SampleEnded(sample(42)))
    first.close()
    first.close()
    third = RunRecorder(tmp_path / "run", complaints.append)
    third.add_problem(Problem("p3", "Who?"), config_with())
    third.close()
    record = read_run(tmp_path / "run")
    assert [problem.id for problem in record.problems] == ["p1", "p3"]
    assert len(record.samples) == len(complaints) == 1
