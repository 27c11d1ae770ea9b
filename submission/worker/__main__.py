"""The command `python -m submission.worker`."""

from __future__ import annotations

import sys

from submission.worker.worker import main

if __name__ == "__main__":
    sys.exit(main())
