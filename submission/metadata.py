"""The metadata files of Kaggle's command line, checked as strictly as Kaggle reads them loosely."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from slugify import slugify  # what the kaggle package makes slugs with

from agent.errors import InputError
from agent.files.whole_file import write_whole

KERNEL_FILE = "kernel-metadata.json"
DATASET_FILE = "dataset-metadata.json"
MACHINE_SHAPES = (
    "NvidiaTeslaP100",
    "NvidiaTeslaT4",
    "NvidiaTeslaT4Highmem",
    "NvidiaL4",
    "NvidiaL4X1",
    "NvidiaTeslaA100",
    "NvidiaH100",
    "NvidiaRtxPro6000",
)
_SLUG = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_OWNER = re.compile(r"[A-Za-z0-9_-]+")
_OWNED = re.compile(rf"[A-Za-z0-9_-]+/{_SLUG}", re.IGNORECASE)
_VERSIONED = re.compile(rf"[A-Za-z0-9_-]+/{_SLUG}(/\d+)?", re.IGNORECASE)
_MODEL = re.compile(r"[\w-]+/[\w.-]+/[\w-]+/[\w.-]+/\d+", re.IGNORECASE)

_INPUT_FOLDER = PurePosixPath("/kaggle/input")

_T = TypeVar("_T", bound="_Metadata")


def _matches(pattern: re.Pattern[str], form: str) -> BeforeValidator:
    def check(value: object) -> object:
        if not isinstance(value, str) or not pattern.fullmatch(value) or "INSERT_" in value:
            raise ValueError(f"{value!r} has to be {form}")
        return value

    return BeforeValidator(check)


def _truth(value: object) -> object:
    """Kaggle takes booleans as such or as words."""
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


Owned = Annotated[str, _matches(_OWNED, "owner/slug")]
Versioned = Annotated[str, _matches(_VERSIONED, "owner/slug, with /version behind it or not")]
ModelSource = Annotated[str, _matches(_MODEL, "owner/model/framework/variation/version")]
CompetitionSlug = Annotated[str, _matches(re.compile(_SLUG), "the competition's slug")]
Truth = Annotated[bool, BeforeValidator(_truth)]


class _Metadata(BaseModel):
    """No unknown keys: Kaggle ignores them, and with them what they were meant to do."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Owned


class KernelMetadata(_Metadata):
    """The metadata for `kaggle kernels push`. `enable_internet` has no default here: Kaggle's own is true."""

    title: str = Field(min_length=5)
    code_file: str = Field(min_length=1)
    language: Literal["python", "r", "rmarkdown"]
    kernel_type: Literal["script", "notebook"]
    is_private: Truth = True
    enable_internet: Truth
    enable_gpu: Truth = False
    enable_tpu: Truth = False
    machine_shape: str | None = None
    dataset_sources: list[Versioned] = []
    competition_sources: list[CompetitionSlug] = []
    kernel_sources: list[Versioned] = []
    model_sources: list[ModelSource] = []
    docker_image: str | None = None
    docker_image_pinning_type: Literal["original", "latest"] | None = None
    keywords: list[str] = []
    id_no: int | None = None


