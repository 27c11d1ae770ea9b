"""Remake the figures of README.md with the commands that are named for them, and compare its table of results.

python -m tools.figures                       # all that this machine can make, into figures/
python -m tools.figures results --traces traces
python -m tools.figures --list
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from agent.cli.numbers import whole_number
from agent.cli.one_line_parser import OneLineParser
from agent.errors import InputError
from agent.files.suggestions import no_such
from agent.models.cache_folder import models_folder
from agent.models.known import known_models
from tools.shared.command_line import run_command
from tools.shared.exports import write_export

_ROOT = Path(__file__).resolve().parents[1]
TABLE_BUDGETS = {"9k": 9_000, "12k": 12_000}
"""The columns of the table of results: mean tokens a lane and problem."""
TABLE_POLICIES = {
    "price": "**price, the default**",
    "aimo2-second": "AIMO-2, second place: stopping rule",
    "nemoskills": "NVIDIA NemoSkills, AIMO-2 winner",
    "agree-4+aimo3-clamp": "AIMO-3 base notebook",
    "wait-for-all": "wait for all lanes",
}
"""The rows of the table of results by their policies, below that of the oracle."""
_ORACLE = "(upper bound: an oracle stops each problem)"
_VLLM = Path(".venv-vllm", "bin", "python")
_PYTHON = "python"  # in a command, the Python that runs this one
_MODEL_NAME, _MODEL = "smollm2-135m", "DIR"  # in a command, the directory of this model as vLLM reads it


@dataclass(frozen=True, slots=True)
class ReadmeFigure:
    """A figure: what it is, the command that prints it, and what that needs beside this environment.

    With `vllm` that is the vLLM and the model of `make test-vllm`.
    """

    name: str
    shows: str
    command: tuple[str, ...]
    module: str = ""
    vllm: bool = False

    @property
    def missing(self) -> str:
        """What is missing here to make it; "" for nothing."""
        if self.command[0] != _PYTHON and shutil.which(self.command[0]) is None:
            return f"{self.command[0]} is not installed"
        if self.module and importlib.util.find_spec(self.module) is None:
            return f"{self.module} is not installed"
        needed = (_ROOT / _VLLM, _model_folder()) if self.vllm else ()
        return next((f"{path} is missing (make test-vllm makes it)" for path in needed if not path.exists()), "")

    @property
    def filled(self) -> list[str]:
        """The command with the model's directory in its place."""
        return [str(_model_folder()) if word == _MODEL else word for word in self.command]


def _model_folder() -> Path:
    return models_folder() / f"{Path(known_models()[_MODEL_NAME].file).stem}-hf"


FIGURES = (
    ReadmeFigure("solve", "the closing table", ("make", "solve")),
    ReadmeFigure("tests", "the number of tests", ("make", "test")),
    ReadmeFigure(
        *("predict", "40 competitions in which everything fails"),
        (_PYTHON, "-m", "pytest", "tests/submission/serving/test_predictor.py"),
        "pytest",
    ),
    ReadmeFigure(
        *("sandbox", "the memory of 64 sandboxes and five kernels"),
        (_PYTHON, "-m", "tools.bench", "sandbox"),
        "IPython",
    ),
    ReadmeFigure(
        *("engine", "tokens per second beside vLLM's own client, of SmolLM2-135M on vLLM's CPU build"),
        (
            *(_PYTHON, "-m", "tools.bench", "engine", "--profile", "vllm-cpu", "--model", _MODEL, "--lanes", "16,32"),
            *("--set", "vllm.max_num_seqs=32", "--set", f"vllm.python={_VLLM}"),
            *("--set", 'vllm.environment.OMP_NUM_THREADS="1"'),
        ),
        vllm=True,
    ),
)
"""The figures that one command prints; `results` is the table of policies, which takes two."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status: 1 if a figure could not be made, or the table differs from README's."""
    args = _parser().parse_args(argv)
    failed: list[str] = []

    def remake(console: Console) -> None:
        known = {figure.name: figure for figure in FIGURES}
        names = args.names or ["results", *known]
        for name in names:
            if name != "results" and name not in known:
                raise InputError(no_such("no figure", name, ["results", *known]))
        if args.list:
            print("\n".join(_listed(names, known)))
            return
        if "results" in args.names and not args.traces.is_dir():
            raise InputError(f"{args.traces} is missing: python -m tools.traces fetches it")
        try:
            args.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{args.out} cannot be made a folder ({error.strerror}): name another --out") from error
        for name in names:
            made = _results(args, console) if name == "results" else _remade(known[name], args.out, console)
            failed.extend([] if made else [name])

    return run_command(remake) or int(bool(failed))


