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

    Raises ConfigError if the copy is no family.
    """
    copy = str((directory / FAMILY_FILE).absolute())
    sample = tree.get("sample", {})
    if not Path(copy).is_file() or _is_family(sample.get("family", ""), load_family(copy)):
        return dict(tree)
    return {**tree, "sample": {**sample, "family": copy, "own_families": []}}


def _is_family(name: str, family: Family) -> bool:
    try:
        return load_family(name) == family
    except ConfigError:
        return False
