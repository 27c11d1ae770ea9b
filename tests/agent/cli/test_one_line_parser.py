"""What the commands say to a flag or value that they do not know, and what their help says of defaults."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import cast

import pytest

from agent.cli.aimo import COMMANDS
from agent.cli.arguments import parse_arguments
from agent.cli.one_line_parser import OneLineParser
from agent.config import load_config
from agent.errors import ConfigError, InputError
from agent.files.suggestions import did_you_mean
from agent.problems.reader import starter_problems
from tests.support.calls import ROOT
from tools.replay.policies import policy_keys

_NO_DEFAULT = (None, "", argparse.SUPPRESS)


def parser() -> OneLineParser:
    built = OneLineParser(prog="x")
    built.add_argument("--samples", type=int, default=8, help="how many")
    built.add_argument("--seed", type=int, help="of the run")
    built.add_argument("--fallback", type=int, default=0, help="no vote")
    built.add_argument("--json", action="store_true", help="as JSON")
    built.add_argument("--hardware", choices=["kaggle-h100", "kaggle-l4x4"])
    built.add_argument("name", nargs="?", choices=["aime2024", "math500"])
    return built


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--smaples=4"], "error: unrecognized arguments: --smaples=4 (did you mean --samples?); --help lists"),
        (["aime2024", "--smaples=4"], "did you mean --samples?"),
        (["--quux"], "error: unrecognized arguments: --quux; --help lists the flags"),
        (["--hardware", "kagle-h100"], "invalid choice: 'kagle-h100' (did you mean kaggle-h100?)"),
        (["aime24"], "invalid choice: 'aime24' (did you mean aime2024?)"),
    ],
)
def test_a_misspelled_flag_or_value_is_guessed(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(words)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "meant"),
    [("qqw", "qwq"), ("kaggle-h10", "kaggle-h100"), ("rtx-6000", "rtx6000"), ("CPU", "cpu"), ("nothing-like-it", "")],
)
def test_a_misspelled_profile_is_guessed(given: str, meant: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(given)
    guess = f"no profile {given!r} (did you mean {meant}?): give one of" if meant else f"no profile {given!r}: give one"
    assert guess in str(refused.value)


def test_misspelled_editions_families_and_policies_are_guessed() -> None:
    with pytest.raises(ConfigError, match=r"unknown edition 'aimo-3' \(did you mean aimo3\?\)"):
        load_config("cpu", {"edition": "aimo-3"})
    with pytest.raises(ConfigError, match=r"did you mean qwq-calls\?"):
        load_config("cpu", {"sample.family": "qwq-call"})
    with pytest.raises(InputError, match=r"no policy 'nemoskils' \(did you mean nemoskills\?\)"):
        policy_keys("nemoskils")


def test_a_default_is_told_once_and_only_where_there_is_one() -> None:
    built = parser()
    assert built.format_help() == built.format_help()
    assert "how many (default: 8)\n" in built.format_help()
    assert "no vote (default: 0)\n" in built.format_help()
    assert "as JSON\n" in built.format_help()
    assert "of the run\n" in built.format_help()


def test_nothing_is_guessed_of_what_is_like_no_name() -> None:
    assert did_you_mean("quux", ["solve", "replay"]) == ""
    assert did_you_mean("", ["solve"]) == ""
    assert did_you_mean("solve", []) == ""


def test_nothing_is_guessed_where_several_are_equally_like_it() -> None:
    assert did_you_mean("aimo9", ["aimo1", "aimo2", "aimo3"]) == ""
    assert did_you_mean("aimo1 ", ["aimo1", "aimo2", "aimo3"]) == " (did you mean aimo1?)"


class _Built(Exception):  # noqa: N818
    """Carries a command's parser out of the command, which would go on to run."""


@pytest.fixture
def parsers(monkeypatch: pytest.MonkeyPatch) -> list[argparse.ArgumentParser]:
    """The parsers that commands have built until they parse with them."""
    found: list[argparse.ArgumentParser] = []

    def keep(self: argparse.ArgumentParser, *words: object, **keys: object) -> None:
        found.append(self)
        raise _Built

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", keep)
    monkeypatch.setenv("COLUMNS", "500")  # no line of the help is broken
    return found


def with_subcommands(built: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield built
    for action in built._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


def entry(module: str) -> Callable[[Sequence[str]], object]:
    """The function that a command begins with."""
    package = (ROOT / module.replace(".", "/")).is_dir()
    begin = import_module(f"{module}.command" if package else module).main
    assert callable(begin)
    return cast(Callable[[Sequence[str]], object], begin)


@pytest.mark.process  # some look for programs when they are imported
@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"sandbox"}))
def test_help_tells_the_default_of_every_flag_that_has_one(name: str, parsers: list[argparse.ArgumentParser]) -> None:
    with pytest.raises(_Built):
        entry(COMMANDS[name].module)([])
    for built in with_subcommands(parsers[-1]):
        shown = " ".join(built.format_help().split())
        for action in built._actions:
            silent = action.default is False or action.default in _NO_DEFAULT or action.default == []
            if action.option_strings and not silent:
                told = " ".join(((action.help or "") % {**vars(action), "prog": ""}).split())
                assert told.count("default") == 1, action.option_strings
                assert not told.endswith(f"({action.default}) (default: {action.default})"), action.option_strings
                assert told in shown


@pytest.mark.process  # some look for programs when they are imported
@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"sandbox"}))
def test_every_command_answers_a_misspelled_flag_in_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        entry(COMMANDS[name].module)(["--hepl"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert told.count("\n") == 1


def test_what_the_help_says_of_a_call_without_flags_is_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    config = load_config("cpu")
    assert f"the {len(starter_problems())} starter problems under the profile cpu" in told
    assert f"draws {config.sample.count} samples each" in told
    assert f"at most {config.time_limit_seconds / 60:g} minutes" in told
