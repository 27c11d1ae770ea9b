"""The command `python -m tools.benchmark`."""

from __future__ import annotations

import sys

from tools.benchmark.command import main

if __name__ == "__main__":
    sys.exit(main())
