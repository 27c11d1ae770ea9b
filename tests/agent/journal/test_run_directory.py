"""What a run directory is taken for, whatever it holds."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.config import override_config
from agent.errors import ConfigError, InputError, JournalError
from agent.events import ProblemSolved, SampleEnded
from agent.journal.journal import (
    ANSWERS_FILE,
    CONFIG_FILE,
    JOURNAL_FILE,
    PACKED_JOURNAL_FILE,
    PROBLEMS_FILE,
    Journal,
    check_free,
    create_run,
    read_run,
)
from agent.policy.voting import tally
from agent.types import Problem, Sample, SampleEnd
from tests.support.doubles import config_with
from tests.support.runs.report_runs import solved
from tests.support.samples import sample

PROBLEMS = [Problem("p1", "What?", 42), Problem("p2", "Why?")]
NONE_RECORDED = (
    b"",
    b'{"kind": "problem", "problem_id": "p1", "prompt": "P", "allowance": 9.0, "lanes": 2}\n',
    b'{"kind": "engine", "text": "the engine died", "at": 1.0}\n',
    b'{"kind": "settings", "changed": {"seed": 1}, "at": 1.0}\n',
    b'{"kind": "sample", "problem_id": "p1", "ind',
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    create_run(tmp_path / "run", config_with(), PROBLEMS)
    return tmp_path / "run"


def record(directory: Path, *samples: Sample) -> None:
    journal = Journal(directory)
    for each in samples:
        journal(SampleEnded(each))
    journal.close()


@pytest.mark.parametrize("journal", NONE_RECORDED)
def test_the_directory_of_a_run_that_recorded_nothing_may_be_reused(directory: Path, journal: bytes) -> None:
    (directory / JOURNAL_FILE).write_bytes(journal)
    create_run(directory, config_with(seed=8), PROBLEMS[:1], {"more.json": "{}"})
    run = read_run(directory)
    assert (run.config.seed, run.problems, run.starts, run.changes) == (8, tuple(PROBLEMS[:1]), (), ())
    assert (directory / "more.json").read_text() == "{}"


@pytest.mark.parametrize(
    "line",
    [b'{"kind": "of a later version"}\n', b"garbage\n", b'{"kind": "a later version"}', b'{"kind": "sample", "a": 1}'],
)
def test_a_journal_with_lines_that_are_not_understood_is_kept(directory: Path, line: bytes) -> None:
    (directory / JOURNAL_FILE).write_bytes(line)
    with pytest.raises(InputError, match="already holds a run"):
        create_run(directory, config_with(), PROBLEMS)
    assert (directory / JOURNAL_FILE).read_bytes() == line


def test_a_run_with_a_sample_or_a_solution_is_kept(directory: Path) -> None:
    record(directory, sample(42))
    with pytest.raises(InputError, match="resume that, or name another directory"):
        create_run(directory, config_with(), PROBLEMS)
    (directory / JOURNAL_FILE).write_bytes(b"")
    journal = Journal(directory)
    journal(ProblemSolved(solved("p1", [sample(42)], at=1.0)))
    journal.close()
    recorded = (directory / JOURNAL_FILE).read_bytes()
    for content in (recorded, recorded.removesuffix(b"\n")):
        (directory / JOURNAL_FILE).write_bytes(content)
        with pytest.raises(InputError, match="already holds a run"):
            check_free(directory)


@pytest.mark.parametrize("journal", [JOURNAL_FILE, PACKED_JOURNAL_FILE])
@pytest.mark.parametrize("lost", [CONFIG_FILE, PROBLEMS_FILE])
def test_a_recorded_run_that_lost_a_file_is_kept_and_the_file_is_named(
    directory: Path, journal: str, lost: str
) -> None:
    record(directory, sample(42))
    (directory / lost).unlink()
    (directory / JOURNAL_FILE).rename(directory / journal)
    told = f"the {lost} of the run in .* is missing: restore it, or name another directory"
    with pytest.raises(InputError, match=told):
        create_run(directory, config_with(), PROBLEMS)
    with pytest.raises(InputError, match=told):
        read_run(directory)
    assert (directory / journal).stat().st_size > 0


def test_a_run_that_lost_its_journal_is_neither_overwritten_nor_ignored(directory: Path) -> None:
    (directory / ANSWERS_FILE).write_text("id,answer\np1,42\n")
    (directory / JOURNAL_FILE).unlink()
    for call in (check_free, read_run):
        with pytest.raises(InputError, match=f"the {JOURNAL_FILE} of the run in .* is missing: restore it"):
            call(directory)
    (directory / ANSWERS_FILE).unlink()
    create_run(directory, config_with(seed=8), PROBLEMS)
    assert read_run(directory).config.seed == 8


@pytest.mark.parametrize("name", [PROBLEMS_FILE, ANSWERS_FILE])
def test_a_users_own_files_are_not_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=f"has a {name} that a run would overwrite"):
        create_run(tmp_path, config_with(), PROBLEMS)
    assert (tmp_path / name).read_text() == "mine"


def test_an_engines_log_alone_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "engine.log").write_text("loading")
    create_run(tmp_path, config_with(), PROBLEMS)
    assert read_run(tmp_path).problems == tuple(PROBLEMS)
    assert (tmp_path / "engine.log").read_text() == "loading"


def test_a_layout_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(config: object, path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("agent.journal.journal.save_config", full)
    with pytest.raises(JournalError, match="No space left on device"):
        create_run(tmp_path, config_with(), PROBLEMS, {"more.json": "{}"})
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_its_whole_configuration_is_refused(directory: Path) -> None:
    record(directory, sample(42))
    text = (directory / CONFIG_FILE).read_text()
    (directory / CONFIG_FILE).write_text(text[: len(text) // 2])
    with pytest.raises(ConfigError, match="not a complete configuration"):
        read_run(directory)
    (directory / CONFIG_FILE).write_text(text)
    assert len(read_run(directory).samples) == 1


def test_what_a_resume_changes_counts_from_then_on(directory: Path) -> None:
    stored = (directory / CONFIG_FILE).read_bytes()
    journal = Journal(directory)
    journal.settings_changed({"engine.url": "http://one:1", "engine.kind": "http"}, 5.0)
    journal.settings_changed({"engine.url": "http://two:2", "vllm.extra_args": ("-x",)}, 9.0)
    journal.close()
    run = read_run(directory)
    wanted = {"engine.url": "http://two:2", "engine.kind": "http", "vllm.extra_args": ("-x",)}
    assert run.config == override_config(config_with(), wanted)
    assert [change.at for change in run.changes] == [5.0, 9.0]
    assert (directory / CONFIG_FILE).read_bytes() == stored


def test_a_setting_that_is_not_known_here_is_named(directory: Path) -> None:
    (directory / JOURNAL_FILE).write_text('{"kind": "settings", "changed": {"sample.mood": 1}, "at": 1.0}\n')
    with pytest.raises(ConfigError, match=r"the journal of .* sets .*sample\.mood: unknown key"):
        read_run(directory)


def test_of_two_samples_with_one_index_the_first_that_voted_counts(directory: Path) -> None:
    silent, first, second = sample(None, started=0.0), sample(7, started=1.0), sample(8, started=2.0)
    other = sample(8, index=1)
    record(directory, silent, first, second, first, other)
    run = read_run(directory)
    assert run.samples == (first, other)
    assert run.samples_of("p1") == [first, other]
    assert replace(run, samples=(silent, first, second, other)).samples_of("p1") == [first, other]


def test_a_failed_attempt_is_kept_next_to_the_one_that_followed(directory: Path) -> None:
    failed, drawn = sample(None, end=SampleEnd.ENGINE_ERROR), sample(7, started=3.0)
    record(directory, failed, drawn, failed)
    assert read_run(directory).samples == (failed, drawn)
    assert read_run(directory).samples_of("p1") == [drawn]


samples = st.builds(
    lambda problem, index, answer, end, started: replace(
        sample(answer, index=index, started=started), problem_id=problem, end=end
    ),
    st.sampled_from(["p1", "p2"]),
    st.integers(0, 3),
    st.none() | st.integers(0, 2),
    st.sampled_from(list(SampleEnd)),
    st.integers(0, 2).map(float),
)


@given(st.lists(samples, max_size=12), st.randoms(use_true_random=False), st.lists(st.integers(0, 10_000), max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_an_index_has_one_vote_whatever_the_journal_holds(
    directory: Path, drawn: list[Sample], order: random.Random, torn: list[int]
) -> None:
    """Lines twice, in any order, cut anywhere."""
    (directory / JOURNAL_FILE).write_bytes(b"")
    record(directory, *drawn, *drawn)
    lines = (directory / JOURNAL_FILE).read_bytes().splitlines(keepends=True)
    order.shuffle(lines)
    content = b"".join(lines)
    for place in torn:
        content = content[:place] + content[place + 9 :]
    (directory / JOURNAL_FILE).write_bytes(content)
    run = read_run(directory)
    for problem in ("p1", "p2"):
        kept = run.samples_of(problem)
        assert max(Counter(each.index for each in kept).values(), default=0) <= 1
        assert sum(vote.samples for vote in tally(kept, run.config.voting, run.config.rules).votes) <= 4
    if not torn:
        voters = {(each.problem_id, each.index) for each in drawn if each.answer is not None}
        voters -= {
            (each.problem_id, each.index)
            for each in drawn
            if each.end in (SampleEnd.ENGINE_ERROR, SampleEnd.CANCELLED) and each.answer is not None
        }
        kept_voters = {
            (each.problem_id, each.index)
            for id_ in ("p1", "p2")
            for each in run.samples_of(id_)
            if each.answer is not None
        }
        assert voters <= kept_voters
