"""Convert samples from elsewhere into recordings for `tools.replay`.

python -m tools.convert samples.jsonl logs/ --out traces
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from agent.cli.one_line_parser import OneLineParser
from agent.errors import InputError
from agent.files.whole_file import write_whole
from tools.convert.drawn import DrawnSample, ReadingRules, SampleFile, TokenCounter
from tools.convert.sources import find_sources, read_source
from tools.shared.command_line import REPLAYED_SAMPLES, run_command

_UNSAFE = re.compile(r"[^\w.+=@-]+")


@dataclass(frozen=True, slots=True)
class Conversion:
    """The samples of one task and model, from one file or several, by problem."""

    task: str
    model: str
    problems: dict[str, list[DrawnSample]]
    failed: int

    @property
    def file_name(self) -> str:
        """The name of its recording."""
        return f"{_UNSAFE.sub('-', self.task)}.{_UNSAFE.sub('-', self.model)}.jsonl"

    @property
    def summary(self) -> str:
        """How much it holds, and what of it has no vote."""
        counts = [len(samples) for samples in self.problems.values()]
        samples = [sample for drawn in self.problems.values() for sample in drawn]
        each = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        silent = sum(sample.answer is None and not sample.truncated and not sample.disputed for sample in samples)
        facts = (
            (sum(sample.truncated for sample in samples), "cut off"),
            (silent, "without an answer"),
            (
                sum(sample.disputed for sample in samples),
                "without a vote, as they state the answer and are graded wrong",
            ),
            (self.failed, "left out, as they ended with an error"),
        )
        told = "".join(f", {count:,} {what}" for count, what in facts if count)
        problems = "1 problem" if len(counts) == 1 else f"{len(counts):,} problems"
        return f"{problems}, {each} {'sample' if each == '1' else 'samples'} each{told}"

    def lines(self) -> list[str]:
        """The lines of its recording."""
        return [json.dumps(self._row(name, drawn), ensure_ascii=False) + "\n" for name, drawn in self.problems.items()]

    def _row(self, problem_id: str, drawn: Sequence[DrawnSample]) -> dict[str, Any]:
        samples = []
        for sample in drawn:
            row: dict[str, Any] = {"answer": _number(sample.answer), "tokens": sample.tokens}
            samples.append({**row, "truncated": True} if sample.truncated else row)
        return {
            "problem_id": problem_id,
            "answer": _number(drawn[0].gold),
            "model": self.model,
            "source": f"{self.task}, converted by tools.convert",
            "samples": samples,
        }


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
        console.print(f"replay with: python -m tools.replay {args.out}{most}", soft_wrap=True, markup=False)

    return run_command(convert_all)


def merged(files: Sequence[SampleFile], model: str | None) -> list[Conversion]:
    """Join the samples of files with the same task and model. Raises InputError where true answers differ."""
    conversions: dict[tuple[str, str], Conversion] = {}
    for file in files:
        key = file.task, model or file.model
        before = conversions.get(key, Conversion(*key, {}, 0))
        for sample in file.samples:
            drawn = before.problems.setdefault(sample.problem_id, [])
            if drawn and drawn[0].gold != sample.gold:
                raise InputError(
                    f"{sample.place}: the true answer of {sample.problem_id} is {sample.gold!r} here and "
                    f"{drawn[0].gold!r} in {drawn[0].place}: correct one, or give the problems different ids"
                )
            drawn.append(sample)
        conversions[key] = Conversion(*key, before.problems, before.failed + file.failed)
    return list(conversions.values())


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


def _number(answer: str | None) -> int | str | None:
    """The answer as a number where it is one in digits."""
    return int(answer) if answer is not None and re.fullmatch(r"-?\d{1,18}", answer, re.ASCII) else answer


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
        description="Convert samples from elsewhere into recordings for tools.replay: JSON lines of your own, logs of "
        "Inspect, sample files of lm-evaluation-harness, details of lighteval.",
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
