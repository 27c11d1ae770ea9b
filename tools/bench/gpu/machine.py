"""On what a matrix is measured: the machine's GPUs or processor, and the version of vLLM."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from agent.config import VllmConfig
from agent.errors import ConfigError
from agent.hardware.detect import CPU, describe, find_gpus

_VERSION_SECONDS = 60.0
_VERSION = "import importlib.metadata as m; print(m.version(m.packages_distributions()['vllm'][0]))"
_CPUINFO = Path("/proc/cpuinfo")


def machine_name(gpu: str) -> str:
    """Name the GPUs, or the processor and its cores where `gpu` is the profile's "cpu"."""
    return describe(find_gpus()) if gpu != CPU else f"{_processor()}, {os.cpu_count()} cores"


def vllm_version(settings: VllmConfig) -> str:
    """Return the version of the vLLM that the settings start. Raises ConfigError if there is none."""
    python = settings.python or sys.executable
    try:
        done = subprocess.run(
            [python, "-c", _VERSION],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_VERSION_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(
            f"{python} has no vLLM: pip install 'aimo-agent[vllm]', or name an interpreter that has it with --python"
        ) from error
    return done.stdout.decode("utf-8", "replace").strip()


def _processor() -> str:
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), CPU)
