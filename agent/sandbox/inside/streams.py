"""A session's standard streams: opened, kept as they should be, and written to by the runner itself."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO

from agent.sandbox.inside.private import BUILTINS

__builtins__ = BUILTINS  # type: ignore[assignment] # the interpreter takes a dictionary, too

LINE_START = b"\xff\x1e"
"""Stands before what must begin a line; no text holds it, as it is no UTF-8."""

_INPUT, _OUTPUT, _ERRORS, _CONTROL = range(4)
_OWN = ("__stdin__", "__stdout__", "__stderr__")
_OPTIONS = ("utf-8", "backslashreplace")
_TextIOWrapper, _BufferedWriter, _BufferedReader, _FileIO = (
    io.TextIOWrapper,
    io.BufferedWriter,
    io.BufferedReader,
    io.FileIO,
)


class _Errors(io.TextIOWrapper):
    """The stream of errors: what it takes is shown at once, behind what stands in the stream of output."""

    def write(self, text: str) -> int:
        """Write and flush."""
        sys_vars = vars(sys)
        output = sys_vars.get("__stdout__")
        if output is not None:
            output.flush()
        size = super().write(text)
        self.flush()
        return size


class _Input(io.FileIO):
    """What the stream of input reads from: it knows whether someone wanted more than there is."""

    was_empty = False

    def readinto(self, buffer: Any, /) -> int | None:
        """Read; the number of bytes."""
        size = super().readinto(buffer)
        self.was_empty = self.was_empty or not size
        return size

    def readall(self) -> bytes:
        """Read all there is."""
        data = super().readall()
        self.was_empty = self.was_empty or not data
        return data


_CLASS = {**vars(_Errors)}


class Streams:
    """The three streams under their two names each, and the descriptors 0 to 3."""

    def __init__(self) -> None:
        self._write, self._fstat, self._dup = os.write, os.fstat, os.dup2
        self._open, self._close = os.open, os.close
        self._get_blocking, self._set_blocking = os.get_blocking, os.set_blocking
        self._names = vars(sys)
        self._null = os.devnull
        self._fixed = [self._identity(descriptor) for descriptor in (_OUTPUT, _ERRORS, _CONTROL)]
        self._input = self._open_input()
        self._output, self._errors = self._open_output(), self._open_errors()
        self._put_in_place()

    def say(self, text: str, *, on_own_line: bool = True) -> None:
        """Write straight to the pipe, at the beginning of a line unless told otherwise: all else may be replaced."""
        data = (LINE_START if on_own_line else b"") + str.encode(text, *_OPTIONS)
        while data:
            try:
                data = data[self._write(_ERRORS, data) :]
            except BlockingIOError:
                self._set_blocking(_ERRORS, True)

    def flush(self) -> None:
        """Bring what was printed into the pipe, also what a stream of the cell's own holds back."""
        names = self._names
        for name, own in (("stdout", self._output), ("stderr", self._errors)):
            stream = names.get(name)
            for each in (own,) if stream is own else (stream, own):
                try:
                    each.flush()  # type: ignore[union-attr]
                except BlockingIOError:
                    self._free_descriptors()
                    each.flush()  # type: ignore[union-attr]
                except Exception:  # noqa: BLE001 - a stream of the cell's own may do anything
                    continue

    def has_read(self) -> bool:
        """Whether input was asked for in vain since the last call."""
        if self._raw_input.was_empty is not True:
            return False
        self._raw_input.was_empty = False
        return True

    def restore(self) -> None:
        """Open anew what a cell closed or changed, and put the session's streams under their names again."""
        self._free_descriptors()
        self._put_in_place()  # first, since a wrapper of the cell's own closes what it wraps as it goes
        if not _plain(self._output):
            self._output = self._open_output()
        if not _plain(self._errors):
            self._errors = self._open_errors()
        if _is_closed(self._input):
            self._input = self._open_input()
        self._put_in_place()

    def fit(self) -> bool:
        """Whether the descriptors lead where they did at first, and that the class of one stream is as it was."""
        identity = self._identity
        same = self._fixed == [identity(_OUTPUT), identity(_ERRORS), identity(_CONTROL)]
        return same and vars(_Errors) == _CLASS

    def _identity(self, descriptor: int) -> tuple[int, int]:
        try:
            status = self._fstat(descriptor)
        except OSError:
            return 0, 0
        return status.st_dev, status.st_ino

    def _free_descriptors(self) -> None:
        """Descriptors must be there and wait: one that does not makes reads and writes fail."""
        for descriptor in range(4):
            try:
                if not self._get_blocking(descriptor):
                    self._set_blocking(descriptor, True)
            except OSError:
                if descriptor == _INPUT:
                    self._open_null()

    def _open_null(self) -> None:
        opened = self._open(self._null, os.O_RDWR)
        if opened != _INPUT:
            self._dup(opened, _INPUT)
            self._close(opened)

    def _put_in_place(self) -> None:
        names = self._names
        if _is_closed(names.get("stdin")) or names["stdin"] is names.get("__stdin__"):
            names["stdin"] = self._input
        names["__stdin__"] = self._input
        names["stdout"] = names["__stdout__"] = self._output
        names["stderr"] = names["__stderr__"] = self._errors

    def _open_input(self) -> TextIO:
        self._raw_input = _Input(_INPUT, "r", closefd=False)
        return _TextIOWrapper(_BufferedReader(self._raw_input), *_OPTIONS)

    def _open_output(self) -> TextIO:
        stream = _BufferedWriter(_FileIO(_OUTPUT, "w", closefd=False))
        return _TextIOWrapper(stream, *_OPTIONS, line_buffering=True)

    def _open_errors(self) -> TextIO:
        stream = _BufferedWriter(_FileIO(_ERRORS, "w", closefd=False))
        return _Errors(stream, *_OPTIONS, line_buffering=True)


def _is_closed(stream: object) -> bool:
    try:
        return bool(stream.closed)  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - None, detached, or the cell's own
        return True


def _plain(stream: TextIO) -> bool:
    """Whether it is open and does what it did at first."""
    try:
        stream.reconfigure(newline=None)  # type: ignore[attr-defined] # which cannot be asked for
        options = stream.encoding, stream.errors
        return not stream.closed and options == _OPTIONS and bool(stream.line_buffering) and not vars(stream)
    except ValueError:  # its buffer was detached
        return False
