"""Standard output and standard error, which may be closed, full, or pipes whose reader has gone.

Progress is shown on a best-effort basis: no run fails because it cannot be displayed. A result that cannot be written
is an error, unless the reader of the pipe has closed it.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from agent.errors import AgentError


class _Lenient:
    """A text stream that drops what cannot be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text if possible."""
        try:
            return self._stream.write(text)
        except OSError:
            _drop(self._stream)
            return len(text)

    def flush(self) -> None:
        """Flush if possible."""
        try:
            self._stream.flush()
        except OSError:
            _drop(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class HeldOutput:
    """A text stream with the attributes of standard output that keeps what is written."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    @property
    def text(self) -> str:
        """All text written so far."""
        return "".join(self._parts)

    def write(self, text: str) -> int:
        """Keep the text."""
        self._parts.append(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stdout, name)


@contextmanager
def steady_streams() -> Iterator[None]:
    """While the context lasts, writing to standard error never fails, and no file gets a standard descriptor.

    Characters that the locale cannot encode are written as escapes.
    """
    stderr = sys.stderr
    for descriptor in range(3):
        _fill(descriptor)
    for stream in (sys.stdout, stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if stderr is None:  # it was closed when Python started
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    else:
        sys.stderr = cast(TextIO, _Lenient(stderr))
    try:
        yield
    finally:
        with suppress(OSError):
            sys.stderr.flush()
        if stderr is None:
            sys.stderr.close()
        sys.stderr = stderr


def write_result(text: str) -> None:
    """Write a result to standard output and flush it; a closed pipe is not an error.

    Raises AgentError if it cannot be written.
    """
    if sys.stdout is None:
        raise AgentError("the result cannot be written: standard output is closed")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop(sys.stdout)
    except OSError as error:
        _drop(sys.stdout)
        raise AgentError(f"the result cannot be written to standard output ({error.strerror})") from error


def _fill(descriptor: int) -> None:
    """Open the null device at a closed descriptor: a file that got its number would receive the output."""
    try:
        os.fstat(descriptor)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)


def _drop(stream: TextIO) -> None:
    """Redirect the stream's buffer, and all that follows, to the null device."""
    with suppress(OSError, ValueError):
        opened = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(opened, stream.fileno())
        finally:
            os.close(opened)
