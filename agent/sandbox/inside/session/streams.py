"""A session's standard streams: opened, kept as they should be, and written to by the runner itself."""

from __future__ import annotations

import functools
import gc
import io
import os
import sys
import types
from ctypes import c_char
from typing import Any

from agent.sandbox.inside.session.private import BUILTINS
from agent.sandbox.inside.session.snapshot import Changes

__builtins__ = BUILTINS  # type: ignore[assignment] # the interpreter takes a dictionary, too

LINE_START = b"\xff\x1e"
"""Stands before what must begin a line; no text holds it, as it is no UTF-8."""
ERRORS_EDGE = b"\xff\x1d"
"""Stands before and after each text for the stream of errors, which no line shares with the stream of output."""

_INPUT, _OUTPUT, _ERRORS = range(3)
_CLOSED = (0, 0)  # stands for the file behind a descriptor that is closed
_OPTIONS = ("utf-8", "backslashreplace")
_TextIOWrapper, _BufferedWriter, _BufferedReader, _FileIO = (
    io.TextIOWrapper,
    io.BufferedWriter,
    io.BufferedReader,
    io.FileIO,
)
_RAW = {"name", "was_empty"}  # what a raw file may hold of its own


class _Input(io.FileIO):
    """What the stream of input reads from: it knows whether someone wanted more than there is."""

    was_empty = False

    def readinto(self, buffer: Any, /) -> int | None:
        """Read into the buffer; return the number of bytes."""
        size = super().readinto(buffer)
        self.was_empty = self.was_empty or not size
        return size

    def readall(self) -> bytes:
        """Read all there is."""
        data = super().readall()
        self.was_empty = self.was_empty or not data
        return data


_INPUT_CLASS = {**vars(_Input)}
_INPUT_NAMES = gc.get_referents(vars(_Input))  # the dictionary behind them


