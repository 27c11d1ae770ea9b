"""The command line: `python -m agent.solve`."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from agent.cli.run_spec import RunSpec

FAILED = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    try:
        # Imported here and not above, so that an interrupt at any moment is answered.
        from agent.cli.streams import steady_streams

        with steady_streams():
            return _command(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        if sys.stderr is not None:
            print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _command(argv: Sequence[str]) -> int:
    from agent.cli.arguments import check, parse_arguments
    from agent.errors import AgentError

    spec: RunSpec | None = None
    try:
        args = parse_arguments(argv)
        check(args)
        from agent.cli.command import execute  # slow imports wait until the flags are known to be good
        from agent.cli.run_spec import open_run_spec

        with open_run_spec(args) as spec:
            execute(spec, as_json=args.json)
        return 0
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        command = spec.resume_command if spec else None
        print(f"interrupted; continue with: {command}" if command else "interrupted", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)  # ends the command as Ctrl-C does, at any moment
    status = main()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.SIG_IGN)  # what is left is Python's own end
    sys.exit(status)
