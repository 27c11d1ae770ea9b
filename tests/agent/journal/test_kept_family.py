"""A run whose family is a user's own file has that family, whatever becomes of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.chat.family import load_family
from agent.config import Config
from agent.errors import ConfigError, InputError
from agent.journal.journal import create_run, read_run
from agent.journal.kept_family import FAMILY_FILE, with_kept_family
from agent.types import Problem
from tests.support.doubles import config_with

PROBLEMS = [Problem("p1", "What?", 42)]
OWN = """\
# Mine.
dialect = "chatml-fenced"
instructions = "Think \\t \\u2028 \\"so\\"."
tool_instructions = '''C:\\path
```python'''
examples = [{question = "a", code = "b", output = "3"}]
[sampling]
top_p = 0.5
[hint]
text = "Run it."
at = ["Wait"]
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(OWN, encoding="utf-8")
    return path


@pytest.fixture
def config(own: Path) -> Config:
    return config_with(sample__family=str(own), sample__own_families=[str(own)])


@pytest.fixture(autouse=True)
def _fresh_process() -> None:
    load_family.cache_clear()


def test_the_copy_is_the_family(config: Config, own: Path, tmp_path: Path) -> None:
    create_run(tmp_path / "run", config, PROBLEMS)
    assert load_family(str(tmp_path / "run" / FAMILY_FILE)) == load_family(str(own))
    assert read_run(tmp_path / "run").config == config


@pytest.mark.parametrize("later", [None, "", OWN.replace("Run it", "Compute it")])
def test_a_run_whose_family_was_deleted_or_changed_is_read_with_the_family_that_it_had(
    config: Config, own: Path, tmp_path: Path, later: str | None
) -> None:
    had = load_family(str(own))
    create_run(tmp_path / "run", config, PROBLEMS)
    (tmp_path / "run").rename(tmp_path / "moved")
    load_family.cache_clear()
    own.unlink() if later is None else own.write_text(later, encoding="utf-8")
    read = read_run(tmp_path / "moved").config
    assert load_family(read.sample.family) == had
    assert read.sampling == config.sampling


@pytest.mark.parametrize("later", [None, "dialect ="])
@pytest.mark.parametrize("family", ["qwq", "own"])
def test_a_run_is_read_though_a_file_that_auto_was_to_look_at_is_gone(
    own: Path, tmp_path: Path, later: str | None, family: str
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(OWN, encoding="utf-8")
    named = str(own) if family == "own" else family
    config = config_with(sample__family=named, sample__own_families=[str(other), str(own)])
    create_run(tmp_path / "run", config, PROBLEMS)
    load_family.cache_clear()
    other.unlink() if later is None else other.write_text(later, encoding="utf-8")
    read = read_run(tmp_path / "run").config
    assert (read.sample.family, read.sample.own_families) == (named, (str(own),))
    load_family.cache_clear()
    own.unlink() if later is None else own.write_text(later, encoding="utf-8")
    read = read_run(tmp_path / "run").config
    assert read.sample.own_families == ()
    kept = str(tmp_path / "run" / FAMILY_FILE)
    assert read.sample.family == (kept if family == "own" else "qwq")


def test_a_run_whose_family_has_a_key_that_is_ignored_is_read_as_it_was_recorded(own: Path, tmp_path: Path) -> None:
    """Earlier versions took such families."""
    config = config_with(sample__family=str(own))
    create_run(tmp_path / "run", config, PROBLEMS)
    for file in (own, tmp_path / "run" / FAMILY_FILE):
        file.write_text(f'reasoning_effort = "low"\n{file.read_text(encoding="utf-8")}', encoding="utf-8")
    load_family.cache_clear()
    assert read_run(tmp_path / "run").config == config
    own.unlink()
    load_family.cache_clear()
    assert read_run(tmp_path / "run").config.sample.family == str(tmp_path / "run" / FAMILY_FILE)
    with pytest.raises(ConfigError, match="reasoning_effort means nothing in the dialect chatml-fenced"):
        config_with(sample__family=str(tmp_path / "run" / FAMILY_FILE))


def test_a_bundled_family_is_not_copied_and_an_earlier_copy_goes(config: Config, tmp_path: Path) -> None:
    create_run(tmp_path / "run", config, PROBLEMS)
    create_run(tmp_path / "run", config_with(), PROBLEMS)  # nothing was recorded until now
    assert not (tmp_path / "run" / FAMILY_FILE).exists()
    assert read_run(tmp_path / "run").config == config_with()


def test_the_copy_is_the_family_of_a_stored_configuration_without_a_table_of_samples(own: Path, tmp_path: Path) -> None:
    create_run(tmp_path / "run", config_with(sample__family=str(own)), PROBLEMS)
    kept = str((tmp_path / "run" / FAMILY_FILE).absolute())
    assert with_kept_family({"seed": 3}, tmp_path / "run")["sample"]["family"] == kept
    assert with_kept_family({"seed": 3}, tmp_path) == {"seed": 3}


def test_a_copy_that_is_damaged_is_named(config: Config, tmp_path: Path) -> None:
    create_run(tmp_path / "run", config, PROBLEMS)
    (tmp_path / "run" / FAMILY_FILE).write_text("dialect =")
    with pytest.raises(ConfigError, match=rf"run/{FAMILY_FILE} cannot be read"):
        read_run(tmp_path / "run")


def test_a_users_own_file_of_that_name_is_not_overwritten(config: Config, tmp_path: Path) -> None:
    (tmp_path / FAMILY_FILE).write_text("mine")
    with pytest.raises(InputError, match=f"has a {FAMILY_FILE} that a run would overwrite"):
        create_run(tmp_path, config, PROBLEMS)
    assert (tmp_path / FAMILY_FILE).read_text() == "mine"