class _Stream:
    """One standard stream and what it is made of, to see later whether it still is."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.raw = (
            _Input(descriptor, closefd=False) if descriptor == _INPUT else _FileIO(descriptor, "w", closefd=False)
        )
        self._buffer: Any = (_BufferedReader if descriptor == _INPUT else _BufferedWriter)(self.raw)
        self.text = _TextIOWrapper(self._buffer, *_OPTIONS, line_buffering=descriptor != _INPUT)
        self._own = vars(self.text)
        self._write: types.FunctionType | None = None
        if descriptor == _ERRORS:
            write = _writer(self._buffer)
            functools.update_wrapper(write, self.text.write)
            self._write = self._own["write"] = write
            self._made_of = write.__code__, write.__defaults__

    @property
    def names(self) -> list[dict[str, Any]]:
        """The dictionaries of its parts."""
        return [self._own, vars(self._buffer), vars(self.raw)]

    @property
    def memory(self) -> list[Any]:
        """The memory of its parts, but for what lies behind the buffer."""
        return [_view(self.text), _view(self.raw)]

    def is_whole(self) -> bool:
        """Whether what neither names nor memory tell is as it was."""
        return self._buffer.raw is self.raw and (self._write is None or self._writes())

    def is_sound(self) -> bool:
        """Whether it is open and does what it did at first; what a cell has put into it is not called."""
        return (self._write is None or self._writes()) and self._is_as_made()

    def _is_as_made(self) -> bool:
        text, buffer, raw = self.text, self._buffer, self.raw
        if [*self._own] != ["write"][: self._write is not None] or vars(buffer) or not vars(raw).keys() <= _RAW:
            return False
        try:
            if text.buffer is not buffer or buffer.raw is not raw or raw.closed or raw.closefd:
                return False
            if raw.fileno() != self._descriptor or (text.encoding, text.errors) != _OPTIONS:
                return False
            if self._descriptor == _INPUT:
                return bool(raw.readable())
            text.reconfigure(newline=None)  # which cannot be asked for
            return raw.writable() and bool(text.line_buffering)
        except ValueError:  # closed, or its buffer was detached
            return False

    def _writes(self) -> bool:
        write = self._write
        if write is None or self._own["write"] is not write or write.__kwdefaults__:
            return False
        code, defaults = self._made_of
        return write.__code__ is code and write.__defaults__ is defaults


def _view(stream: io.TextIOWrapper | io.RawIOBase) -> Any:
    """The memory of a stream, but for what every object begins with: its count of references and its type."""
    size = type(stream).__basicsize__ - object.__basicsize__
    return (c_char * size).from_address(id(stream) + object.__basicsize__)


def _writer(buffer: io.BufferedIOBase) -> Any:
    """The write of the error stream: its text is shown at once, after what the output stream still holds."""
    names = vars(sys)

    def write(text: str, buffer: io.BufferedIOBase = buffer, names: dict[str, Any] = names) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        output = names.get("__stdout__")
        if output is not None:
            output.flush()
        buffer.write(b"".join((ERRORS_EDGE, str.encode(text, *_OPTIONS), ERRORS_EDGE)))
        buffer.flush()
        return len(text)

    return write


class Streams:
    """The three streams under their two names each, and the descriptors 0 to 3."""

    def __init__(self) -> None:
        self._write, self._fstat = os.write, os.fstat
        self._open, self._close = os.open, os.close
        self._get_blocking, self._set_blocking = os.get_blocking, os.set_blocking
        self._names = vars(sys)
        self._null = os.devnull
        self._fixed = [self._identity(descriptor) for descriptor in (_OUTPUT, _ERRORS)]
        self._nothing = self._identity(_INPUT)
        self._input, self._output, self._errors = map(_Stream, (_INPUT, _OUTPUT, _ERRORS))
        self._changes = self._watch()
        self._is_input_sound = True
        self._names["stdin"] = self._input.text
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
        for name, own in (("stdout", self._output.text), ("stderr", self._errors.text)):
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
        raw: Any = self._input.raw
        if raw.was_empty is not True:
            return False
        raw.was_empty = False
        return True

    def restore(self) -> None:
        """Open anew what a cell closed or changed, and put the session's streams under their names again.

        While no name and no byte of the streams has changed since they were found sound, they still are.
        """
        self._free_descriptors()
        self._put_in_place()  # first, since a wrapper of the cell's own closes what it wraps as it goes
        leads_away = self._identity(_INPUT) != self._nothing
        if leads_away or self._changes.may_have_happened() or not self._are_whole():
            self._restore_changed(leads_away=leads_away)
        self._put_in_place()

    def fit(self) -> bool:
        """Whether the descriptors of output lead where they did at first, and what reads the input is what it was."""
        identity = self._identity
        return self._is_input_sound and self._fixed == [identity(_OUTPUT), identity(_ERRORS)]

    def _are_whole(self) -> bool:
        return self._output.is_whole() and self._errors.is_whole() and self._input.is_whole()

    def _watch(self) -> Changes:
        """What tells whether the streams there are now, or the class that reads the input, have changed."""
        streams = (self._input, self._output, self._errors)
        names = [each for stream in streams for each in stream.names] + _INPUT_NAMES
        return Changes(names, [each for stream in streams for each in stream.memory])

    def _restore_changed(self, *, leads_away: bool) -> None:
        """Replace what is not sound. A thread of a cell's may still run: what it changes meanwhile is noticed later."""
        before, changes = (self._input, self._output, self._errors), self._watch()
        changes.may_have_happened()
        if not self._output.is_sound():
            self._output = _Stream(_OUTPUT)
        if not self._errors.is_sound():
            self._errors = _Stream(_ERRORS)
        self._restore_input(leads_away=leads_away)
        self._is_input_sound = vars(_Input) == _INPUT_CLASS
        is_new = before[0] is not self._input or before[1] is not self._output or before[2] is not self._errors
        self._changes = self._watch() if is_new else changes  # new ones are checked after the next cell

    def _restore_input(self, *, leads_away: bool) -> None:
        """Let there be nothing to read, whatever a cell has put in the place of that; a stream of its own may stay."""
        if leads_away:
            self._open_null()
        if leads_away or not self._input.is_sound():
            if self._names.get("stdin") is self._input.text:
                self._names["stdin"] = None
            self._input = _Stream(_INPUT)

    def _identity(self, descriptor: int) -> tuple[int, int]:
        try:
            status = self._fstat(descriptor)
        except OSError:
            return _CLOSED
        return status.st_dev, status.st_ino

    def _free_descriptors(self) -> None:
        """Descriptors must be there and wait: one that does not makes reads and writes fail."""
        for descriptor in range(4):
            try:
                if not self._get_blocking(descriptor):
                    self._set_blocking(descriptor, True)
            except OSError:  # closed
                continue

    def _open_null(self) -> None:
        if self._identity(_INPUT) != _CLOSED:
            self._close(_INPUT)  # opening takes the lowest number that is free, and there may be no other
        self._open(self._null, os.O_RDWR)
        self._nothing = self._identity(_INPUT)

    def _put_in_place(self) -> None:
        names = self._names
        own, stdin = self._input.text, names.get("stdin")
        if stdin is not own and _is_closed(stdin):
            names["stdin"] = own
        names["__stdin__"] = own
        names["stdout"] = names["__stdout__"] = self._output.text
        names["stderr"] = names["__stderr__"] = self._errors.text


def _is_closed(stream: object) -> bool:
    try:
        return bool(stream.closed)  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - None, detached, or the cell's own
        return True
