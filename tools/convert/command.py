"""Convert samples from elsewhere into recordings for `tools.replay`.

python -m tools.convert samples.jsonl logs/ --out traces
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from agent.cli.one_line_parser import OneLineParser
from agent.errors import InputError
from agent.files.whole_file import write_whole
from tools.shared.command_line import REPLAYED_SAMPLES, run_command
from tools.shared.samples.conversion import Conversion, merged
from tools.shared.samples.drawn import ReadingRules, TokenCounter
from tools.shared.samples.sources import find_sources, read_source


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = _parser().parse_args(argv)

    def convert_all(console: Console) -> None:
        reading = ReadingRules(_counter(args.tokenizer) if args.tokenizer else None, args.graded_by)
        paths = track(
            find_sources(args.sources),
            console=console,
            description="reading",
            transient=True,
            disable=not console.is_terminal,
        )
        conversions = merged([read_source(path, reading) for path in paths], args.model)
        files = _files(args.out, conversions)
        for path, each in files.items():
            _write(path, each)
            console.print(f"{path}: {each.summary}", soft_wrap=True, markup=False, highlight=False)
        fewest = min(len(drawn) for each in conversions for drawn in each.problems.values())
        most = f" --samples {fewest}" if fewest < REPLAYED_SAMPLES else ""
        command = f"python -m tools.replay {shlex.quote(str(args.out))}{most}"
        console.print(f"replay with: {command}", soft_wrap=True, markup=False)

    return run_command(convert_all)


def _files(out: Path, conversions: Sequence[Conversion]) -> dict[Path, Conversion]:
    """The recordings by their files. Raises InputError for a file that is there, or that two recordings need."""
    files: dict[Path, Conversion] = {}
    for each in conversions:
        path = out / each.file_name
        if path.exists():
            raise InputError(f"{path} is there already: name another --out, or remove it")
        if path in files:
            both = " and ".join(f"{one.task} of {one.model}" for one in (files[path], each))
            raise InputError(f"{path} would hold both {both}: convert them one at a time, each to another --out")
        files[path] = each
    return files


def _counter(name: str) -> TokenCounter:
    """Count by a tokenizer: its file, a folder with a tokenizer.json, or a model's name on the Hugging Face Hub."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise InputError("--tokenizer needs tokenizers: pip install 'aimo-agent[lab]'") from None
    path = Path(name)
    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        tokenizer = Tokenizer.from_file(str(file)) if file.exists() else Tokenizer.from_pretrained(name)
    except Exception as error:  # the library raises nothing more precise
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"the tokenizer {name} cannot be loaded ({reason}): give a tokenizer.json, or a folder that has one"
        ) from error
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def _write(path: Path, conversion: Conversion) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, "".join(conversion.lines()))
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): name another --out") from error


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m tools.convert",
        description="Convert samples from elsewhere into recordings for tools.replay: JSON lines or CSV of your own, "
        "logs of Inspect, sample files of lm-evaluation-harness, details of lighteval.",
    )
    parser.add_argument(
        "sources", nargs="+", type=Path, metavar="PATH", help="files, and folders of other programs' files"
    )
    parser.add_argument("--out", type=Path, default=Path("traces"), metavar="DIR", help="where they go")
    parser.add_argument("--model", metavar="NAME", help="the model's name, where the files name none or another")
    parser.add_argument(
        "--tokenizer",
        metavar="PATH",
        help="what counts tokens where a file does not say: a tokenizer.json, a folder with one, a name on the Hub",
    )
    parser.add_argument(
        "--graded-by",
        metavar="NAME",
        help="the scorer (Inspect) or filter (lm-eval) to follow, where a file has several",
    )
    return parser
