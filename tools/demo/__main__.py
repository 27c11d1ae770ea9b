"""The command `python -m tools.demo`."""

from __future__ import annotations

import sys

from tools.demo.command import main

if __name__ == "__main__":
    sys.exit(main())
