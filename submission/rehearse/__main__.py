"""The command `python -m submission.rehearse`."""

from __future__ import annotations

import sys

from submission.rehearse.command import main

if __name__ == "__main__":
    sys.exit(main())
