"""Build the notebook and its metadata: `python -m submission.build --owner NAME --model-source MODEL`."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jupytext  # type: ignore[import-untyped]
import nbformat
from nbformat import NotebookNode

from agent.cli.one_line_parser import OneLineParser
from agent.errors import AgentError, InputError
from submission.build.build_warnings import NO_OWNER, build_warnings
from submission.build.edited import BUILD_KEY, CELLS_KEY, cells_digest, keep_edited
from submission.build.embedded_files import chapter_of, embedded_files, purpose_of
from submission.build.own_settings import own_settings
from submission.build.packed import PACKED_FOLDERS, packed_cell
from submission.built_notebook import CODE_FOLDER
from submission.competitions import COMPETITIONS, Competition, competition_of
from submission.likeness import check_likeness
from submission.metadata import (
    KERNEL_FILE,
    MACHINE_SHAPES,
    check_names,
    make_output_folder,
    validated_kernel,
    write_metadata,
    write_output,
)
from submission.protocol import AUTO_PROFILE

NOTEBOOK_FILE = "aimo-agent.ipynb"
_NOTEBOOK = Path(__file__).parents[1] / "notebook.py"
_TITLE = "AIMO agent {}"
_KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
_FOLDED = {"_kg_hide-input": True}  # on Kaggle; a megabyte of notebook has no room for other programs' ways to fold
_EXAMPLE = """\
for example, a model of your own with 12 lanes and another temperature, built and rehearsed:
  python -m submission.build --owner me --model-source me/my-model/transformers/default/1 \\
      --samples 12 --set sampling.temperature=0.7 --rehearse ~/models/my-model"""
_DIGITS = 12  # hexadecimal ones of a file's digest: enough against accidents, and Kaggle limits a notebook's size
_CHECK = """\
import hashlib
from pathlib import Path

MANIFEST = {manifest}
files = {{f"{{folder}}/{{name}}": digest for folder, names in MANIFEST.items() for name, digest in names.items()}}
changed = []
for name, digest in files.items():
    path = Path("{folder}", name)
    path.touch()  # an empty file has no cell
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if not found.startswith(digest):
        changed.append(name)
        if not path.read_bytes():
            raise SystemExit(f"{{name}} has not been written: run the notebook from the top")
print(f"{{len(files)}} files checked, {{len(changed)}} changed since the notebook was built", *changed, sep="\\n  ")"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    args = _parse(argv)
    try:
        check_names(args.owner, args.model_source, args.dataset_source)
        competition = competition_of(args.edition)
        own = own_settings(args, competition)
        if args.rehearse:
            check_likeness(args.rehearse)
        notebook = build_notebook(competition, own.values, own.files)
        attached = Attached(args.model_source, args.dataset_source)
        tree = kernel_tree(competition, args.owner, attached, public=args.public, machine=args.machine_shape)
        kernel = validated_kernel(tree, args.out / KERNEL_FILE)
        make_output_folder(args.out)
        kept = keep_edited(args.out / NOTEBOOK_FILE)
        if kept is not None:
            told = f"the notebook in {args.out} is not as it was built, and is kept as {kept.name}"
            print(f"warning: {told}: python -m submission.diff shows what differs", file=sys.stderr)
        write_notebook(notebook, args.out / NOTEBOOK_FILE)
        write_metadata(kernel, args.out / KERNEL_FILE)
        print(f"built {args.out / NOTEBOOK_FILE} ({len(notebook.cells)} cells) and {KERNEL_FILE}")
        runs = competition.scored_runs
        print(f"{competition.slug} runs it {'once' if runs == 1 else f'{runs} times'} for the private score")
        for warning in build_warnings(args, own.config, tree["machine_shape"]):
            print(f"warning: {warning}", file=sys.stderr)
        return 0 if args.rehearse is None else _rehearse(args.out / NOTEBOOK_FILE, args.rehearse)
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def build_notebook(
    competition: Competition, settings: Mapping[str, object], own_files: Mapping[str, str] = MappingProxyType({})
) -> NotebookNode:
    """Build the notebook for a competition; `settings` override values of the configuration cell by name.

    `own_files` are embedded beside the agent's, by their paths in its folder. Raises InputError for a name that the
    cell does not have.
    """
    settings = {"EDITION": competition.edition.name, "MARGIN_SECONDS": competition.margin_seconds, **settings}
    notebook: NotebookNode = jupytext.reads(_NOTEBOOK.read_text(encoding="utf-8"), fmt="py:percent")
    cells: list[NotebookNode] = []
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "modules" in tags:
            cells += _module_cells(own_files)
            continue
        if "parameters" in tags:
            cell.source = _configured(cell.source, settings)
        cells.append(cell)
    notebook.cells = cells
    for number, cell in enumerate(cells):
        cell.id = str(number)
    notebook.metadata = NotebookNode(kernelspec=_KERNELSPEC, language_info={"name": "python"})
    notebook.metadata[BUILD_KEY] = NotebookNode({CELLS_KEY: cells_digest(notebook)})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    nbformat.validate(notebook)
    return notebook


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write the notebook, deterministically: the same bytes for the same cells. Raises InputError if it cannot."""
    write_output(path, json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


@dataclass(frozen=True, slots=True)
class Attached:
    """What is attached to the notebook beside its wheels, by Kaggle's names: models, and datasets that may hold one."""

    models: Sequence[str] = ()
    datasets: Sequence[str] = ()


