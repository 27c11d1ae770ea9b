"""What a server process that has failed is quoted with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agent.engine.process import ServerProcess

pytestmark = pytest.mark.process

_REFUSED = "(APIServer pid=1) ERROR 11-29 00:00:00 [serving.py:1] ValueError: the maximum context length is 32768\n"
_WORKS = "(APIServer pid=1) INFO 11-29 01:00:00 [loggers.py:1] Engine 000: Avg prompt throughput: 0.0 tokens/s\n"
_WORKS_TOO = _WORKS.replace("000", "001")
_OLD_WORKS = "INFO 11-29 01:00:00 [metrics.py:1] Avg prompt throughput: 0.0 tokens/s, Running: 1 reqs\n"
_ENDS = "(EngineCore pid=2) ERROR 11-29 09:00:00 [core.py:1] torch.OutOfMemoryError: CUDA out of memory\n"
_DEAD = "(APIServer pid=1) ERROR 11-29 09:00:09 [async_llm.py:1] EngineDeadError: see above\n"


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
        (_REFUSED + _WORKS * 3 + _ENDS + _DEAD, "torch.OutOfMemoryError: CUDA out of memory (log: "),
        (_REFUSED + _WORKS * 3 + _ENDS + _WORKS * 2 + _DEAD, "torch.OutOfMemoryError: CUDA out of memory (log: "),
        (_ENDS + (_WORKS + _WORKS_TOO) * 2 + _DEAD, "torch.OutOfMemoryError: CUDA out of memory (log: "),
        (_REFUSED + _OLD_WORKS * 3 + _ENDS, "torch.OutOfMemoryError: CUDA out of memory (log: "),
        (_REFUSED + _WORKS * 9, "Engine 000: Avg prompt throughput: 0.0 tokens/s (log: "),  # it was killed
        ("usage: server\nserver: error: unrecognized arguments: --no\n", "error: unrecognized arguments: --no (log: "),
    ],
)
async def test_the_cause_of_a_failure_is_quoted_from_the_log(written: str, quoted: str, tmp_path: Path) -> None:
    process = await ended(written, tmp_path)
    assert quoted in process.complaint()


async def test_the_errors_since_a_server_last_worked_are_all_told(tmp_path: Path) -> None:
    process = await ended(_REFUSED + _WORKS * 3 + _REFUSED + _ENDS + _DEAD, tmp_path)
    assert process.errors() == [
        "ValueError: the maximum context length is 32768",
        "torch.OutOfMemoryError: CUDA out of memory",
        "EngineDeadError: see above",
    ]


async def ended(written: str, tmp_path: Path) -> ServerProcess:
    """A server that has written this and ended."""
    (tmp_path / "written").write_text(written)
    command = [
        sys.executable,
        "-c",
        "import sys; sys.stderr.write(open(sys.argv[1]).read())",
        str(tmp_path / "written"),
    ]
    process = await ServerProcess.start(command, log_path=tmp_path / "log", defaults={})
    await process.wait()
    await process.end()
    return process
