"""Execute a notebook as Kaggle does, in the rehearsal's image, together with a gateway if it is the scored run.

`python -m submission.rehearse.execute NOTEBOOK OUT SECONDS [GATEWAY COMMAND ...]`:
with a command the notebook is run as in the scored run, and that command calls it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from submission.rehearse.listening import LISTENING_FILE, watch_for_server
from submission.serving.local_gateway import GATEWAY_PORT
from submission.serving.mounts import RERUN_VARIABLE

_TIME_TO_END = 10.0  # seconds for a server to notice that the gateway is done
_GATEWAY_SECONDS = 60.0  # for a gateway to end after the notebook


def main() -> int:
    """Execute the notebook; return 0, or 1 if a cell or the gateway failed. The output is written in any case."""
    notebook, out, seconds, *gateway = sys.argv[1:]
    cells: NotebookNode = nbformat.read(notebook, as_version=4)
    client = NotebookClient(cells, timeout=int(seconds), kernel_name="python3", on_cell_execute=_tell)
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", RERUN_VARIABLE)}
    caller = None
    if gateway:
        environment[RERUN_VARIABLE] = "1"
        watch_for_server(GATEWAY_PORT, Path(out).with_name(LISTENING_FILE))
        caller = subprocess.Popen(gateway, cwd=Path(out).parent, env={**os.environ, RERUN_VARIABLE: "1"})
        threading.Thread(target=_interrupt_after, args=(caller, client), daemon=True).start()
    try:
        client.execute(env=environment)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        print(f"a cell failed: {_reason(error)}", file=sys.stderr)
        return 1
    finally:
        nbformat.write(cells, out)
    if caller is not None and caller.wait(_GATEWAY_SECONDS):
        print(f"the gateway failed with exit status {caller.returncode}", file=sys.stderr)
        return 1
    return 0


def _reason(error: Exception) -> str:
    """Return the last line of a cell's traceback, or the first line of any other failure."""
    if isinstance(error, CellExecutionError):
        return f"{error.ename}: {error.evalue}"
    return str(error).strip().splitlines()[0]


def _tell(cell: NotebookNode, cell_index: int, **_: Any) -> None:
    if cell.cell_type == "code":
        print(cell_index, cell.source.split("\n")[0], flush=True)


def _interrupt_after(caller: subprocess.Popen[bytes], client: NotebookClient) -> None:
    """Interrupt a server that still waits for calls after the gateway has ended, as Kaggle ends the container."""
    caller.wait()
    time.sleep(_TIME_TO_END)
    if client.km is not None and client.km.has_kernel:
        pid = getattr(client.km.provisioner, "pid", None)
        if pid is not None:
            os.kill(pid, signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