def kernel_tree(
    competition: Competition, owner: str, attached: Attached, *, public: bool, machine: str | None = None
) -> dict[str, Any]:
    """Return the keys of `kernel-metadata.json`, not yet validated; the `machine` is by default the competition's."""
    title = _TITLE.format(competition.edition.name)
    return {
        "id": f"{owner}/{title.lower().replace(' ', '-')}",
        "title": title,
        "code_file": NOTEBOOK_FILE,
        "language": "python",
        "kernel_type": "notebook",
        "is_private": not public,
        "enable_gpu": True,
        "enable_tpu": False,
        "enable_internet": False,
        "machine_shape": machine or competition.machine_shape,
        "dataset_sources": [f"{owner}/aimo-agent-wheels", *attached.datasets],
        "competition_sources": [competition.slug],
        "kernel_sources": [],
        "model_sources": list(attached.models),
        "docker_image_pinning_type": "latest",
        "keywords": [],
    }


def _module_cells(own_files: Mapping[str, str]) -> list[NotebookNode]:
    """Return a chapter for each package, a cell for each file or for those that are packed, and one that checks all."""
    files = {**embedded_files(), **own_files}
    made = sorted({str(Path(CODE_FOLDER, name).parent) for name in files})
    lines = ["from pathlib import Path", "", f"for folder in {json.dumps(made, indent=4)}:"]
    lines.append("    Path(folder).mkdir(parents=True, exist_ok=True)")
    cells = [_code("\n".join(lines), "folders")]
    packed = {name: text for name, text in files.items() if text and name.startswith(PACKED_FOLDERS)}
    read = (name for name, text in files.items() if text and name not in packed)
    for title, group in groupby(read, key=chapter_of):
        names = list(group)
        folders = dict.fromkeys(Path(name).parent.as_posix() for name in names)
        lines = [f"### {title}", "", *(_folder_line(folder) for folder in folders)]
        cells.append(nbformat.v4.new_markdown_cell("\n".join(lines)))
        cells += [_code(f"%%writefile {CODE_FOLDER}/{name}\n{files[name].rstrip()}", "module") for name in names]
    purposes = [_folder_line(folder) for folder in dict.fromkeys(Path(name).parent.as_posix() for name in packed)]
    cells.append(nbformat.v4.new_markdown_cell("\n".join(["### Packed, for their size", "", *purposes])))
    cells.append(_code(packed_cell(packed, CODE_FOLDER), "packed"))
    cells.append(nbformat.v4.new_markdown_cell("### The manifest"))
    cells.append(_code(_CHECK.format(manifest=_manifest(files), folder=CODE_FOLDER), "manifest"))
    return cells


