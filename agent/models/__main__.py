"""The command `python -m agent.models`."""

from __future__ import annotations

import sys

from agent.models.command import main

if __name__ == "__main__":
    sys.exit(main())