def results_table(replays: Mapping[str, Any]) -> list[list[str]]:
    """Return the rows of the table of results from what `tools.replay --json` prints for each budget."""
    bounds = [[limits["oracle"] for limits in told["bounds"].values()] for told in replays.values()]
    rows = [[_ORACLE, *(f"{sum(each) / len(each):.1f}" for each in bounds)]]
    for policy, label in TABLE_POLICIES.items():
        means = [f"{told['policies'][policy]['mean_correct']:.1f}" for told in replays.values()]
        rows.append([label, *(f"**{mean}**" if label.startswith("**") else mean for mean in means)])
    return rows


def readme_table(text: str) -> list[list[str]]:
    """Return the rows of the table of results that README shows."""
    section = text.partition("\n## Results\n")[2].partition("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", section, re.M)]
    return cells[2:]


def _results(args: argparse.Namespace, console: Console) -> bool:
    if not args.traces.is_dir():
        told = f"results: left out, as {args.traces} is missing (python -m tools.traces fetches it)"
        console.print(told, soft_wrap=True, markup=False)
        return True
    replays = {}
    for name, tokens in TABLE_BUDGETS.items():
        policies = [part for policy in TABLE_POLICIES for part in ("--policy", policy)]
        how = ["--budget-tokens", str(tokens), "--repeats", str(args.repeats), "--json", *policies]
        if all(map(importlib.util.find_spec, ("jinja2", "matplotlib"))):
            how += ["--export", str((args.out / f"results-{name}").resolve())]
        command = [_PYTHON, "-m", "tools.replay", str(args.traces.resolve()), *how]
        ended = _run(command, f"results, {name}", console)
        if ended.returncode:
            return False
        replays[name] = json.loads(ended.stdout)
    rows = results_table(replays)
    lines = [["policy", *TABLE_BUDGETS], ["---"] * (1 + len(TABLE_BUDGETS)), *rows]
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"
    write_export(args.out / "results.md", text, "--out")
    shown = readme_table((_ROOT / "README.md").read_text(encoding="utf-8"))
    verdict = "as README.md shows it" if rows == shown else "not as README.md shows it"
    console.print(f"results: {args.out / 'results.md'}, {verdict}", soft_wrap=True)
    return rows == shown


def _remade(figure: ReadmeFigure, out: Path, console: Console) -> bool:
    if figure.missing:
        console.print(f"{figure.name}: left out, as {figure.missing}", soft_wrap=True)
        return True
    told = _run(figure.filled, figure.name, console)
    path = out / f"{figure.name}.txt"
    write_export(path, told.stdout, "--out")
    ended = f", which ended with status {told.returncode}" if told.returncode else ""
    console.print(f"{figure.name}: {path}{ended}", soft_wrap=True)
    return told.returncode == 0


def _run(command: Sequence[str], what: str, console: Console) -> subprocess.CompletedProcess[str]:
    """Run a command at the root; what it says while it works stays on standard error."""
    console.print(f"{what}: {shlex.join(command)}", soft_wrap=True, highlight=False, markup=False)
    begun = time.monotonic()
    argv = [sys.executable if command[0] == _PYTHON else command[0], *command[1:]]
    ended = subprocess.run(argv, cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=False)
    console.print(f"{what}: {time.monotonic() - begun:,.0f} s", highlight=False)
    return ended


def _listed(names: Sequence[str], known: Mapping[str, ReadmeFigure]) -> Iterator[str]:
    for name in names:
        if name == "results":
            yield "results: the table of policies (python -m tools.replay, twice)"
        else:
            figure = known[name]
            missing = f"; not here, as {figure.missing}" if figure.missing else ""
            yield f"{name}: {figure.shows} ({shlex.join(figure.command)}){missing}"


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m tools.figures",
        description="Remake the figures of README.md by their commands; compare its table of results.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"results, {', '.join(f.name for f in FIGURES)} (default: all)"
    )
    parser.add_argument("--traces", type=Path, default=Path("traces"), metavar="DIR", help="what tools.traces fetched")
    parser.add_argument(
        "--repeats", type=whole_number, default=40, metavar="N", help="runs per recording; README has 40"
    )
    parser.add_argument("--out", type=Path, default=Path("figures"), metavar="DIR", help="where they go")
    parser.add_argument("--list", action="store_true", help="say what each is and how it is made, and make none")
    return parser


if __name__ == "__main__":
    sys.exit(main())
