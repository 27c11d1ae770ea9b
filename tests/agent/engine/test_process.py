"""What a server process that has failed is quoted with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agent.engine.process import ServerProcess

pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    ("written", "quoted"),
    [
        (
            "INFO loading\npydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
            "  Value error, the quantization method is not supported [type=value_error]\n    For further information\n",
            "ModelConfig / Value error, the quantization method is not supported [type=value_error] (log: ",
        ),
        (
            "RuntimeError: index 7 is out of bounds\n"
            + ("Traceback\n" + "  File x\n" * 900 + "EngineDeadError: see above\n") * 64,
            "RuntimeError: index 7 is out of bounds (log: ",
        ),
        ("ImportError: it is not installed\nValueError: a consequence\n", "ImportError: it is not installed (log: "),
        ("usage: server\nserver: error: unrecognized arguments: --no\n", "error: unrecognized arguments: --no (log: "),
    ],
)
async def test_the_cause_of_a_failure_is_quoted_from_the_log(written: str, quoted: str, tmp_path: Path) -> None:
    (tmp_path / "written").write_text(written)
    command = [
        sys.executable,
        "-c",
        "import sys; sys.stderr.write(open(sys.argv[1]).read())",
        str(tmp_path / "written"),
    ]
    process = await ServerProcess.start(command, log_path=tmp_path / "log", defaults={})
    await process.wait()
    assert quoted in process.complaint()
    await process.end()
