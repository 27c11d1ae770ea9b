"""A session's standard streams: opened, kept as they should be, and written to by the runner itself."""

from __future__ import annotations

import functools
import gc
import io
import os
import sys
import types
from collections.abc import Callable
from ctypes import c_char, c_int, c_void_p, sizeof
from operator import is_
from typing import Any

from agent.sandbox.inside.descriptors import CLOSED, MarkedFiles, identity, open_null
from agent.sandbox.inside.session.private import BUILTINS
from agent.sandbox.inside.session.snapshot import Changes

__builtins__ = BUILTINS  # type: ignore[assignment] # the interpreter takes a dictionary, too

LINE_START = b"\xff\x1e"
"""Stands before what must begin a line; no text holds it, as it is no UTF-8."""
ERRORS_EDGE = b"\xff\x1d"
"""Stands before and after each text for the stream of errors, which no line shares with the stream of output."""

_INPUT, _OUTPUT, _ERRORS = range(3)
_OPTIONS = ("utf-8", "backslashreplace")
_TextIOWrapper, _BufferedWriter, _BufferedReader, _FileIO = (
    io.TextIOWrapper,
    io.BufferedWriter,
    io.BufferedReader,
    io.FileIO,
)
_RAW = {"name", "was_empty"}  # what a raw file may hold of its own
_NAMES = ("stdin", "__stdin__", "stdout", "__stdout__", "stderr", "__stderr__")


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
        self.flush = self.text.flush  # held, as to look for it takes as long as it does
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
        """The memory of its parts, but for what the buffer holds; None for what was not found."""
        parts = [_view(self.text), _view(self.raw), _head(self._buffer, self.raw)]
        return parts if self._write is None else [*parts, _view(self._write)]

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


def _view(part: io.IOBase | types.FunctionType, size: int = 0) -> Any:
    """The memory of an object, but for what each begins with: its count of references and its type."""
    size = size or type(part).__basicsize__ - object.__basicsize__
    return (c_char * size).from_address(id(part) + object.__basicsize__)


def _head(buffer: io.BufferedIOBase, raw: io.RawIOBase) -> Any:
    """The memory in which a buffer says what it writes to or reads from, and whether it still does; None elsewhere."""
    view = _view(buffer, sizeof(c_void_p) + 4 * sizeof(c_int))
    return view if int.from_bytes(view[: sizeof(c_void_p)], sys.byteorder) == id(raw) else None


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
    """The three streams under their two names each, and their descriptors."""

    def __init__(self) -> None:
        self._write, self._close = os.write, os.close
        self._get_blocking, self._set_blocking = os.get_blocking, os.set_blocking
        self._names = vars(sys)
        self._fixed = [identity(descriptor) for descriptor in (_OUTPUT, _ERRORS)]
        self._nothing = identity(_INPUT)
        self._files = MarkedFiles(_INPUT, _OUTPUT, _ERRORS)
        self._input, self._output, self._errors = map(_Stream, (_INPUT, _OUTPUT, _ERRORS))
        self._changes = self._watch()
        self._is_input_sound = True
        self._names["stdin"] = self._input.text
        self._put_in_place()

    def say(self, text: str, *, on_own_line: bool = True) -> None:
        """Write straight to the pipe, at the beginning of a line unless told otherwise: all else may be replaced."""
        write, data = self._write, (LINE_START if on_own_line else b"") + str.encode(text, *_OPTIONS)
        while data:
            try:
                data = data[write(_ERRORS, data) :]
            except BlockingIOError:
                self._set_blocking(_ERRORS, True)

    def flush(self) -> None:
        """Bring what was printed into the pipe, also what a stream of the cell's own holds back."""
        output, errors = self._output, self._errors
        stdout, stderr = self._names.get("stdout"), self._names.get("stderr")
        flushes: tuple[Callable[[], object], ...] = (output.flush, errors.flush)
        if stdout is not output.text or stderr is not errors.text:
            flushes = (_flush_of(stdout), output.flush, _flush_of(stderr), errors.flush)
        for flush in flushes:
            try:
                flush()
            except BlockingIOError:
                self._free_descriptors()
                flush()
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
        is_in_place = self._are_in_place()
        if not is_in_place:  # first, since a wrapper of the cell's own closes what it wraps as it goes
            self._put_in_place()
        if self._changes.may_have_happened():
            self._restore_changed(leads_away=self._free_descriptors())
        elif not is_in_place:
            self._put_in_place()

    def fit(self) -> bool:
        """Whether the descriptors of output lead where they did at first, and what reads the input is what it was.

        What the input leads to can be restored, and is.
        """
        if not self._files.are_there():
            if self._free_descriptors():
                self._restore_changed(leads_away=True)
            if self._fixed != [identity(_OUTPUT), identity(_ERRORS)]:
                return False
            self._files.mark()
        return self._is_input_sound

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
        self._put_in_place()

    def _restore_input(self, *, leads_away: bool) -> None:
        """Let there be nothing to read, whatever a cell has put in the place of that; a stream of its own may stay."""
        if leads_away:
            self._open_null()
        if leads_away or not self._input.is_sound():
            if self._names.get("stdin") is self._input.text:
                self._names["stdin"] = None
            self._input = _Stream(_INPUT)

    def _free_descriptors(self) -> bool:
        """Let descriptors wait: one that does not makes reads and writes fail. Returns whether input leads away."""
        for descriptor in (_INPUT, _OUTPUT, _ERRORS):
            try:
                if not self._get_blocking(descriptor):
                    self._set_blocking(descriptor, True)
            except OSError:  # closed
                continue
        return identity(_INPUT) != self._nothing

    def _open_null(self) -> None:
        if identity(_INPUT) != CLOSED:
            self._close(_INPUT)  # opening takes the lowest number that is free, and there may be no other
        open_null()
        self._nothing = identity(_INPUT)

    def _put_in_place(self) -> None:
        names = self._names
        own, stdin = self._input.text, names.get("stdin")
        if stdin is not own and _is_closed(stdin):
            names["stdin"] = own
        names["__stdin__"] = own
        output, errors = self._output.text, self._errors.text
        names["stdout"] = names["__stdout__"] = output
        names["stderr"] = names["__stderr__"] = errors
        self._placed = (own, own, output, output, errors, errors)

    def _are_in_place(self) -> bool:
        return all(map(is_, map(self._names.get, _NAMES), self._placed))


def _flush_of(stream: Any) -> Callable[[], object]:
    """What flushes a stream of a cell's own, or fails if it is none."""
    return lambda: stream.flush()


def _is_closed(stream: object) -> bool:
    try:
        return bool(stream.closed)  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - None, detached, or the cell's own
        return True
