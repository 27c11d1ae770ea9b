"""Kaggle's side of a scored run, for the rehearsal.

`python -m submission.rehearse.scored_gateway CSV EDITION [PACKAGE FOLDER]`.

Calls the notebook that listens on this machine and writes `submission.parquet` into the current directory.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from agent.errors import AgentError, InputError
from submission.competitions import Competition, competition_of, imported_class
from submission.serving.local_gateway import run_gateway

_RESULT_FILE = Path("result.json")


def main() -> int:
    """Run the gateway; return the exit status."""
    csv, edition, *package = sys.argv[1:]
    try:
        competition = competition_of(edition)
        if package:
            return run_genuine(Path(csv), competition, Path(package[0]))
        run_gateway(Path(csv), competition.edition, Path.cwd(), response_seconds=competition.response_seconds)
        return 0
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run_genuine(csv: Path, competition: Competition, folder: Path) -> int:
    """Run the gateway of the genuine package in `folder`; return 0 if it reports success.

    Raises InputError if the competition has no gateway that calls the notebook.
    """
    if competition.gateway is None:
        raise InputError(f"{competition.slug} has no gateway process: its notebook requests the problems itself")
    sys.path.insert(0, str(folder))
    gateway = imported_class(competition.gateway)((str(csv),))
    gateway.client = _client_of_this_machine(gateway.client)
    gateway.run()
    result = json.loads(_RESULT_FILE.read_text(encoding="utf-8")) if _RESULT_FILE.exists() else {"Succeeded": True}
    if not result["Succeeded"]:
        print(f"error: the gateway says {result}", file=sys.stderr)
    return 0 if result["Succeeded"] else 2


def _client_of_this_machine(client: Any) -> Any:
    """Replace the gateway's client: in a scored run it expects the notebook in a container of another name.

    A new one, because version 0.3.0 binds its channel when the client is made.
    """
    here = type(client)("localhost")
    here.endpoint_deadline_seconds = client.endpoint_deadline_seconds
    return here


if __name__ == "__main__":
    sys.exit(main())
