"""Configurations: bundled, overridden, refused, saved and read again."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agent.config import Config, load_config, override_config, profile_names, save_config
from agent.editions import EDITIONS
from agent.errors import ConfigError
from agent.policy.registries import PARAMETERS


@pytest.mark.parametrize("name", profile_names())
def test_every_bundled_profile_is_valid_and_survives_being_saved(name: str, tmp_path: Path) -> None:
    config = load_config(name)
    assert config.profile == name
    save_config(config, tmp_path / "saved.toml")
    assert load_config(str(tmp_path / "saved.toml")) == config


def test_an_override_changes_its_key_only() -> None:
    config = load_config("cpu", {"sample.count": 4, "seed": 9})
    assert (config.sample.count, config.seed) == (4, 9)
    assert override_config(config, {"sample.count": 8, "seed": 0}) == load_config("cpu")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"sample.cuont": 4}, r"sample\.cuont: unknown key"),
        ({"samples": 4}, r"samples: unknown key"),
        ({"sample.count": 0}, r"sample\.count: input should be greater than or equal to 1"),
        ({"sample.count": "many"}, r"sample\.count: input should be a valid integer"),
        ({"sampling.temperature": float("nan")}, r"sampling\.temperature: input should be a finite number"),
        ({"edition.x": 1}, r"edition\.x: edition is a value, not a table"),
        ({"edition": "aimo9"}, f"unknown edition 'aimo9': give one of {', '.join(EDITIONS)}"),
        ({"engine.kind": "http"}, r"engine\.url is needed"),
        ({"sample.count": "8"}, r"sample\.count: input should be a valid integer, not '8'"),
        ({"sample.count": 8.0}, r"sample\.count: input should be a valid integer, not 8\.0"),
        ({"sample.count": True}, r"sample\.count: input should be a valid integer, not True"),
        ({"sample.tools": 1}, r"sample\.tools: input should be a valid boolean, not 1"),
        ({"sampling.top_p": True}, r"sampling\.top_p: input should be a valid number, not True"),
        ({"sampling.top_p": "0.9"}, r"sampling\.top_p: input should be a valid number, not '0\.9'"),
        ({"sample.max_seconds": float("inf")}, r"sample\.max_seconds: input should be a finite number, not inf"),
        ({"seed": 1e3}, r"seed: input should be a valid integer, not 1000\.0"),
        ({"engine.model": 7}, r"engine\.model: input should be a valid string, not 7"),
        ({"vllm.extra_args": ["-x", 2]}, r"vllm\.extra_args\.1: input should be a valid string, not 2"),
        ({"stopping.max_share": 2.0}, r"stopping\.max_share: this key has no meaning any more"),
        ({"vllm.environment": {"A": 1}}, r"vllm\.environment\.A: input should be a valid string, not 1"),
        ({"sample": {"count": 3}}, r"sample is a table: set single keys of it, written as sample\.KEY"),
        ({"sample.cuont": 4}, r"did you mean sample\.count\?"),
        ({"count": 4}, r"did you mean sample\.count\?"),
        ({"budget.max_tokens": 4}, r"did you mean sample\.max_tokens\?"),
        ({"zzz": 4}, r"zzz: unknown key$"),
        ({"rule": "margin"}, r"rule: unknown key$"),
        ({"engine.rule": "margin"}, r"engine\.rule: unknown key$"),
        ({"rulee": "margin"}, r"rulee: unknown key$"),
        ({"engine.url": "localhost"}, r"engine\.url: 'localhost' is not the URL of a server"),
        ({"sample.family": "gpt"}, r"sample\.family: no family 'gpt' \(did you mean gpt-oss\?\): give one of "),
    ],
)
def test_what_is_not_valid_is_named(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config("cpu", keys)


def test_an_integer_is_a_number_and_a_list_a_row_of_values() -> None:
    config = load_config("cpu", {"sampling.top_p": 1, "vllm.extra_args": ["-x"]})
    assert (config.sampling.top_p, config.vllm.extra_args) == (1.0, ("-x",))


def test_a_grant_rule_that_is_named_by_its_earlier_key_plans_whatever_planned_before(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[budget]\nrule = "equal"\n')
    named = [load_config(str(own)), load_config("cpu", {"budget.rule": "equal"}), load_config("cpu")]
    named.append(override_config(named.pop(), {"budget.rule": "equal"}))
    assert [config.budget.planner for config in named] == ["equal"] * 3
    both = load_config("cpu", {"budget.rule": "equal", "budget.planner": "price"})
    assert (load_config("cpu").budget.planner, both.budget.planner) == ("price", "price")


@pytest.mark.parametrize("key", PARAMETERS)
def test_a_parameter_is_warned_of_where_no_rule_is_named_and_the_default_one_does_not_read_it(
    key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chooser, rules = PARAMETERS[key]
    table, name = key.split(".")
    value = attrgetter(key)(load_config("cpu"))
    (own := tmp_path / "own.toml").write_text(f"[{table}]\n{name} = {value}\n")
    for rule in (*rules, "price"):  # named, whether it reads the parameter or not
        load_config(str(own), {chooser: rule})
    save_config(load_config("cpu", {key: value, chooser: "price"}), tmp_path / "saved.toml")
    load_config(str(tmp_path / "saved.toml"))
    assert not caplog.records
    load_config(str(own)), load_config("cpu", {key: value})
    told = f"{key}: {chooser} 'price' does not read it: set {chooser} to {' or '.join(rules)} besides, or leave the "
    assert [record.getMessage() for record in caplog.records] == [
        f"configuration ({own}): {told}key out",
        f"configuration (cpu): {told}key out",
    ]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4))
@example(2**53 + 1)
@example(10**400)
def test_any_value_of_a_key_is_kept_as_it_is_or_refused(value: object) -> None:
    for key in ("seed", "sample.tools", "sampling.temperature", "vllm.gpu"):
        try:
            config = load_config("cpu", {key: value})
        except ConfigError as error:
            assert key in str(error)
            continue
        table, _, name = key.rpartition(".")
        kept = getattr(getattr(config, table) if table else config, name)
        assert kept == (float(value) if isinstance(kept, float) and isinstance(value, int) else value)
        assert type(kept) is type(value) or (type(kept), type(value)) == (float, int)


def test_no_such_profile() -> None:
    with pytest.raises(ConfigError, match=r"no profile 'nope': give one of cpu, .*qwq.* or the path of a TOML file"):
        load_config("nope")


@given(st.binary(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_a_configuration_or_a_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(content)
    try:
        assert isinstance(load_config(str(path)), Config)
    except ConfigError as error:
        assert "own.toml" in str(error)


def test_the_editions_limit_counts_where_none_is_given() -> None:
    assert load_config("qwq", {"edition": "aimo1"}).time_limit_seconds == 9 * 3600
    assert load_config("qwq", {"budget.time_limit_seconds": 60}).time_limit_seconds == 60


@pytest.fixture
def own_profile(tmp_path: Path) -> Path:
    """A profile with a family beside it, both named relatively."""
    (tmp_path / "words.toml").write_text(
        'dialect = "chatml-fenced"\ninstructions = "Solve."\ntool_instructions = "Run."\n'
    )
    profile = tmp_path / "own.toml"
    profile.write_text('[sample]\nfamily = "words.toml"\nown_families = ["words.toml"]\n')
    return profile


def test_a_family_is_found_beside_the_profile_that_names_it(own_profile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own_profile.root)
    sample = load_config(str(own_profile)).sample
    assert sample.family == str(own_profile.parent / "words.toml")
    assert sample.own_families == (sample.family,)


@pytest.mark.parametrize("name", ["missing.toml", "a" * 5_000, "words.toml\\u0000"])
def test_a_family_that_is_nowhere_is_a_clear_error(own_profile: Path, name: str) -> None:
    own_profile.write_text(f'[sample]\nfamily = "{name}"\n')
    with pytest.raises(ConfigError, match=r"sample\.family"):
        load_config(str(own_profile))


def test_a_bundled_family_is_not_looked_for_beside_the_profile(own_profile: Path) -> None:
    (own_profile.parent / "qwq").write_text("no family")
    own_profile.write_text('[sample]\nfamily = "qwq"\n')
    assert load_config(str(own_profile)).sample.family == "qwq"
