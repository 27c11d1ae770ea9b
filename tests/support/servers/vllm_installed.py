"""The real vLLM's environment for tests: its Python, its models, what its servers count."""

from __future__ import annotations

import os
import subprocess
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from agent.models.store import fetch_model

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
# One thread: two of OpenMP's wait for each other where the machine is shared.
QUIET = {"OMP_NUM_THREADS": "1"}

needs_vllm = pytest.mark.skipif(
    not PYTHON.exists() and os.environ.get("AIMO_VLLM") != "required", reason="no vLLM here: make test-vllm"
)


def hf_model(name: str) -> Path:
    """A known model as a directory that vLLM reads, converted once for this user."""
    gguf = fetch_model(name)
    folder = gguf.with_name(f"{gguf.stem}-hf")
    if not folder.exists():
        script = ROOT / "tools" / "gguf_to_hf.py"
        subprocess.run([PYTHON, script, gguf, folder], check=True, capture_output=True, env=os.environ | QUIET)
    return folder


def metric(port: int, name: str, engine: str = "") -> float:
    """The value of one of the server's metrics, of one of its engines or of all; 0 while there is no server."""
    try:
        with closing(urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5)) as page:
            lines = page.read().decode().splitlines()
    except OSError:
        return 0.0
    label = f'engine="{engine}"' if engine else ""
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"vllm:{name}{{") and label in line)
