"""The settings of the notebook's configuration cell, from flags, and the user's own files that they name."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.chat.family import family_names
from agent.cli.arguments import set_keys
from agent.config import Config, load_config, profile_names
from agent.errors import InputError
from agent.files.addresses import expand_home
from submission.build.embedded_files import OWN_FOLDER
from submission.built_notebook import CODE_FOLDER
from submission.competitions import Competition
from submission.protocol import AUTO_PROFILE

_FAMILY, _SAMPLES = "sample.family", "sample.count"
_LIMIT = "budget.time_limit_seconds"
_ANY_PROFILE = "vllm"  # against which keys are checked where the notebook is to choose the profile


@dataclass(frozen=True, slots=True)
class OwnSettings:
    """Values of the configuration cell by their names, and texts of own files by their paths in the notebook's code.

    `config` is that of the profile with the keys, of the profile for any GPU where the notebook is to choose.
    """

    values: Mapping[str, object]
    files: Mapping[str, str]
    config: Config


def own_settings(args: argparse.Namespace, competition: Competition) -> OwnSettings:
    """Return what the flags set. A profile or family that is a file of the user's own is embedded in the notebook.

    Raises InputError for a flag, ConfigError for a profile or a key that is not valid.
    """
    keys = set_keys(args.set or ())
    if args.samples is not None and keys.setdefault(_SAMPLES, args.samples) != args.samples:
        raise InputError(f"--samples and --set {_SAMPLES} contradict each other: give one of them")
    edition = competition.edition
    if not 0 <= args.fallback <= edition.max_answer:
        raise InputError(f"--fallback {args.fallback} is no answer: give one of 0 to {edition.max_answer}")
    named = _ANY_PROFILE if args.profile == AUTO_PROFILE else args.profile
    config = load_config(named, {"edition": edition.name, **keys})
    if config.edition != edition.name:
        raise InputError(f"--set edition={config.edition} contradicts --edition {edition.name}: give --edition alone")
    if (limit := float(str(keys.get(_LIMIT, 0)))) > edition.time_limit_seconds:
        raise InputError(
            f"--set {_LIMIT}={limit:g} is over the competition's {edition.time_limit_seconds:g}: give less"
        )
    files: dict[str, str] = {}
    profile = args.profile
    if profile != AUTO_PROFILE and profile not in profile_names():
        profile = _embed(profile, files)
        if "engine.kind" not in keys and "kind" not in tomllib.loads(next(iter(files.values()))).get("engine", {}):
            raise InputError(
                f"profile {args.profile} sets no engine.kind, and would run a GGUF file on the CPU: a profile is the "
                f"whole set-up, so begin with a copy of agent/profiles/{competition.profile}.toml, or give single keys "
                "with --set"
            )
    family = config.sample.family
    if family not in family_names() and Path(family).is_absolute():
        keys[_FAMILY] = _embed(family, files)
    values = {
        "PROFILE": profile,
        "MODEL": args.model,
        "SOURCES": [*args.model_source, *args.dataset_source],
        "SETTINGS": keys,
        "FALLBACK": args.fallback,
    }
    return OwnSettings(values, files, config)


def _embed(path: str, files: dict[str, str]) -> str:
    """Add a user's own file, which has been read before, to those of the notebook; return its path there."""
    source = Path(expand_home(path))
    name = f"{OWN_FOLDER}/{source.name}"
    text = source.read_text(encoding="utf-8").rstrip() + "\n"
    if files.setdefault(name, text) != text:
        raise InputError(f"two different files are called {source.name}: rename one of them")
    return f"{CODE_FOLDER}/{name}"
