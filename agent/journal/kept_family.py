"""A copy of a user's own family in the directory of a run, for when the file has changed or is gone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from agent.chat.family import AUTO, Family, family_names, load_family
from agent.config import Config
from agent.errors import ConfigError

FAMILY_FILE = "sample_family.toml"


def own_family_file(config: Config) -> dict[str, str]:
    """The family of the configuration as a further file of a run, name and text; nothing where it is a bundled one."""
    name = config.sample.family
    if name == AUTO or name in family_names():
        return {}
    return {FAMILY_FILE: tomli_w.dumps(load_family(name).model_dump(exclude_unset=True))}


def with_kept_family(tree: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """The stored configuration of the run in the directory; the copy is its family where the file is not as it was.

    What "auto" was to look at first has done its work: files of it that are no families any more are left out.

    Raises ConfigError if the copy is no family.
    """
    sample = tree.get("sample", {})
    if not isinstance(sample, dict):
        return dict(tree)
    listed = sample.get("own_families")
    if isinstance(listed, list):
        sample = {**sample, "own_families": [name for name in listed if _loaded(name) is not None]}
    copy = str((directory / FAMILY_FILE).absolute())
    if Path(copy).is_file() and _loaded(sample.get("family", "")) != load_family(copy):
        sample = {**sample, "family": copy, "own_families": []}
    return {**tree, "sample": sample} if sample else dict(tree)


def _loaded(name: Any) -> Family | None:
    """The family of that name; None where there is none now."""
    try:
        return load_family(name) if isinstance(name, str) else None
    except ConfigError:
        return None
