"""Tries in a child process what cannot be undone."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable


def why_not(trial: Callable[[], None]) -> str:
    """Run something in a child that is then killed; return what went wrong, "" if nothing did."""
    said, say = os.pipe()
    held, hold = os.pipe()
    pid = os.fork()
    if pid == 0:
        _report(trial, say, held, hold)
    os.close(say)
    os.close(held)
    answer = os.read(said, 1_000).decode()
    try:
        os.kill(pid, signal.SIGKILL)
    except PermissionError:
        answer += "nor could a session under another user be ended"
    os.close(hold)
    os.close(said)
    os.waitpid(pid, 0)
    return answer.replace("\0", "") if answer else "the trial crashed"


def _report(trial: Callable[[], None], say: int, held: int, hold: int) -> None:
    try:
        try:
            trial()
            message = "\0"
        except OSError as error:
            message = str(error) + "\0"
        os.write(say, message.encode())
        os.close(hold)
        os.read(held, 1)  # until killed, or let go
    finally:
        os._exit(0)  # whatever it was, the child must not live on as a second zygote
