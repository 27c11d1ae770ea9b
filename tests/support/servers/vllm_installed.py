"""The real vLLM's environment for tests: its Python, its models, what its servers count."""

from __future__ import annotations

import fcntl
import json
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
MODEL_DEFAULTS = {"do_sample": True, "repetition_penalty": 1.9, "top_k": 1, "min_p": 0.9, "max_new_tokens": 4}

needs_vllm = pytest.mark.skipif(
    not PYTHON.exists() and os.environ.get("AIMO_VLLM") != "required", reason="no vLLM here: make test-vllm"
)


def hf_model(name: str) -> Path:
    """A known model as a directory that vLLM reads, converted once for this user."""
    gguf = fetch_model(name)
    folder = gguf.with_name(f"{gguf.stem}-hf")
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # files of tests that run side by side begin with the same model
        if not folder.exists():
            script = ROOT / "tools" / "gguf_to_hf.py"
            subprocess.run([PYTHON, script, gguf, folder], check=True, capture_output=True, env=os.environ | QUIET)
    return folder


def tiny_model_with_defaults(folder: Path) -> Path:
    """The tiny model in this empty folder, with other defaults for sampling than none: `MODEL_DEFAULTS`."""
    for path in hf_model("smollm2-135m").iterdir():
        (folder / path.name).symlink_to(path)
    config = folder / "generation_config.json"
    written = json.loads(config.read_text())
    config.unlink()
    config.write_text(json.dumps(written | MODEL_DEFAULTS))
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
