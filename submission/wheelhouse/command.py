"""Collect the wheels that the agent needs on Kaggle: `python -m submission.wheelhouse --out DIR --owner NAME`."""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import Progress

from agent.cli.one_line_parser import OneLineParser
from agent.errors import AgentError, InputError
from submission.environment import REQUIREMENTS
from submission.metadata import DATASET_FILE, check_dataset, check_names, make_output_folder, write_metadata
from submission.wheelhouse.check import check_wheelhouse

_ROOT = Path(__file__).parents[2]
TITLE = "AIMO agent wheels"
_GLIBC = 35  # the Kaggle image's, Ubuntu 22.04: manylinux_2_35 and older ones fit
_OLDEST_GLIBC = 5
_AT_ONCE = 4
# What the agent imports on Kaggle in addition to its plain dependencies; the embedded extra also downloads models.
_ENGINES = {"embedded": ["xllamacpp", "psutil"], "vllm": ["vllm"]}
_KAGGLE_PYTHON = "3.12"
_PINNED = ((3, 11), (3, 12))  # Python versions for which the project's own pins are valid


@dataclass(frozen=True, slots=True)
class Target:
    """The Python version of the wheels; `here` means this machine's platform instead of Kaggle's."""

    python: str
    here: bool = False

    @property
    def version(self) -> tuple[int, int]:
        """Like (3, 12)."""
        major, minor = self.python.split(".")
        return int(major), int(minor)

    @property
    def uv_flags(self) -> list[str]:
        """The flags for dependency resolution."""
        flags = ["--python-version", self.python]
        return flags if self.here else [*flags, "--python-platform", f"x86_64-manylinux_2_{_GLIBC}"]

    @property
    def pip_flags(self) -> list[str]:
        """The flags for the download."""
        if self.here:
            return []
        platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(_GLIBC, _OLDEST_GLIBC - 1, -1)]
        platforms += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]
        tag = self.python.replace(".", "")
        flags = ["--implementation", "cp", "--python-version", self.python]
        flags += [f"--abi={abi}" for abi in (f"cp{tag}", "abi3", "none")]
        return [*flags, *(f"--platform={platform}" for platform in platforms)]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    args = _parse(argv)
    console = Console(stderr=True)
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    target = Target(args.python or (running if args.here else _KAGGLE_PYTHON), args.here)
    try:
        check_names(args.owner)
        requirements = resolve(target, args.engine)
        console.print(f"{len(requirements)} wheels for Python {target.python}, engine {args.engine}")
        if args.dry_run:
            print("\n".join(requirement.split(" ")[0] for requirement in requirements))
            return 0
        download(requirements, target, args.out, console)
        write_dataset(args.out, args.owner)
        if args.check:
            console.print(check_wheelhouse(args.out, target.python))
        console.print(f"the dataset folder is {args.out}", soft_wrap=True)
        return 0
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def resolve(target: Target, engine: str) -> list[str]:
    """Resolve to one pinned requirement per distribution, each with the hashes of its wheels.

    Raises InputError, quoting the resolver, if there is no set that fits.
    """
    with TemporaryDirectory() as folder:
        wanted = Path(folder, "requirements.in")
        wanted.write_text("\n".join(_wanted(engine)), encoding="utf-8")
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
        command += ["--generate-hashes", "--only-binary=:all:", *target.uv_flags, str(wanted)]
        if engine == "embedded" and target.version in _PINNED:
            command += ["--constraints", str(_ROOT / "tools" / "constraints.txt")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"no set of wheels fits Python {target.python}: {_last_lines(done.stderr)}")
    joined = done.stdout.replace("\\\n", " ")
    return [" ".join(line.split()) for line in joined.splitlines() if line.strip()]


def download(requirements: Sequence[str], target: Target, folder: Path, console: Console) -> None:
    """Download the wheels, and write the requirements with their hashes; wheels that are there already are kept.

    Wheels of a former set are removed. Raises InputError if the folder cannot be made or, naming the
    distribution, if one cannot be had.
    """
    make_output_folder(folder)
    before = set(folder.glob("*.whl"))
    with TemporaryDirectory() as desk, Progress(console=console, transient=True) as progress:
        task = progress.add_task("fetching wheels", total=len(requirements))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            jobs = [
                pool.submit(_fetch, requirement, target, folder, Path(desk, f"{number}.txt"))
                for number, requirement in enumerate(requirements)
            ]
            kept = set()
            for job in as_completed(jobs):
                kept.add(job.result())
                progress.advance(task)
    for wheel in before - kept:
        wheel.unlink()
    (folder / REQUIREMENTS).write_text("\n".join([*requirements, ""]), encoding="utf-8")


def write_dataset(folder: Path, owner: str) -> None:
    """Write the metadata of the dataset next to the wheels."""
    tree = {
        "id": f"{owner}/aimo-agent-wheels",
        "title": TITLE,
        "subtitle": "Every wheel that the AIMO agent needs, for offline notebooks",
        "licenses": [{"name": "other"}],
    }
    write_metadata(check_dataset(tree, folder), folder / DATASET_FILE)


def _fetch(requirement: str, target: Target, folder: Path, file: Path) -> Path:
    """Download one wheel, checked against the hashes, unless the folder has it already."""
    name = requirement.split("==")[0].replace("-", "_").lower()
    for wheel in folder.glob("*.whl"):
        if wheel.name.lower().startswith(f"{name}-") and _sha256(wheel) in requirement:
            return wheel
    file.write_text(requirement, encoding="utf-8")
    desk = file.with_suffix("")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", *target.pip_flags]
    done = subprocess.run(
        [*command, "--dest", str(desk), "--requirement", str(file)], capture_output=True, text=True, check=False
    )
    wheels = list(desk.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise InputError(f"{requirement.split(' ')[0]} cannot be downloaded: {_last_lines(done.stderr)}")
    return Path(shutil.move(wheels[0], folder / wheels[0].name))


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _wanted(engine: str) -> list[str]:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = project["optional-dependencies"][engine]
    return [*project["dependencies"], *(line for line in extra if line.startswith(tuple(_ENGINES[engine])))]


def _last_lines(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("WARNING")]
    return " / ".join(lines[-3:]) or "no reason given"


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = OneLineParser(prog="python -m submission.wheelhouse", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/wheelhouse"), metavar="DIR", help="dataset folder")
    parser.add_argument("--owner", default="owner", help="your name on Kaggle")
    parser.add_argument("--engine", choices=sorted(_ENGINES), default="vllm", help="what generates tokens")
    parser.add_argument(
        "--python",
        choices=("3.11", "3.12", "3.13"),
        help=f"Python version of the image (default: {_KAGGLE_PYTHON}, with --here that of this Python)",
    )
    parser.add_argument("--here", action="store_true", help="for this machine's platform instead of Kaggle's")
    parser.add_argument("--dry-run", action="store_true", help="print what would be downloaded")
    parser.add_argument("--check", action="store_true", help="install it without network and import everything")
    return parser.parse_args(argv)
