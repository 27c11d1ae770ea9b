"""Lists the models in the cache, with who uses them, or removes some: `python -m agent.models`."""

from __future__ import annotations

import argparse
import io
import sys
import tomllib
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from agent.cli.one_line_parser import OneLineParser
from agent.cli.streams import steady_streams, write_result
from agent.config import load_config, profile_names
from agent.errors import AgentError
from agent.journal.journal import CONFIG_FILE
from agent.journal.run_directory import RUNS
from agent.models.cache_folder import CACHE_VARIABLE, models_folder, spoken_size
from agent.models.cached import HUBS, CachedModel, cached_models, find_cached, hub_cache, is_called, remove_model

_FAILED, _INTERRUPTED = 2, 130
_WIDTH = 160  # where the output is no terminal


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    with steady_streams():
        try:
            args = _parser().parse_args(argv)
            write_result(_removed(args.remove) if args.remove else _listing())
        except AgentError as error:
            print(f"error: {error}", file=sys.stderr)
            return _FAILED
        except KeyboardInterrupt:
            return _INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m agent.models",
        description="List the models in the cache: what they are called, how big they are, and what uses them.",
        epilog=f"{CACHE_VARIABLE} moves the cache, HF_HOME that of the Hugging Face Hub, which other programs share.",
    )
    parser.add_argument("--remove", nargs="+", metavar="NAME", help="remove these models instead, named as in the list")
    return parser


def _removed(names: Sequence[str]) -> str:
    models = find_cached(names)  # an unknown name leaves them all
    for model in models:
        remove_model(model)
    return "".join(f"removed {model.name} ({spoken_size(model.size)})\n" for model in models)


def _listing() -> str:
    models = cached_models()
    places = [f"models are kept in {models_folder()} ({CACHE_VARIABLE} moves it)"]
    if any(model.cache == HUBS for model in models):
        places.append(f"those of the Hub's cache, which other programs share, in {hub_cache()} (HF_HOME moves it)")
    text = io.StringIO()
    console = Console(file=text, width=None if sys.stdout and sys.stdout.isatty() else _WIDTH)
    if models:
        console.print(_table(models))
        total = spoken_size(sum(model.size for model in models))
        places.insert(0, f"{total} in all; python -m agent.models --remove NAME removes one")
    else:
        places.insert(0, "no models in the cache")
    for line in places:
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    return text.getvalue()


def _table(models: Sequence[CachedModel]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("model", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("used by")
    table.add_column("cache", no_wrap=True)
    table.add_column("")
    users = list(_users())
    for model in models:
        used = ", ".join(user for user, name in users if is_called(model, name))
        table.add_row(model.name, spoken_size(model.size), used, model.cache, model.remark)
    return table


def _users() -> Iterator[tuple[str, str]]:
    """What uses a model, and the name of that: the bundled profiles, and the runs in the usual place."""
    for name in profile_names():
        yield f"profile {name}", load_config(name).engine.model
    for path in sorted(RUNS.glob(f"*/{CONFIG_FILE}")):
        try:
            engine = tomllib.loads(path.read_text(encoding="utf-8")).get("engine", {})
        except (OSError, ValueError):
            continue  # whoever resumes or reports it is told what is wrong with it
        if isinstance(engine, dict) and isinstance(engine.get("model"), str):
            yield str(path.parent), engine["model"]
