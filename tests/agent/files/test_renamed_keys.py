"""Keys that were renamed are read from what earlier versions wrote, and named where a user still writes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.config import Config, load_config, override_config, parse_config, save_config
from agent.errors import ConfigError
from agent.files.renamed_keys import RENAMED, RETIRED, renamed_keys, renamed_tree
from agent.files.stored_config import stored_tree
from agent.journal.journal import JOURNAL_FILE, create_run, read_run
from agent.types import Problem

CHANGED: dict[str, object] = {
    "sample.accept_printed_answer": True,
    "sample.max_failed_tool_runs": 7,
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
    line = '{"kind": "settings", "changed": {"stopping.waits": [9], "sample.failed_runs": 7, "seed": 3}, "at": 1.0}\n'
    (tmp_path / JOURNAL_FILE).write_text(line)
    config = read_run(tmp_path).config
    assert (config.sample.max_failed_tool_runs, config.seed) == (7, 3)


def test_a_key_under_both_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[sample]\nfailed_runs = 1\nmax_failed_tool_runs = 2\n")
    with pytest.raises(ConfigError, match=r"\.failed_runs: unknown key; did you mean sample\.max_failed_tool_runs\?"):
        load_config(str(path))


@pytest.mark.parametrize("key", RENAMED)
def test_an_earlier_key_is_refused_with_the_name_of_the_new_one(key: str) -> None:
    with pytest.raises(ConfigError) as error:
        override_config(load_config("qwq"), {key: 1})
    assert f"{key}: unknown key; did you mean {RENAMED[key]}?" in str(error.value)


def test_other_keys_stay_as_they_are() -> None:
    assert renamed_keys({"seed": 1, "sample.count": 2, "waits": 3}) == {"seed": 1, "sample.count": 2, "waits": 3}


@pytest.mark.parametrize("key", sorted(RETIRED))
def test_a_retired_key_of_a_profile_is_ignored_with_a_sentence(
    key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table, name = key.split(".")
    (tmp_path / "own.toml").write_text(f"[{table}]\n{name} = 2\n")
    (tmp_path / "plain.toml").write_text(f"[{table}]\n")
    own, plain = (load_config(str(tmp_path / name)) for name in ("own.toml", "plain.toml"))
    assert own == plain.model_copy(update={"profile": "own"})
    assert [record.getMessage().split(": this")[0] for record in caplog.records] == [
        f"configuration ({tmp_path / 'own.toml'}): {key}"
    ]


@pytest.mark.parametrize("key", sorted(RETIRED))
def test_a_retired_key_that_is_set_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: this key has no meaning any more"):
        override_config(load_config("qwq"), {key: 2})


@pytest.mark.parametrize(
    "grants", [{"rule": "spread"}, {"planner": "grant", "rule": "spread"}, {"planner": "grant"}, {}]
)
def test_a_run_under_patience_is_resumed_and_replayed_under_what_took_its_place(
    grants: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    stored = {
        "stopping": {"rule": "patience", "margin": 3.0, "wait_by_lead": [3.0, 2.0, 1.4]},
        "budget": {**grants, "spread": 3.0, "lanes_per_first_vote": 6.0},
    }
    config = parse_config(renamed_tree(stored), "stored")
    assert (config.stopping.rule, config.budget.planner) == ("price", "price")
    assert not caplog.records, "nobody wrote these keys by hand"


def test_a_run_under_patience_with_another_grant_rule_keeps_its_grants() -> None:
    stored = {"stopping": {"rule": "patience"}, "budget": {"planner": "grant", "rule": "equal", "floor_seconds": 3.0}}
    config = parse_config(renamed_tree(stored), "stored")
    assert (config.stopping.rule, config.budget.planner) == ("price", "equal")
    assert config.budget.floor_seconds == 3.0


def test_a_run_under_another_rule_keeps_its_grants() -> None:
    stored = {"stopping": {"rule": "margin"}, "budget": {"rule": "spread", "min_lanes": 3}}
    config = parse_config(renamed_tree(stored), "stored")
    assert (config.stopping.rule, config.budget.planner) == ("margin", "spread")


@pytest.mark.parametrize(
    ("budget", "planner"),
    [
        ({"planner": "grant", "rule": "nemoskills"}, "nemoskills"),
        ({"planner": "price", "rule": "spread"}, "price"),
        ({"planner": "grant"}, "spread"),
        ({"rule": "aimo3-clamp"}, "aimo3-clamp"),
        ({"planner": "equal"}, "equal"),
        ({}, "price"),
    ],
)
def test_a_grant_rule_of_earlier_versions_is_a_planner(budget: dict[str, str], planner: str, tmp_path: Path) -> None:
    """As a stored configuration has it, a profile, a command line or a journal."""
    dotted = {f"budget.{key}": value for key, value in budget.items()}
    own = tmp_path / "own.toml"
    own.write_text("[budget]\n" + "".join(f'{key} = "{value}"\n' for key, value in budget.items()))
    create_run(tmp_path / "run", load_config("qwq"), [Problem("a", "1 + 1?", 2)])
    line = {"kind": "settings", "changed": dotted, "at": 1.0}
    (tmp_path / "run" / JOURNAL_FILE).write_text(json.dumps(line) + "\n")
    configs = [
        parse_config(renamed_tree({"stopping": {"rule": "margin"}, "budget": budget}), "stored"),
        load_config(str(own)),
        load_config("qwq", dotted),
        override_config(load_config("qwq"), dotted),
        read_run(tmp_path / "run").config,
    ]
    assert [config.budget.planner for config in configs] == [planner] * len(configs)


def test_a_grant_rule_that_is_not_known_is_refused_with_the_planners() -> None:
    with pytest.raises(ConfigError, match=r"budget\.planner: no rule 'guess': give one of price, spread, equal"):
        load_config("qwq", {"budget.rule": "guess"})
