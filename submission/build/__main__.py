"""The command `python -m submission.build`."""

from __future__ import annotations

import sys

from submission.build.command import main

if __name__ == "__main__":
    sys.exit(main())
