"""Serve a GGUF model over the OpenAI completions protocol; started by `EmbeddedEngine` as a process of its own.

Prints its URL on standard output once the model is loaded. Exits when standard input closes, which happens however the
parent ends (but not before the model is loaded).
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import xllamacpp  # type: ignore[import-untyped]

_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_SPARE_HTTP_THREADS = 64  # each stream holds one, also while it waits for a slot; other requests must get through
# Tokens of one step. A step cannot be interrupted and no lane gets a token before it ends, so with a large one
# cancelled prompts keep computing and other lanes wait; smaller ones were not measurably slower.
_BATCH_TOKENS = 256


def main() -> None:
    """Load the model and serve it until standard input closes."""
    arguments = _parse()
    # llama.cpp may print: standard output is reserved for the URL, everything else goes to the log.
    announce = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        server = xllamacpp.Server(_params(arguments))
    except RuntimeError as error:
        sys.exit(str(error))
    with suppress(BrokenPipeError):  # the parent died while the model was being loaded
        print(server.listening_address, file=announce, flush=True)
    sys.stdin.buffer.read()
    shutil.rmtree(arguments.scratch, ignore_errors=True)
    os._exit(0)  # the destructor would wait for abandoned streams


def usable_cores() -> int:
    """Count the physical cores available to this process, given its affinity and its container's CPU quota."""
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    if _CGROUP_QUOTA.exists():
        quota, period = _CGROUP_QUOTA.read_text().split()
        if quota != "max":
            cores = min(cores, math.ceil(int(quota) / int(period)))
    return cores


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a GGUF file")
    parser.add_argument("--slots", type=int, required=True, help="streams decoded at the same time")
    parser.add_argument("--context-tokens", type=int, required=True, help="context length of one slot")
    parser.add_argument("--port", type=int, required=True, help="port to serve on (0: any free one)")
    parser.add_argument("--scratch", type=Path, required=True, help="directory for slots' states, removed at the end")
    return parser.parse_args()


def _params(arguments: argparse.Namespace) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = str(arguments.model)
    params.n_parallel = arguments.slots
    params.n_ctx = arguments.slots * arguments.context_tokens
    params.n_batch = params.n_ubatch = _BATCH_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = usable_cores()
    params.hostnames = ["127.0.0.1"]
    params.port = arguments.port
    params.n_threads_http = arguments.slots + _SPARE_HTTP_THREADS
    params.slot_save_path = f"{arguments.scratch}/"
    params.cache_ram_mib = 0  # up to 8 GiB by default, for prompts that are never reused
    params.endpoint_metrics = True
    params.ui = False
    params.warmup = False  # the first completion does it
    return params


if __name__ == "__main__":
    main()
