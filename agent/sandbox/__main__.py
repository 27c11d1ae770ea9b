"""The sandbox's command line: `python -m agent.sandbox`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from agent.sandbox.cli.interrupts import Interrupted, Interrupts

_FAILED = 2


def main(arguments: Sequence[str], interrupts: Interrupts) -> int:
    """Run the command and return its exit status."""
    try:
        # Imported here and not above, so that an interrupt is handled at any moment.
        from agent.cli.streams import steady_streams

        with steady_streams():
            return _command(arguments, interrupts)
    except Interrupted:
        if sys.stderr is not None:
            print("interrupted", file=sys.stderr)
        return interrupts.status


def _command(arguments: Sequence[str], interrupts: Interrupts) -> int:
    from agent.errors import AgentError

    try:
        from agent.sandbox.cli.command import run_sandbox_command  # slow imports

        run_sandbox_command(arguments, interrupts)
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return _FAILED
    except Interrupted:
        print("interrupted", file=sys.stderr)
        return interrupts.status
    return 0


if __name__ == "__main__":
    interrupts = Interrupts()
    interrupts.install()
    status = main(sys.argv[1:], interrupts)
    interrupts.ignore()  # only Python's own shutdown is left
    sys.exit(status)
