"""Kaggle's side of a scored run, for the rehearsal.

`python -m submission.rehearse.scored_gateway CSV EDITION [PACKAGE FOLDER]`.

Calls the notebook that listens on this machine and writes `submission.parquet` into the current directory.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from agent.errors import AgentError
from submission.competitions import competition_of
from submission.serving.local_gateway import run_gateway

_GATEWAYS = {
    "aimo2": ("kaggle_evaluation.aimo_2_gateway", "AIMO2Gateway"),
    "aimo3": ("kaggle_evaluation.aimo_3_gateway", "AIMO3Gateway"),
}
_RESULT_FILE = Path("result.json")


def main() -> int:
    """Play the gateway; returns the exit status."""
    csv, edition, *package = sys.argv[1:]
    if package:
        return run_genuine(Path(csv), edition, Path(package[0]))
    competition = competition_of(edition)
    try:
        run_gateway(Path(csv), competition.edition, Path.cwd(), response_seconds=competition.response_seconds)
        return 0
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run_genuine(csv: Path, edition: str, folder: Path) -> int:
    """Run the gateway of the genuine package in `folder`; returns 0 if it calls the run a success."""
    sys.path.insert(0, str(folder))
    module, name = _GATEWAYS[edition]
    gateway = getattr(importlib.import_module(module), name)((str(csv),))
    gateway.client = _client_of_this_machine(gateway.client)
    gateway.run()
    result = json.loads(_RESULT_FILE.read_text(encoding="utf-8")) if _RESULT_FILE.exists() else {"Succeeded": True}
    if not result["Succeeded"]:
        print(f"error: the gateway says {result}", file=sys.stderr)
    return 0 if result["Succeeded"] else 2


def _client_of_this_machine(client: Any) -> Any:
    """The gateway's client anew: in a scored run it looks for the notebook in a container of another name.

    A new one, because version 0.3.0 binds its channel when the client is made.
    """
    here = type(client)("localhost")
    here.endpoint_deadline_seconds = client.endpoint_deadline_seconds
    return here


if __name__ == "__main__":
    sys.exit(main())
