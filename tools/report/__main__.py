"""The command `python -m tools.report`."""

from __future__ import annotations

import sys

from tools.report.command import main

if __name__ == "__main__":
    sys.exit(main())