class _Licence(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str


class DatasetMetadata(_Metadata):
    """The metadata for `kaggle datasets create` and `version`."""

    title: str = Field(min_length=6, max_length=50)
    subtitle: str | None = Field(None, min_length=20, max_length=80)
    description: str | None = None
    licenses: list[_Licence] = Field(min_length=1, max_length=1)
    keywords: list[str] = []
    id_no: int | None = None
    resources: list[dict[str, Any]] | None = None


def check_names(owner: str, models: Sequence[str] = (), datasets: Sequence[str] = ()) -> None:
    """Check names that Kaggle's metadata are made of, as flags gave them. Raises InputError, naming the flag."""
    for flag, pattern, form, values in (
        ("--owner", _OWNER, "your name on Kaggle: letters, digits, - and _", [owner]),
        ("--model-source", _MODEL, "owner/model/framework/variation/version", models),
        ("--dataset-source", _VERSIONED, "owner/slug", datasets),
    ):
        for value in values:
            if not pattern.fullmatch(value):
                local = ", a directory of this machine goes behind --rehearse" if Path(value).is_dir() else ""
                raise InputError(f"{flag} {value!r} is no name on Kaggle: write {form}{local}")


def check_kernel(tree: Mapping[str, Any], folder: Path) -> KernelMetadata:
    """The metadata of a notebook in `folder`. Raises InputError, naming the key and how to fix it."""
    source = folder / KERNEL_FILE
    kernel = validated_kernel(tree, source)
    if not (folder / kernel.code_file).is_file():
        _wrong(source, "code_file", f"there is no {kernel.code_file} beside it", "build the notebook into this folder")
    return kernel


def validated_kernel(tree: Mapping[str, Any], source: Path) -> KernelMetadata:
    """As `check_kernel`, of metadata whose notebook may not be written yet; `source` is the file that errors name."""
    kernel = _validate(KernelMetadata, tree, source)
    _same_slug(source, kernel.id, kernel.title)
    if kernel.enable_internet:
        _wrong(source, "enable_internet", "the scored run has no internet", "write false")
    if kernel.machine_shape is not None and kernel.machine_shape not in MACHINE_SHAPES:
        hint = _nearest(kernel.machine_shape, MACHINE_SHAPES) or f"one of {', '.join(MACHINE_SHAPES)}"
        _wrong(source, "machine_shape", f"{kernel.machine_shape!r} is not known", f"write {hint}")
    if kernel.machine_shape is not None and not kernel.enable_gpu:
        _wrong(source, "enable_gpu", f"it is off and machine_shape is {kernel.machine_shape}", "write true")
    if kernel.kernel_type == "notebook" and not kernel.code_file.endswith(".ipynb"):
        _wrong(source, "code_file", f"{kernel.code_file!r} is no notebook", "name the .ipynb file")
    return kernel


def check_dataset(tree: Mapping[str, Any], folder: Path) -> DatasetMetadata:
    """The metadata of a dataset in `folder`. Raises InputError, naming the key and how to fix it."""
    source = folder / DATASET_FILE
    dataset = _validate(DatasetMetadata, tree, source)
    slug = dataset.id.split("/")[1]
    if not 6 <= len(slug) <= 50:
        _wrong(source, "id", f"the slug {slug!r} has {len(slug)} characters", "take 6 to 50")
    _same_slug(source, dataset.id, dataset.title)
    return dataset


def read_metadata(path: Path) -> dict[str, Any]:
    """The tree of a metadata file. Raises InputError if there is none or it is not JSON."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): build it first") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}): build it again") from None
    if not isinstance(tree, dict):
        raise InputError(f"{path} is no JSON object: build it again")
    return tree


def mount_of(source: str) -> PurePosixPath:
    """Where below Kaggle's input folder a model or a dataset is mounted, by Kaggle's name of it."""
    parts = source.strip("/").split("/")
    if len(parts) > 3:
        return PurePosixPath("models", *parts)
    return PurePosixPath("datasets", *parts[:2])


def below_input(model: str) -> PurePosixPath | None:
    """Where below Kaggle's input folder a model's path leads; None for a name, or a part of a path."""
    path = PurePosixPath("/", model.strip().strip("/"))
    return path.relative_to(_INPUT_FOLDER) if path.is_relative_to(_INPUT_FOLDER) else None


def is_mounted_at(source: str, path: PurePosixPath) -> bool:
    """Whether a path below Kaggle's input folder leads to what is attached, with its kind and owner or without both."""
    mount = mount_of(source)
    short = PurePosixPath(*mount.parts[2:])
    return path.is_relative_to(mount if path.parts[:1] in (("models",), ("datasets",)) else short)


def make_output_folder(folder: Path) -> None:
    """Make the folder that metadata and what they describe go to. Raises InputError if that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made a folder ({error.strerror}): name another --out") from error


def write_metadata(metadata: _Metadata, path: Path) -> None:
    """Write what is set, in the order of the keys. Raises InputError if that is not possible."""
    tree = metadata.model_dump(exclude_none=True)
    write_output(path, json.dumps(tree, indent=2, ensure_ascii=False) + "\n")


def write_output(path: Path, text: str) -> None:
    """Write a file of a build as a whole. Raises InputError if that fails; what was there is still there then."""
    try:
        write_whole(path, text)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): make room, or name another --out") from error


def _validate(kind: type[_T], tree: Mapping[str, Any], source: Path) -> _T:
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            near = _nearest(key, list(kind.model_fields))
            _wrong(source, key, "no such key", f"write {near}" if near else "leave it out")
        reason = "it is missing" if first["type"] == "missing" else first["msg"].removeprefix("Value error, ").lower()
        _wrong(source, key, reason, "add it" if first["type"] == "missing" else "change it")


def _same_slug(source: Path, id_: str, title: str) -> None:
    slug = id_.split("/")[1]
    if slugify(title) != slug:
        _wrong(
            source,
            "title",
            f"{title!r} has the slug {slugify(title)!r}, not that of the id, {slug!r}",
            "make them equal",
        )


def _nearest(word: str, known: list[str] | tuple[str, ...]) -> str | None:
    return next(iter(difflib.get_close_matches(word, known, n=1)), None)


def _wrong(source: Path, key: str, fault: str, remedy: str) -> NoReturn:
    raise InputError(f"{source}: {key}: {fault}: {remedy}")
