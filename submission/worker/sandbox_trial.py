"""Runs one cell in the worker's sandbox before any problem comes, so that it is known whether lanes have Python."""

from __future__ import annotations

import math

from agent.errors import SandboxError
from agent.sandbox.forkserver import ForkServerSandbox
from agent.sandbox.inside.layers.layers import LAYER_NAMES
from agent.types import ToolStatus

_CELL = "print(6 * 7)"
_PRINTED = "42"


async def try_sandbox(sandbox: ForkServerSandbox) -> str:
    """Start the sandbox and run a cell in a session of its own; return in a line how that went.

    Raises SandboxError if no code can be run.
    """
    client = await sandbox.client()
    session = await sandbox.session(seed=0)
    try:
        run = await session.run(_CELL)
    finally:
        await session.close()
    if run.status is not ToolStatus.OK or run.output.strip() != _PRINTED:
        raise SandboxError(f"its first cell ended with status {run.status} and printed {run.output[:100]!r}")
    layers = f"{len(LAYER_NAMES) - len(client.missing)} of {len(LAYER_NAMES)} layers"
    lacking = f"; not installed: {', '.join(client.libraries_missing)}" if client.libraries_missing else ""
    return f"Python sandbox: {layers}, a cell ran in {math.ceil(run.seconds * 1_000)} ms{lacking}"
