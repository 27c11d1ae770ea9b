"""The command `python -m submission.wheelhouse`."""

from __future__ import annotations

import sys

from submission.wheelhouse.command import main

if __name__ == "__main__":
    sys.exit(main())
