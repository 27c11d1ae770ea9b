"""Keys that were renamed are read from what earlier versions wrote, and named where a user still writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import Config, load_config, override_config, parse_config, save_config
from agent.errors import ConfigError
from agent.files.renamed_keys import RENAMED, renamed_keys
from agent.files.stored_config import stored_tree
from agent.journal.journal import JOURNAL_FILE, create_run, read_run
from agent.types import Problem

CHANGED: dict[str, object] = {
    "sample.accept_printed_answer": True,
    "sample.max_failed_tool_runs": 7,
    "stopping.wait_by_lead": [9.0, 8.0, 7.0],
    "stopping.min_wait_share": 0.125,
    "stopping.max_share": 2.5,
    "stopping.max_dissent": 9,
    "budget.min_first_votes": 2.75,
    "budget.lanes_per_first_vote": 11.0,
}


def value_of(config: Config, key: str) -> object:
    table, name = key.split(".")
    return getattr(getattr(config, table), name)


@pytest.fixture
def config() -> Config:
    return load_config("qwq", {**CHANGED, "profile": "config"})


@pytest.fixture
def earlier(config: Config, tmp_path: Path) -> Path:
    """The configuration as a version before the renaming stored it."""
    path = tmp_path / "config.toml"
    save_config(config, path)
    text = path.read_text()
    for old, new in RENAMED.items():
        line = f"\n{new.split('.')[1]} = "
        assert text.count(line) == 1
        text = text.replace(line, f"\n{old.split('.')[1]} = ")
    path.write_text(text)
    return path


def test_every_renamed_key_is_one_of_the_configuration_and_tested_here(config: Config) -> None:
    assert set(RENAMED.values()) == set(CHANGED)
    default = load_config("qwq")
    assert all(value_of(config, key) != value_of(default, key) for key in CHANGED)


def test_a_stored_configuration_with_earlier_keys_is_the_same(earlier: Path, config: Config) -> None:
    assert parse_config(stored_tree(earlier), str(earlier)) == config
    assert load_config(str(earlier)) == config  # as a profile of a new run


def test_a_journal_with_earlier_keys_sets_them(tmp_path: Path) -> None:
    create_run(tmp_path, load_config("qwq"), [Problem("a", "1 + 1?", 2)])
    line = '{"kind": "settings", "changed": {"stopping.waits": [9, 8, 7], "seed": 3}, "at": 1.0}\n'
    (tmp_path / JOURNAL_FILE).write_text(line)
    config = read_run(tmp_path).config
    assert (config.stopping.wait_by_lead, config.seed) == ((9.0, 8.0, 7.0), 3)


def test_a_key_under_both_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[stopping]\nslack = 0.25\nmin_wait_share = 0.75\n")
    with pytest.raises(ConfigError, match=r"stopping\.slack: unknown key; did you mean stopping\.min_wait_share\?"):
        load_config(str(path))


@pytest.mark.parametrize("key", RENAMED)
def test_an_earlier_key_is_refused_with_the_name_of_the_new_one(key: str) -> None:
    with pytest.raises(ConfigError) as error:
        override_config(load_config("qwq"), {key: 1})
    assert f"{key}: unknown key; did you mean {RENAMED[key]}?" in str(error.value)


def test_other_keys_stay_as_they_are() -> None:
    assert renamed_keys({"seed": 1, "sample.count": 2, "waits": 3}) == {"seed": 1, "sample.count": 2, "waits": 3}
