"""Find the number format in which this machine's processor computes a model fast."""

from __future__ import annotations

import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_FAST_IN_BF16 = {"avx512f", "avx_ne_convert"}  # oneDNN computes in bf16 only with one of these


def quick_dtype(cpuinfo: Path = _CPUINFO, machine: str | None = None) -> str:
    """Return vLLM's name of the format: "float32" on an x86-64 processor that would have to emulate bf16, else "auto".

    With AVX2 only, Qwen2.5-Coder-0.5B prefilled 6 times and decoded 8 lanes 3 times as fast in float32.
    """
    if (machine or platform.machine()) != "x86_64":
        return "auto"
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "auto"
    flags = next((set(line.split()) for line in lines if line.startswith("flags")), None)
    return "auto" if flags is None or flags & _FAST_IN_BF16 else "float32"
