"""What other processes are."""

from __future__ import annotations

import psutil


def command_of(process: psutil.Process) -> list[str]:
    """The words of its command line; none once it has ended, waited for or not."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # a zombie counts as one
        return []
