"""Where the key of a server comes from, and that it is never shown."""

from __future__ import annotations

import pytest

from agent.config import load_config, save_config
from agent.engine.api_key import read_key, vllm_key
from agent.errors import ConfigError

USUAL = "OPENAI_API_KEY"


def test_a_key_is_read_from_the_variable_that_is_named_or_from_the_usual_one() -> None:
    environment = {USUAL: "usual", "OTHER": "other"}
    assert read_key("", environment, usual=USUAL) == "usual"
    assert read_key("OTHER", environment, usual=USUAL) == "other"
    assert read_key("", environment) is None
    assert read_key("", {USUAL: " "}, usual=USUAL) is None


@pytest.mark.parametrize("around", [" ", "\n", "\r\n", "\t", "\u00a0", " \n\n "])
def test_white_space_around_a_key_is_no_part_of_it(around: str) -> None:
    for value in (f"the-key{around}", f"{around}the-key", f"{around}the-key{around}"):
        assert read_key("", {USUAL: value}, usual=USUAL) == read_key("NAMED", {"NAMED": value}) == "the-key"
        assert vllm_key(None, (), {"VLLM_API_KEY": value}) == "the-key"
    assert read_key("", {USUAL: around}, usual=USUAL) is None


@pytest.mark.parametrize("environment", [{}, {"NAMED": ""}, {"NAMED": "\n"}, {USUAL: "usual"}])
def test_a_named_variable_that_is_not_set_is_an_error(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="the environment has no NAMED: export it"):
        read_key("NAMED", environment, usual=USUAL)


@pytest.mark.parametrize("key", ["two\nlines", "tab\tbed", "ab cd", "schlüssel", "nul\0", "\x7f", "a\r\nX-Evil: 1"])
def test_what_no_header_takes_is_no_key_and_is_not_quoted(key: str) -> None:
    with pytest.raises(
        ConfigError, match="the value of OPENAI_API_KEY in the environment cannot be an API key"
    ) as caught:
        read_key("", {USUAL: key}, usual=USUAL)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "arguments", "environment", "key"),
    [
        (None, (), {}, None),
        (None, (), {USUAL: "usual"}, None),
        (None, (), {"VLLM_API_KEY": "its"}, "its"),
        ("given", (), {"VLLM_API_KEY": "its"}, "given"),
        ("given", ("--api-key", "flag"), {"VLLM_API_KEY": "its"}, "flag"),
        (None, ("--swap-space", "0", "--api-key=flag"), {}, "flag"),
        (None, ("--api_key", "flag", "second"), {}, "flag"),
        ("given", ("--api-key",), {}, "given"),
        ("given", ("--api-key", "--enforce-eager"), {}, "given"),
    ],
)
def test_which_key_a_vllm_server_of_ours_wants(
    given: str | None, arguments: tuple[str, ...], environment: dict[str, str], key: str | None
) -> None:
    assert vllm_key(given, arguments, environment) == key


@pytest.mark.parametrize("name", ["sk-proj-abc", "a b", "$NAME", "k\u00e9y", "a\nb"])
def test_a_key_in_the_place_of_a_name_is_refused_before_it_is_written_or_quoted(name: str) -> None:
    with pytest.raises(ConfigError, match=r"engine\.api_key_env: .*the name of an environment variable") as caught:
        load_config("cpu", {"engine.api_key_env": name})
    assert name not in str(caught.value)


def test_a_configuration_holds_the_name_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("config") / "config.toml"
    save_config(load_config("cpu", {"engine.api_key_env": "MY_KEY"}), path)
    assert 'api_key_env = "MY_KEY"' in path.read_text()
