"""Runs hostile cells in a jail, and tells what was amiss."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.sandbox import jail
from tests.support.sandbox.jail import Rights


def judge(rights: Rights, cells: list[dict[str, Any]], *options: str) -> list[dict[str, Any]]:
    """What the driver in the jail says about each cell, the world last."""
    script = Path(__file__).parent / "jailed_hostile.py"
    with jail.run(rights, [sys.executable, str(script), str(jail.REPO), *options]) as jailed:
        assert jailed.stdin is not None and jailed.stdout is not None
        stdin = jailed.stdin

        def feed() -> None:
            stdin.write(json.dumps(cells))
            stdin.close()

        threading.Thread(target=feed).start()
        return [json.loads(line) for line in jailed.stdout]


def check(rights: Rights, cells: list[dict[str, Any]], *options: str) -> None:
    """All cells are safe, and come to what they should; skips where there can be no jail."""
    if reason := jail.missing():
        pytest.skip(reason)
    verdicts = judge(rights, cells, "--memory-mib", "768", *options)
    amiss = {verdict["name"]: verdict["amiss"] for verdict in verdicts if verdict["amiss"]}
    assert not amiss, amiss  # this module is none whose assertions pytest explains
    assert len(verdicts) == len(cells) + 1
