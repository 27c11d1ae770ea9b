"""Starts the worker: installs the attached wheels into an environment first, if that has not been done, and becomes it.

Run by the image's own Python, in the background, because Kaggle gives up on a server that does not
listen within 15 minutes:
`python -m submission.worker.launch WHEELS ENVIRONMENT SETTINGS`, where WHEELS may be empty.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import NoReturn

from agent.errors import AgentError
from submission.compile_cache import CACHE_FOLDER, UNPACKED_VARIABLE, unpack_cache
from submission.environment import child_environment, create_environment, install_offline
from submission.protocol import LAUNCHED_VARIABLE, StartupPart, WorkerWarning, encode_event

_CODE = Path(__file__).parents[2]
_INSTALLED = "installed"  # an empty file in an environment whose wheels are all installed


def prepared(wheels: str, folder: Path) -> Path:
    """The interpreter with the wheels installed; without wheels the one that runs. Raises InputError."""
    if not wheels:
        return Path(sys.executable)
    python = folder / "bin" / "python"
    if not (folder / _INSTALLED).exists():
        python = create_environment(folder)
        install_offline(python, Path(wheels))
        (folder / _INSTALLED).touch()
    return python


def main() -> NoReturn:
    """Become the worker, or exit with status 2 where that fails."""
    if len(sys.argv) != 4:
        print("error: give three arguments: WHEELS ENVIRONMENT SETTINGS, of which WHEELS may be empty", file=sys.stderr)
        sys.exit(2)
    wheels, folder, settings = sys.argv[1:]
    began = time.monotonic()
    try:
        python = prepared(wheels, Path(folder))
    except AgentError as error:
        print(encode_event(WorkerWarning(str(error))), flush=True)
        sys.exit(2)
    compiled = _compiled(Path(wheels), Path(folder).with_name(CACHE_FOLDER)) if wheels else {}
    launched = time.monotonic()
    print(encode_event(StartupPart("wheels", launched - began)), flush=True)
    command = [str(python), "-m", "submission.worker", settings]
    os.execve(python, command, {**child_environment(_CODE, python), **compiled, LAUNCHED_VARIABLE: str(launched)})


def _compiled(wheels: Path, cache: Path) -> dict[str, str]:
    """What tells the worker where vLLM may keep what it compiles: a folder with what lies beside the wheels."""
    if fault := unpack_cache(wheels, cache):
        print(encode_event(WorkerWarning(fault)), flush=True)
    return {UNPACKED_VARIABLE: str(cache)}


if __name__ == "__main__":
    main()
