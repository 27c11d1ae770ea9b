"""Files, functions and folders stay small."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.layout.source import ROOT, SOURCES, TESTS, outline, refuse, shown, text

LONGEST_FILE = 300
LONGEST_FUNCTION = 60
MOST_MODULES = 14


def test_a_file_has_at_most_300_lines() -> None:
    lines = {shown(path): text(path).count("\n") for path in (*SOURCES, *TESTS)}
    refuse(f"{path}: {count} lines" for path, count in lines.items() if count > LONGEST_FILE)


def test_a_function_has_at_most_60_lines() -> None:
    offenders = [
        f"{shown(path)}: {name}"
        for path in (*SOURCES, *TESTS)
        for name, lines in outline(path).function_lines
        if lines > LONGEST_FUNCTION
    ]
    refuse(offenders)


def test_a_folder_holds_at_most_14_modules() -> None:
    modules = Counter(path.parent for path in (*SOURCES, *TESTS) if not path.stem.startswith("__"))
    refuse(f"{shown(folder)}: {count} modules" for folder, count in modules.items() if count > MOST_MODULES)


def test_what_is_measured_is_there() -> None:
    """A rule over no files would hold forever."""
    assert ROOT / "agent" / "types.py" in SOURCES
    assert len(SOURCES) > 150
    assert len(TESTS) > 100


def test_functions_are_measured_wherever_they_stand(tmp_path: Path) -> None:
    inner = "    async def two():\n        return 2\n"
    blocks = ["class A:\n", "def a():\n", "if a:\n    a\nelse:\n", "try:\n    a\nexcept E:\n", "match a:\n  case 1:\n"]
    for number, block in enumerate(blocks):
        path = tmp_path / f"{number}.py"
        path.write_text(block + inner)
        assert ("two", 2) in outline(path).function_lines
