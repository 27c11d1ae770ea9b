"""The flags of the command line, and the configuration keys that they set."""

from __future__ import annotations

import argparse
import math
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.cli.one_line_parser import OneLineParser
from agent.editions import EDITIONS
from agent.errors import InputError
from agent.files.addresses import expand_home, utf8

_PRICES = {2: ("input", "output"), 3: ("input", "cached_input", "output")}
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}

_EPILOG = """\
without flags: the 12 starter problems under the profile cpu, which draws 8 samples each and takes at most 9 minutes for
the whole run, however many problems it has; flags that are not given are as the profile says

examples:
  python -m agent.solve                                   the bundled starter problems, with a small model on the CPU
  python -m agent.solve "What is 2^100 modulo 1000?"      one problem
  python -m agent.solve --problems practice               the bundled practice problems, five times as many
  python -m agent.solve --problems reference.csv --profile qwq --url http://127.0.0.1:8000 --edition aimo2
  python -m agent.solve --run-dir runs/first --resume     continue an interrupted run

exit status: 0 the run ended, 2 something has to be fixed (a one-line message says what), 130 interrupted
"""


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; flags that were not given are None. Exits with status 2 on bad usage."""
    parser = OneLineParser(
        prog="python -m agent.solve",
        description="Solve competition mathematics by self-consistency with Python tools, under a time limit.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what to solve")
    what.add_argument(
        "problem", nargs="?", help="the text of one problem, or - to read it from standard input (none: starter)"
    )
    what.add_argument(
        "--problems",
        type=given_path,
        metavar="FILE",
        help="CSV, JSON lines, JSON or parquet: id, problem[, answer]; or a bundled set by its name, starter "
        "(12 problems) or practice (60), even if a file or directory has that name",
    )
    how = parser.add_argument_group("how to solve it")
    add_setting_flags(how, time_limit_of="the whole run")
    how.add_argument(
        "--problems-in-flight",
        type=int,
        metavar="N",
        help="problems solved at a time, for a big engine (default: the profile's, else 1)",
    )
    record = parser.add_argument_group("where it is recorded")
    record.add_argument("--run-dir", type=given_path, metavar="DIR", help="directory of the run (default: runs/<date>)")
    record.add_argument("--resume", action="store_true", help="continue the run in --run-dir")
    record.add_argument("--json", action="store_true", help="print the result as JSON on standard output")
    args = parser.parse_args(argv)
    _decode(parser, args)
    return args


def _decode(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Decode as UTF-8 the arguments that are texts and not paths."""
    try:
        for name in ("problem", "edition", "url", "model"):
            value = getattr(args, name)
            setattr(args, name, None if value is None else utf8(value))
        args.set = None if args.set is None else [utf8(pair) for pair in args.set]
    except ValueError as error:
        parser.error(str(error))


def add_setting_flags(parser: argparse._ActionsContainer, *, time_limit_of: str) -> None:
    """Add the flags that select a profile and override single keys of it; `overrides` reads them."""
    parser.add_argument("--edition", help=f"rules for the answer: {', '.join(EDITIONS)} (default: the profile's)")
    parser.add_argument(
        "--profile", help="cpu (the default), vllm, kaggle-l4x4 or another of agent/profiles, or a TOML file"
    )
    parser.add_argument(
        "--samples", type=int, metavar="N", help="solutions drawn for each problem (default: the profile's)"
    )
    parser.add_argument(
        "--time-limit",
        metavar="T",
        help=f"of {time_limit_of}: seconds, or like 90m or 5h (default: the profile's, else the edition's)",
    )
    add_cost_flags(parser)
    parser.add_argument("--seed", type=int, help="seed of the run (default: the profile's, else 0)")
    parser.add_argument("--url", help="a server that speaks the OpenAI protocol, for completions or for chat")
    parser.add_argument(
        "--api-key-env",
        metavar="NAME",
        help="the environment variable that holds the API key of --url (default: OPENAI_API_KEY, if it is set)",
    )
    parser.add_argument(
        "--model",
        help="a known model's name, a GGUF file or hf:owner/repository/file.gguf[@SHA-256]; for vLLM a directory or "
        "hf:owner/repository; with --url the name that the server lists (default: the profile's)",
    )
    add_check_flag(parser)
    parser.add_argument("--set", action="append", metavar="KEY=VALUE", help="any key, as in sample.max_tokens=800")


