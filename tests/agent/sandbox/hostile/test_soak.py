"""A short soak in a jail: sessions that are attacked side by side with sessions that work."""

from __future__ import annotations

import json
import sys

import pytest

from tests.support.sandbox import jail
from tests.support.sandbox.jail import Rights

_SECONDS = 8


@pytest.mark.long
@pytest.mark.parametrize("rights", [Rights.ROOT, Rights.DOCKER])
def test_attacks_leave_no_trace_on_honest_sessions(rights: Rights) -> None:
    if reason := jail.missing():
        pytest.skip(reason)
    script = f"cd {jail.REPO} && exec {sys.executable} -m tools.soak --sessions 16 --seconds {_SECONDS}"
    with jail.run(rights, ["sh", "-c", script]) as jailed:
        assert jailed.stdout is not None
        record = json.loads(jailed.stdout.read())
    assert record["wrong"] == []
    assert record["cells"]["legitimate"] > 20
    assert record["latest_seconds"] < 6
    growth = record["growth"]
    assert growth["controller_mb"] < 50 and growth["zygote_mb"] < 50
    assert abs(growth["descriptors"]) < 40 and abs(growth["processes"]) < 20 and growth["scratch_files"] < 20
