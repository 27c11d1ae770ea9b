"""Download the public recordings of Best-of-Infinity and convert them into traces for `tools.replay`.

    python -m tools.traces --out traces

The recordings are the answers and lengths of the samples that reasoning models gave to AIME 2024 (Komiyama et al.,
2025; MIT licence). A file is taken from the repository at one commit, or from a folder; what it holds is checked
against a digest before it is written.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from agent.cli.one_line_parser import OneLineParser
from agent.errors import InputError
from tools.shared.command_line import run_command

COMMIT = "fbcb0970"
URL = f"https://github.com/jkomiyama/BoInf-code-publish/raw/{COMMIT}/boinf/jsonl"
SOURCE = "Best-of-Infinity, recorded answers and generated-token counts (MIT)"
CAPS = (30_268, 50_000, 100_000)
"""Tokens at which recordings were cut off; an answer in such a text does not count."""

# SHA-256 of `digest_text` of the converted file.
DIGESTS = {
    "AM-Thinking-v1": "e51518e5a63f1606abe20de57059f5405b036210c2fd68da54627ae337f5d9ca",
    "Datarus-R1-14B-preview": "b9e431e0d373216d6412359bc66ec24bcd99a1c6a29336d3f6d90587258c362a",
    "LIMO-v2": "a7996bea37f3a081e5f1b5cb427d8d2f86fcf7b8369daa9dade05e436e335da9",
    "NVIDIA-Nemotron-Nano-9B-v2": "61916ca35364ca37131f6d97ef3972772e027eb807b9dca76d5129facf31e653",
    "Phi-4-reasoning": "4a85dc88c1ac8d114fbc058d1c367890f478c4519ac20d90b2475ce9899d9ea5",
    "Qwen3-14B": "ee6255dd1f95c9f136db93451e32e1581214fab8337215adaa2f2c798cfce5e2",
}
_TIMEOUT = 60.0  # seconds of silence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = _parser().parse_args(argv)

    def make_all(console: Console) -> None:
        models = args.model or sorted(DIGESTS)
        quiet = not console.is_terminal
        for model in track(models, console=console, description="traces", transient=True, disable=quiet):
            path = make_trace(model, args.source, args.out)
            console.print(f"{model}: {path}", soft_wrap=True, markup=False, highlight=False)

    return run_command(make_all)


def make_trace(model: str, source: Path | None, out: Path) -> Path:
    """Download, convert, verify and write one model's trace; return its path.

    Raises InputError if there is no such recording, it is not available, or its digest is wrong.
    """
    if model not in DIGESTS:
        raise InputError(f"no recording of {model!r}: give one of {', '.join(sorted(DIGESTS))}")
    name = f"analysis_aime2024_{model}.jsonl"
    rows = convert(_read(name, source), model)
    found = hashlib.sha256(digest_text(rows).encode()).hexdigest()
    if found != DIGESTS[model]:
        raise InputError(f"{name} is not the recording that was expected (digest {found[:12]}...): fetch it again")
    path = out / f"aime2024.{model}.jsonl"
    try:
        out.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): name another --out") from error
    return path


def convert(text: str, model: str) -> list[dict[str, Any]]:
    """Convert the lines of a recording to rows of a trace. Raises InputError, naming the line, for an invalid one."""
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            record = json.loads(line)
            rows.append(
                {
                    "problem_id": f"aime2024-{int(record['problem_num']):02d}",
                    "answer": _integer(record["gold_answer"]),
                    "model": model,
                    "source": SOURCE,
                    "samples": [_sample(str(answer), int(tokens)) for answer, tokens in record["all_answers"]],
                }
            )
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"the recording of {model}, line {number} cannot be read: {error!r}") from error
    return rows


def digest_text(rows: Sequence[dict[str, Any]]) -> str:
    """Return the contents of a trace in a canonical form, one line per problem."""
    return "\n".join(
        json.dumps([row["problem_id"], row["answer"], [[s["answer"], s["tokens"]] for s in row["samples"]]])
        for row in rows
    )


def _sample(answer: str, tokens: int) -> dict[str, Any]:
    if tokens in CAPS:
        return {"answer": None, "tokens": tokens, "truncated": True}
    return {"answer": _integer(answer), "tokens": tokens}


def _integer(text: str) -> int | None:
    """Parse the answer as an integer, None if it is not one: AIME has no other answers."""
    stripped = text.strip()
    return int(stripped) if stripped.removeprefix("-").isdecimal() and stripped.isascii() else None


def _read(name: str, source: Path | None) -> str:
    try:
        if source is not None:
            return (source / name).read_text(encoding="utf-8")
        with urllib.request.urlopen(f"{URL}/{name}", timeout=_TIMEOUT) as response:
            body: bytes = response.read()
            return body.decode("utf-8")
    except urllib.error.URLError as error:
        raise InputError(
            f"{URL}/{name} cannot be fetched ({error.reason}): give a folder that has it with --source"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(f"{name} cannot be read ({error}): give the folder that has it with --source") from error


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m tools.traces",
        description="Download the public recordings of Best-of-Infinity and convert them into traces for tools.replay.",
    )
    parser.add_argument("--out", type=Path, default=Path("traces"), metavar="DIR", help="where they go")
    parser.add_argument("--source", type=Path, metavar="DIR", help="a folder with the jsonl files (none: the network)")
    parser.add_argument(
        "--model", action="append", metavar="NAME", help=f"one of {', '.join(sorted(DIGESTS))} (default: all)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
