"""Fuzzing of what controller and session say to each other, on both sides: no hang, no wrong attribution.

Needs the extra `fuzz`; `python -m tools.fuzz -max_total_time=3600 CORPUS` runs for an hour, guided by coverage,
and keeps what it learns in the folder CORPUS. Its options are libFuzzer's. A failing input is written to a file
`crash-...`, and `python -m tools.fuzz crash-...` plays it again.
"""

from __future__ import annotations

import importlib
import sys


def main() -> int:
    """Fuzz until stopped; libFuzzer ends the process."""
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        sys.stderr.write("Fuzzing needs atheris: install the extra, pip install -e '.[fuzz]'.\n")
        return 2
    with atheris.instrument_imports(include=["agent.sandbox", "tools.fuzz.checks"]):
        checks = importlib.import_module("tools.fuzz.checks")
    atheris.Setup(sys.argv, checks.check_input)
    atheris.Fuzz()
    return 0
