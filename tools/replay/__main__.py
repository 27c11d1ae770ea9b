"""The command `python -m tools.replay`."""

from __future__ import annotations

import sys

from tools.replay.command import main

if __name__ == "__main__":
    sys.exit(main())
