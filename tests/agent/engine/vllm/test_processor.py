"""In which number format a processor is quick."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import EngineConfig, VllmConfig
from agent.engine.vllm.command import server_command
from agent.engine.vllm.processor import quick_dtype


@pytest.mark.parametrize(
    ("flags", "machine", "dtype"),
    [
        ("fpu sse2 avx avx2 fma f16c", "x86_64", "float32"),
        ("fpu sse2 avx avx2 avx512f avx512_bf16", "x86_64", "auto"),
        ("fpu sse2 avx avx2 avx_vnni avx_ne_convert", "x86_64", "auto"),
        ("fp asimd bf16", "aarch64", "auto"),
    ],
)
def test_bf16_is_left_out_where_it_would_be_imitated(flags: str, machine: str, dtype: str, tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbogomips\t: 1\n")
    assert quick_dtype(cpuinfo, machine) == dtype


def test_a_processor_that_says_nothing_is_left_to_vllm(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert quick_dtype(tmp_path / "empty", "x86_64") == quick_dtype(tmp_path / "missing", "x86_64") == "auto"


@pytest.mark.parametrize(
    ("gpu", "given", "passed"),
    [("cpu", "auto", "float32"), ("cpu", "bfloat16", "bfloat16"), ("L4", "auto", "auto"), ("", "half", "half")],
)
def test_only_a_cpu_s_open_choice_is_made_here(
    gpu: str, given: str, passed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.engine.vllm.command.quick_dtype", lambda: "float32")
    settings = VllmConfig.model_validate({"gpu": gpu, "dtype": given})
    words = server_command(EngineConfig(), settings, 1)
    assert words[words.index("--dtype") + 1] == passed
