"""No public name means two things."""

from __future__ import annotations

from collections import defaultdict

from tests.layout.source import SOURCES, outline, refuse, shown

ALLOWED = {"main", "run"}


def test_a_public_name_is_defined_in_one_module() -> None:
    places = defaultdict(list)
    for path in SOURCES:
        for name in sorted(set(outline(path).public_names)):
            places[name].append(shown(path))
    twice = {name: paths for name, paths in places.items() if len(paths) > 1 and name not in ALLOWED}
    refuse(f"{name} is defined in {' and '.join(paths)}" for name, paths in twice.items())
