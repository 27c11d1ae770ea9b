"""Imports point one way, in no circle, and only to what is declared."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions

from tests.layout.source import (
    ROOMS,
    ROOT,
    SOURCES,
    TESTS,
    imported_modules,
    is_in,
    module_name,
    outline,
    own_modules,
    refuse,
    shown,
)

# Each layer may import from itself and from those before it. The longest entry that a module is in places it.
LAYERS = (
    ("agent.types", "agent.errors", "agent.virtual_time", "agent.blocking", "agent.cost.money"),
    ("agent.files", "agent.events"),
    ("agent.summary",),
    ("agent.editions", "agent.latex"),
    ("agent.policy",),  # whose registries the configuration is checked against
    ("agent.chat.family",),  # against whose files it is checked too
    ("agent.config",),
    ("agent.policy.budget",),
    ("agent.answers",),
    ("agent.chat", "agent.metrics"),
    ("agent.problems", "agent.models", "agent.hardware"),
    ("agent.engine", "agent.sandbox", "agent.journal"),
    ("agent.cost",),
    ("agent.lane",),
    ("agent.solver",),
    ("agent.run", "agent.gateway_run"),
    ("agent.health",),
    ("agent.agent",),
    ("agent.views",),
    ("agent.cli", "agent.jupyter"),
    ("agent.sandbox.cli", "agent.sandbox.__main__", "agent.models.command", "agent.models.__main__", "agent.solve"),
    ("agent",),  # the public API, which imports its parts when they are asked for
    ("agent.cli.aimo",),  # which tells the version, and runs modules by their names
    ("submission",),  # records and rules that all its packages share
    ("submission.serving", "submission.worker"),
    ("submission.notebook",),
    ("submission.build", "submission.wheelhouse"),
    ("submission.rehearse", "submission.push", "submission.diff"),
    ("tools.shared",),
    ("tools",),
)
# Packages that import of the project only this, and themselves.
ONLY: Mapping[str, tuple[str, ...]] = {
    "agent": (),
    "submission": ("agent",),
    "tools": ("agent",),
    # The jail's bare Python imports these.
    "agent.sandbox.inside": ("agent.sandbox.protocol",),
    "agent.sandbox.protocol": (),
    "submission.serving": (
        *("agent.types", "agent.errors", "agent.editions", "agent.summary"),
        *("submission.compile_cache", "submission.competitions", "submission.metadata", "submission.protocol"),
    ),
    "tools.shared": ("agent.errors", "agent.answers", "agent.files", "agent.latex"),
}
# Packages that know nothing of each other.
APART = (("submission.serving", "submission.worker"), ("submission.build", "submission.wheelhouse"))
PURE = (
    "agent.answers",
    "agent.latex",
    "agent.chat",
    "agent.policy",
    "agent.metrics",
    "agent.views.totals",
    "agent.cost.money",
)
EFFECTS = ("asyncio", "os", "pathlib", "io", "time", "datetime", "random", "socket", "subprocess", "threading")


def test_imports_point_one_way() -> None:
    def offenders() -> Iterator[str]:
        for path in SOURCES:
            here = layer(module_name(path))
            if here is None:
                yield f"{shown(path)} has no layer"
                continue
            for module in sorted(imported_modules(path)):
                there = layer(module)
                if there is None or there > here:
                    yield f"{shown(path)} imports {module}, of a later layer"

    refuse(offenders())


def test_every_layer_is_there() -> None:
    named = [
        *(member for members in LAYERS for member in members),
        *ONLY,
        *PURE,
        *(name for pair in APART for name in pair),
    ]
    refuse(f"there is no {name} any more" for name in named if name not in own_modules())


def test_packages_keep_to_what_they_may_import() -> None:
    rules = [*ONLY.items(), *((tool, ("agent", "tools.shared")) for tool in tools())]
    offenders = [
        f"{shown(path)} imports {module}"
        for package, allowed in rules
        for path in SOURCES
        if is_in(module_name(path), package)
        for module in sorted(imported_modules(path))
        if not any(is_in(module, each) for each in (package, *allowed))
    ]
    refuse(offenders)


def test_packages_that_are_apart_do_not_import_each_other() -> None:
    offenders = [
        f"{shown(path)} imports {module}"
        for pair in APART
        for here, there in (pair, pair[::-1])
        for path in SOURCES
        if is_in(module_name(path), here)
        for module in imported_modules(path)
        if is_in(module, there)
    ]
    refuse(offenders)


def test_no_modules_import_each_other_in_a_circle() -> None:
    found = circle({module_name(path): imported_modules(path) for path in (*SOURCES, *TESTS)})
    assert not found, " <- ".join(found)


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    assert not circle({"a": {"b", "c"}, "b": {"c"}})


def test_pure_packages_touch_no_file_no_clock_and_no_chance() -> None:
    offenders = [
        f"{shown(path)} imports {each.name}"
        for path in SOURCES
        if any(is_in(module_name(path), package) for package in PURE)
        for each in outline(path).imports
        if each.name.split(".")[0] in EFFECTS
    ]
    refuse(offenders)


def test_every_import_is_declared() -> None:
    declared, owners = declared_distributions(), packages_distributions()
    offenders = []
    for path in (*SOURCES, *TESTS):
        for name in sorted({each.name.split(".")[0] for each in outline(path).imports}):
            distributions = {owner.lower().replace("_", "-") for owner in owners.get(name, [name])}
            if name not in sys.stdlib_module_names and name not in (*ROOMS, "tests") and not distributions & declared:
                offenders.append(f"{shown(path)} imports {name}, which pyproject.toml does not declare")
    refuse(offenders)


def layer(module: str) -> int | None:
    """The rank of the longest entry of LAYERS that the module is, or is in; `agent` is an entry for itself alone."""
    ranks = {member: rank for rank, members in enumerate(LAYERS) for member in members}
    found = [member for member in ranks if is_in(module, member) and (member != "agent" or module == "agent")]
    return ranks[max(found, key=len)] if found else None


def tools() -> set[str]:
    """Each tool, as the module or package of `tools` that it is."""
    names = {".".join(name.split(".")[:2]) for name in own_modules() if name.startswith("tools.")}
    return names - {"tools.shared"}


def circle(imported: Mapping[str, Collection[str]]) -> list[str]:
    """Modules that import each other in a circle, one such circle if there are any."""
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@cache
def declared_distributions() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    return {re.split(r"[\s<>=!~;\[]", name)[0].lower().replace("_", "-") for name in wanted}
