"""The command: which matrix of which model, within which time, recorded where."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from agent.cli.arguments import given_path, seconds
from agent.cli.numbers import whole_number, whole_numbers
from agent.errors import InputError, JournalError
from agent.files.whole_file import write_whole
from agent.problems.reader import BUNDLED
from tools.bench.dummy_model import ARCHITECTURES
from tools.bench.gpu.best import best_serving, profile_text
from tools.bench.gpu.matrix import KV_CACHES, SPECULATIONS, WEIGHT_FORMATS
from tools.bench.gpu.measure import MeasurementSettings, serving_variant
from tools.bench.gpu.opened import NO_PROBLEMS, OpenMatrix, new_matrix, resumed_matrix
from tools.bench.gpu.record import append_record
from tools.bench.gpu.results import MatrixResults, Measured
from tools.bench.gpu.run import MatrixRun, ServeVariant, steps_left
from tools.bench.gpu.table import SPEED_HEADINGS, best_line, results_as_json, variant_rows
from tools.bench.hardware import bounding_device
from tools.shared.command_line import some_of

GPU_SUMMARY = (
    "ways to serve a model on this machine: weights, KV cache, speculation and lanes, measured; the best profile"
)
PAGE, RESULTS, BEST = "page.html", "results.json", "best.toml"
"""What is made anew after each measurement, in the directory of the matrix."""
_TIME_LIMIT = "2h"
_FIXED = (
    *("dummy", "tokenizer", "profile", "python", "set", "weights", "kv", "speculation", "lanes", "tokens"),
    *("accuracy", "limit", "run_dir"),
)


def add_gpu_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this benchmark."""
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="a directory or hf:owner/repository with real weights"
    )
    parser.add_argument("--dummy", choices=list(ARCHITECTURES), help="random weights of this shape instead")
    parser.add_argument("--tokenizer", type=given_path, metavar="DIR", help="a Qwen2.5 tokenizer, with --dummy")
    parser.add_argument("--profile", help="what is varied (default: vllm, or vllm-cpu where nvidia-smi shows no GPU)")
    parser.add_argument("--python", help="the interpreter that has vLLM (default: the profile's, else this one)")
    parser.add_argument("--set", action="append", metavar="KEY=VALUE", help="any key of the configuration")
    parser.add_argument(
        "--weights",
        type=some_of("weights", WEIGHT_FORMATS),
        help=f"of {','.join(WEIGHT_FORMATS)} (default: all usable)",
    )
    parser.add_argument("--kv", type=some_of("KV cache", KV_CACHES), help="of auto,fp8 (default: both)")
    parser.add_argument(
        "--speculation", type=some_of("speculation", SPECULATIONS), help=f"of {','.join(SPECULATIONS)} (default: all)"
    )
    parser.add_argument("--lanes", type=whole_numbers, help="samples at a time (default 8,16,32,64)")
    parser.add_argument("--tokens", type=whole_number, metavar="N", help="tokens of each lane (default 256)")
    parser.add_argument(
        "--accuracy",
        choices=[*BUNDLED, NO_PROBLEMS],
        help="the bundled problems solved with real weights (default starter)",
    )
    parser.add_argument("--limit", type=whole_number, metavar="N", help="only the first N of them")
    parser.add_argument("--time-limit", default=_TIME_LIMIT, metavar="T", help="seconds, or like 90m")
    parser.add_argument(
        "--run-dir", type=given_path, metavar="DIR", help="where it is recorded (default runs/gpu-<date>)"
    )
    parser.add_argument("--resume", type=given_path, metavar="DIR", help="measure what the matrix in DIR still lacks")
    parser.add_argument("--json", action="store_true", help="print JSON")


def bench_gpu(args: argparse.Namespace) -> None:
    """Measure, record and print. Raises AgentError for what the user has to fix."""
    console = Console(stderr=True)
    ends = time.monotonic() + seconds(args.time_limit)
    if args.resume is not None and (given := [name for name in _FIXED if getattr(args, name) is not None]):
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise InputError(f"--resume takes what the matrix was started with: leave out {flags}")
    with new_matrix(args) if args.resume is None else resumed_matrix(args.resume, args.model) as matrix:
        _write_outputs(matrix.directory, matrix.results)
        try:
            results = asyncio.run(_measure(matrix, ends, console))
        except KeyboardInterrupt:
            console.print(f"interrupted; resume with: {_resume_command(matrix)}", soft_wrap=True, markup=False)
            raise
        _print(results, as_json=args.json)
        if left := len(steps_left(results)):
            words = f"{left} measurements are left: {_resume_command(matrix)}"
            console.print(words, soft_wrap=True, markup=False, highlight=False)
        console.print(f"recorded in {matrix.directory}", soft_wrap=True, markup=False, highlight=False)


async def _measure(matrix: OpenMatrix, ends: float, console: Console) -> MatrixResults:
    """Measure until then, by the clock of this process, in which the event loop counts too."""
    device = await asyncio.to_thread(bounding_device, matrix.model.config)
    settings = MeasurementSettings(device, matrix.results.plan.tokens, matrix.problems, matrix.directory)

    def say(text: str) -> None:
        console.print(text, soft_wrap=True, markup=False, highlight=False)

    def record(measured: Measured) -> None:
        append_record(matrix.directory, measured)
        known.append(measured)
        _write_outputs(matrix.directory, MatrixResults(matrix.results.plan, tuple(known)))

    known = list(matrix.results.records)
    return await MatrixRun(matrix.results, _serving(matrix, settings, say), record, say, ends - time.monotonic()).run()


def _serving(matrix: OpenMatrix, settings: MeasurementSettings, say: Callable[[str], None]) -> ServeVariant:
    return lambda variant: serving_variant(variant, matrix.model.served(variant), settings, say)


def _write_outputs(directory: Path, results: MatrixResults) -> None:
    """Make the page, the JSON file and the best profile anew. Raises JournalError if they cannot be written."""
    best = best_serving(results)
    texts = {PAGE: _rendered_page(results), RESULTS: json.dumps(results_as_json(results), indent=2) + "\n"}
    texts |= {} if best is None else {BEST: profile_text(results, best)}
    try:
        for name, text in texts.items():
            write_whole(directory / name, text)
    except OSError as error:
        raise JournalError(f"{directory} cannot be written ({error.strerror}): free space, then --resume it") from error


def _rendered_page(results: MatrixResults) -> str:
    try:
        from tools.bench.gpu.page import results_page  # other benchmarks do without what it needs
    except ImportError:
        raise InputError("the page of a matrix needs Jinja: pip install 'aimo-agent[report]'") from None
    return results_page(results)


def _print(results: MatrixResults, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(results_as_json(results), indent=2))
        return
    screen = Console(width=None if sys.stdout.isatty() else 160)
    table = Table("weights", "KV", "speculation", *SPEED_HEADINGS)
    for row in variant_rows(results):
        for cells in row.speeds:
            table.add_row(row.variant.weights, row.variant.kv_cache, row.variant.speculation, *cells)
    screen.print(table)
    for row in variant_rows(results):
        for reason in row.reasons:
            screen.print(f"refused: {row.variant.name}: {reason}", soft_wrap=True, markup=False, highlight=False)
    screen.print(best_line(results) or "nothing was measured", soft_wrap=True, markup=False, highlight=False)


def _resume_command(matrix: OpenMatrix) -> str:
    return f"{Path(sys.executable).name} -m tools.bench gpu --resume {shlex.quote(str(matrix.directory))}"