def _folder_line(folder: str) -> str:
    purpose = purpose_of(folder)
    return f"- `{folder}`: {purpose}" if purpose else f"- `{folder}`"


def _manifest(files: Mapping[str, str]) -> str:
    """Return the digests of the files by their names in each folder, as the source of a dictionary."""
    digests: dict[str, dict[str, str]] = {}
    for name, text in files.items():
        folder, _, last = name.rpartition("/")
        digests.setdefault(folder, {})[last] = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    return json.dumps(digests, indent=1)


def _code(source: str, tag: str) -> NotebookNode:
    folded = _FOLDED if tag in ("module", "packed", "manifest") else {}
    cell: NotebookNode = nbformat.v4.new_code_cell(source, metadata={"tags": [tag], **folded})
    return cell


def _configured(source: str, settings: Mapping[str, object]) -> str:
    for name, value in settings.items():
        pattern = re.compile(rf"^({name}(?:: [^=]+)? = )(.+?)(  #.*)?$", re.MULTILINE)
        match = pattern.search(source)
        if match is None:
            raise InputError(f"the configuration cell has no {name}: give one of its names")
        shown = json.dumps(value) if isinstance(value, str) else repr(value)
        start, end = match.span(2)
        source = f"{source[:start]}{shown}{source[end:]}"
    return source


def _rehearse(notebook: Path, model: str) -> int:
    """Rehearse the notebook that was built, as a user would: the rehearsal stands on the build. Return its status."""
    command = [sys.executable, "-m", "submission.rehearse", "--notebook", str(notebook)]
    sys.stdout.flush()
    return subprocess.run([*command, *(["--attach", model] if model else [])], check=False).returncode


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = OneLineParser(
        prog="python -m submission.build",
        description=__doc__,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/notebook"), metavar="DIR", help="directory of the notebook"
    )
    parser.add_argument("--owner", default=NO_OWNER, help="your name on Kaggle")
    parser.add_argument("--edition", default="aimo3", choices=sorted(COMPETITIONS), help="the competition")
    parser.add_argument(
        "--profile",
        default=AUTO_PROFILE,
        help="a bundled profile, or a TOML file, which is embedded (default: auto, chosen for the model and the GPUs)",
    )
    parser.add_argument("--samples", type=int, metavar="N", help="solutions drawn for each problem")
    parser.add_argument("--set", action="append", metavar="KEY=VALUE", help="any key, as in sampling.temperature=0.7")
    parser.add_argument(
        "--fallback", type=int, default=0, metavar="N", help="the answer where nobody voted (default: 0)"
    )
    parser.add_argument(
        "--model", default="", help="the model's path below /kaggle/input, or a part of it (default: what is attached)"
    )
    parser.add_argument(
        "--model-source", action="append", default=[], metavar="SOURCE", help="owner/model/framework/variation/version"
    )
    parser.add_argument(
        "--dataset-source", action="append", default=[], metavar="SOURCE", help="owner/slug of a dataset with a model"
    )
    parser.add_argument(
        "--machine-shape", choices=MACHINE_SHAPES, metavar="NAME", help="the GPU (default: that of the competition)"
    )
    parser.add_argument("--public", action="store_true", help="publish the notebook")
    parser.add_argument(
        "--rehearse",
        nargs="?",
        const="",
        metavar="MODEL",
        help="then rehearse it (python -m submission.rehearse), with a likeness of MODEL attached: a known name, or "
        "the directory of your own (default: what the notebook names if that is known, else the competition's)",
    )
    return parser.parse_args(argv)
