"""The command `python -m tools.fuzz`."""

from __future__ import annotations

import sys

from tools.fuzz.command import main

if __name__ == "__main__":
    sys.exit(main())
