"""The command line: `python -m agent.solve`."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.cli import check, parse_arguments
from agent.errors import AgentError

if TYPE_CHECKING:
    from agent.plan import Plan

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parse_arguments(sys.argv[1:] if argv is None else argv)
    plan: Plan | None = None
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a tick must not fail where the locale has none
    try:
        check(args)
        from agent.command import execute  # slow imports wait until the flags are known to be good
        from agent.plan import make_plan

        plan = make_plan(args)
        execute(plan, as_json=args.json)
        return 0
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        go_on = f"; go on with: {plan.resume_command}" if plan else ""
        print(f"interrupted{go_on}", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
