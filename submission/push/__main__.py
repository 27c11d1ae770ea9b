"""The command `python -m submission.push`."""

from __future__ import annotations

import sys

from submission.push.command import main

if __name__ == "__main__":
    sys.exit(main())
