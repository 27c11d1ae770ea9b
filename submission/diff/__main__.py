"""The command `python -m submission.diff`."""

from __future__ import annotations

import sys

from submission.commands import start_command

if __name__ == "__main__":
    sys.exit(start_command("submission.diff"))
