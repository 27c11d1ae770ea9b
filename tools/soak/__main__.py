"""The command `python -m tools.soak`."""

from __future__ import annotations

import sys

from tools.soak.command import main

if __name__ == "__main__":
    sys.exit(main())
