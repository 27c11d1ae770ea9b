"""The numbers that flags take: whatever is given in their place, a command takes it or ends in one sentence."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.aimo import COMMANDS
from agent.cli.numbers import draw_seed, number_from_zero, positive_number, whole_between, whole_number, whole_numbers
from agent.sandbox.cli.command import run_sandbox_command
from agent.sandbox.cli.interrupts import Interrupts
from tests.agent.cli.test_one_line_parser import _Built, entry, parsers, with_subcommands
from tests.support.tiers.cases import examples
from tools.replay.fit import main as fit
from tools.soak.command import main as soak

__all__ = ["parsers"]

BAD = ("", "x", "nan", "inf", "-inf", "1e400", "-1", "0", "-0.5", "9" * 25, "9" * 5_000, "-" + "9" * 5_000)
# What is as good a value as any other.
ZERO = {"--poll-seconds", "--load-seconds", "--kernels", "--port", "--fallback", "--seed"}
NEGATIVE = {"--seed"}
# These override keys of a configuration, or are judged by what they are for, which says more: see the last test.
JUDGED_LATER = {"--samples", "--problems-in-flight", "--max-cost", "--port", "--fallback", "--seed", "--memory-mib"}
OTHERS: dict[str, Callable[[Sequence[str]], object]] = {
    "soak": soak,
    "fit": fit,
    "sandbox": lambda words: run_sandbox_command(words, Interrupts()),
}


def begins(name: str) -> Callable[[Sequence[str]], object]:
    return OTHERS.get(name) or entry(COMMANDS[name].module)


def numeric(built: argparse.ArgumentParser) -> Iterator[tuple[str, Callable[[str], object]]]:
    """The flags that take numbers, with what parses them."""
    for action in built._actions:
        if callable(action.type):
            try:
                value = action.type("7")
            except (argparse.ArgumentTypeError, ValueError):
                continue
            if isinstance(value, int | float | tuple) and value not in (("7",),):
                yield action.option_strings[0], action.type


@pytest.mark.process  # some look for programs when they are imported
@pytest.mark.parametrize("name", sorted({*COMMANDS, *OTHERS}))
def test_a_flag_refuses_what_is_no_number_of_its_kind_in_one_line(
    name: str,
    parsers: list[argparse.ArgumentParser],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(_Built):
        begins(name)([])
    monkeypatch.undo()
    for built in with_subcommands(parsers[-1]):
        for flag, parse in numeric(built):
            if parse in (int, float):
                assert flag in JUDGED_LATER, f"{flag} has no bounds: agent.cli.numbers has parsers with some"
                continue
            taken = {value for value in BAD if is_taken(parse, value)}
            assert taken <= ({"0"} if flag in ZERO else set()), flag
            for value in set(BAD) - taken:
                with pytest.raises(SystemExit) as ended:
                    built.parse_args([f"{flag}={value}"])
                told = capsys.readouterr().err
                assert ended.value.code == 2 and told.count("\n") == 1
                assert told.startswith(f"error: argument {flag}: ") and len(told) < 200


def is_taken(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except (argparse.ArgumentTypeError, ValueError):
        return False
    return True


@pytest.mark.process
@pytest.mark.parametrize(
    ("name", "words", "values"),
    [
        ("solve", ["x", "--samples"], ["0", "-1", "nan", "9" * 25]),
        ("solve", ["x", "--problems-in-flight"], ["0", "-1", "nan"]),
        ("solve", ["x", "--price=1,1", "--max-cost"], ["-1", "nan", "-inf", "x"]),
        ("solve", ["x", "--time-limit"], ["0", "-1", "nan", "inf", "9" * 25]),
        ("demo", ["--samples"], ["0", "-1", "nan", "9" * 25]),
        ("demo", ["--port"], ["-1", "nan", "9" * 25]),
        ("build", ["--fallback"], ["-1", "nan", "9" * 25]),
        ("build", ["--samples"], ["0", "-1", "nan", "9" * 25]),
        ("sandbox", ["--memory-mib"], ["0", "-1", "nan", "9" * 25, "9" * 5_000]),
        ("gpu", ["x", "--time-limit"], ["0", "-1", "nan", "inf", "9" * 25]),
        ("replay", ["x", "--time-limit"], ["0", "-1", "nan", "inf", "9" * 25]),
    ],
)
def test_a_number_that_is_judged_by_what_it_is_for_is_refused_in_one_line_too(
    name: str, words: list[str], values: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = begins("bench") if name == "gpu" else begins(name)
    first = ["gpu", *words] if name == "gpu" else words
    for value in values:
        try:
            status = command([*first[:-1], f"{first[-1]}={value}"])
        except SystemExit as ended:
            status = ended.code
        told = capsys.readouterr().err
        assert status == 2 and told.startswith("error: ") and told.count("\n") == 1, (value, told)


@given(st.text(max_size=8) | st.integers().map(str) | st.floats().map(str))
@examples(200)
def test_any_text_is_a_number_within_the_bounds_or_refused(text: str) -> None:
    for parse, least, most in (
        (whole_number, 1, 1e6),
        (positive_number, 5e-324, 1e9),
        (number_from_zero, 0, 1e9),
        (draw_seed, 0, 2**63 - 1),
        (whole_between(-3, 5), -3, 5),
    ):
        try:
            value = parse(text)
        except argparse.ArgumentTypeError as error:
            assert "\n" not in str(error)
        else:
            assert least <= value <= most


@given(st.lists(st.integers(1, 1_000_000), min_size=1, max_size=5))
def test_numbers_with_commas_between_are_in_order_and_each_once(numbers: list[int]) -> None:
    assert whole_numbers(" , ".join(map(str, numbers))) == tuple(sorted(set(numbers)))