def add_cost_flags(parser: argparse._ActionsContainer) -> None:
    """Add the flags for prices and for the limit on what a run costs."""
    parser.add_argument(
        "--price",
        metavar="INPUT,OUTPUT",
        help="what a million tokens cost, or INPUT,CACHED,OUTPUT where cached ones of a prompt are cheaper; what the "
        "run costs is then shown and recorded (default: the profile's, else not counted)",
    )
    parser.add_argument(
        "--max-cost",
        type=float,
        metavar="X",
        help="start no sample that may make the run cost more, in the currency of the prices (default: the profile's, "
        "else no limit)",
    )


def add_check_flag(parser: argparse._ActionsContainer) -> None:
    """Add the flag that leaves out the check of the served model."""
    words = "do not first check with two easy problems what the engine serves"
    parser.add_argument("--no-check", dest="check", action="store_const", const="never", help=words)


def given_path(text: str) -> Path:
    """Parse the value of a flag that names a file or a directory; a leading `~` is the home directory.

    Raises argparse's own error, which ends the command, if it is empty.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty: name a file or directory")
    try:
        return Path(expand_home(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def overrides(args: argparse.Namespace) -> dict[str, Any]:
    """Return the dotted configuration keys set by the flags. Raises InputError for an invalid value."""
    if args.model is not None and not args.model.strip():
        raise InputError("--model is empty: name a model, or leave it out")
    given = {
        "edition": ("--edition", args.edition),
        "sample.count": ("--samples", args.samples),
        "budget.time_limit_seconds": ("--time-limit", None if args.time_limit is None else seconds(args.time_limit)),
        "budget.max_cost": ("--max-cost", args.max_cost),
        **{key: ("--price", value) for key, value in prices(args.price).items()},
        "seed": ("--seed", args.seed),
        "problems_in_flight": ("--problems-in-flight", args.problems_in_flight),
        "engine.url": ("--url", args.url),
        "engine.api_key_env": ("--api-key-env", args.api_key_env),
        "engine.kind": ("--url", None if args.url is None else "http"),
        "engine.model": ("--model", args.model),
        "engine.check": ("--no-check", args.check),
    }
    keys = set_keys(args.set or ())
    for key, (flag, value) in given.items():
        if value is None:
            continue
        if keys.get(key, value) != value:
            raise InputError(f"{flag} and --set {key} contradict each other: give one of them")
        keys[key] = value
    return keys


def prices(text: str | None) -> dict[str, float]:
    """Return the keys set by the value of --price, none if it is not given. Raises InputError for an invalid value.

    >>> prices("0.15,0.4")
    {'price.input_per_million': 0.15, 'price.output_per_million': 0.4}
    """
    if text is None:
        return {}
    numbers = text.split(",")
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        values = []
    names = _PRICES.get(len(values), ())
    if not names or not all(math.isfinite(value) and value >= 0 for value in values):
        raise InputError(
            f"--price {text!r} is not valid: give the prices of a million tokens as INPUT,OUTPUT or "
            "INPUT,CACHED,OUTPUT, like 0.15,0.4"
        )
    return {f"price.{name}_per_million": value for name, value in zip(names, values, strict=True)}


def set_keys(pairs: Sequence[str]) -> dict[str, Any]:
    """Return the values of pairs KEY=VALUE by their keys. Raises InputError for a pair that is none."""
    keys: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise InputError(f"--set {pair!r} is not valid: write it as KEY=VALUE, like sample.max_tokens=800")
        keys[key.strip()] = _toml_value(value)
    return keys


def seconds(text: str) -> float:
    """Parse a duration to seconds: a number, optionally followed by s, m or h.

    >>> seconds("90m")
    5400.0
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if match is None or not 0 < float(match[1]) < 1e9:
        raise InputError(f"--time-limit {text!r} is not valid: give seconds above 0, or a number with m or h, like 90m")
    return float(match[1]) * _UNITS[match[2]]


def check(args: argparse.Namespace) -> None:
    """Raise InputError for flags that contradict each other."""
    if args.problem is not None and args.problems is not None:
        raise InputError("both a problem and --problems were given: give one of them")
    if args.problem is not None and not args.problem.strip():
        raise InputError("the problem is empty: give its text")
    if not args.resume:
        return
    if args.run_dir is None:
        raise InputError("--resume needs the directory of a run: add --run-dir DIR")
    fixed = ("problem", "problems", "edition", "profile", "samples", "seed", "price", "set")
    given = [name if name == "problem" else f"--{name}" for name in fixed if getattr(args, name) is not None]
    if given:
        raise InputError(f"--resume continues what the run was started with: leave out {', '.join(given)}")


def _toml_value(text: str) -> Any:
    """Parse a value as TOML; a bare word is a string."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # not TOML, or a number too long or a nesting too deep for Python
        return text
    return parsed["value"] if len(parsed) == 1 else text
