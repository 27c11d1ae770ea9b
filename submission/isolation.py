"""Run a command without network, if this system supports that."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

_OWN = {"proc", "dev", "tmp", "kaggle"}  # at the top level: the command gets its own
# Where there is nothing to cut the network with, at least the usual ways out lead nowhere.
_DEAD_ENDS = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "PIP_NO_INDEX": "1"}


@cache
def can_isolate() -> bool:
    """Whether bubblewrap works here, which cuts off the network and gives the command its own /kaggle."""
    if shutil.which("bwrap") is None:
        return False
    command = ["bwrap", "--ro-bind", "/", "/", "--unshare-net", "--dev", "/dev", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def isolated(
    command: list[str], *, scratch: Path, shared: Iterable[Path] = (), kaggle: Path | None = None
) -> list[str]:
    """The command line that runs `command` without network; the file system is read-only but for what is named.

    The folder `scratch` appears as /tmp, `kaggle` as /kaggle (in whose `working` the command starts), and the folders
    `shared` where they are: all of them can be written. Only where `can_isolate`.
    """
    words = ["bwrap", "--die-with-parent", "--unshare-net", "--unshare-pid"]
    for entry in sorted(Path("/").iterdir()):
        if entry.name in _OWN:
            continue
        if entry.is_symlink():
            words += ["--symlink", str(entry.readlink()), str(entry)]
        else:
            words += ["--ro-bind", str(entry), str(entry)]
    words += ["--proc", "/proc", "--dev", "/dev", "--bind", str(scratch), "/tmp"]
    for prefix in {sys.prefix, sys.base_prefix}:
        if Path(prefix).is_relative_to("/tmp"):  # where our own /tmp hides it
            words += ["--ro-bind", prefix, prefix]
    for path in shared:
        words += ["--bind", *[str(path)] * 2]
    if kaggle is not None:
        words += ["--bind", str(kaggle), "/kaggle", "--chdir", "/kaggle/working"]
    return [*words, *command]


def offline_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a command that cannot be isolated."""
    return {**environment, **_DEAD_ENDS}
