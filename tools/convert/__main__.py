"""The command `python -m tools.convert`."""

from __future__ import annotations

import sys

from tools.convert.command import main

if __name__ == "__main__":
    sys.exit(main())
