"""How many cores the embedded server may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.engine.llamacpp import embedded_server
from agent.engine.llamacpp.embedded_server import usable_cores


@pytest.mark.parametrize(("quota", "most"), [("max 100000", 1_000), ("150000 100000", 2), ("100 100000", 1)])
def test_a_container_s_quota_limits_the_cores(
    quota: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    unlimited = usable_cores()
    monkeypatch.setattr(embedded_server, "_CGROUP_QUOTA", tmp_path / "cpu.max")
    assert 1 <= usable_cores() == min(most, unlimited)
