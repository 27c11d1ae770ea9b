"""What the modules that Python itself cannot do without are like before any cell: taken once, for all sessions."""

from __future__ import annotations

import _frozen_importlib
import _frozen_importlib_external
import _io
import builtins
import codecs
import functools
import gc
import io
import linecache
import os
import posix
import signal
import sys
import threading
import traceback
import types
import warnings
from collections.abc import Iterator, Sequence
from ctypes import PyDLL, c_char, c_char_p, c_size_t, c_uint64, c_void_p, sizeof, string_at
from typing import Any

from agent.sandbox.inside.session.private import BUILTINS

__builtins__ = BUILTINS  # type: ignore[assignment] # the interpreter takes a dictionary, too

_WATCHED: tuple[types.ModuleType, ...] = (
    builtins,
    sys,
    io,
    os,
    codecs,
    linecache,
    traceback,
    signal,
    threading,
    warnings,
    _frozen_importlib,
    _frozen_importlib_external,
    _io,
    posix,
)
_IMPORTING = (_frozen_importlib, _frozen_importlib_external)  # whose classes are watched, too
_HOMES = ("_frozen_importlib", "_frozen_importlib_external")  # as their classes name them
_CORE = ("builtins", "sys", "io", "os", "codecs", "encodings", "encodings.utf_8", "importlib", "warnings")
CODEC_ERRORS = ("strict", "ignore", "replace", "backslashreplace", "surrogateescape", "surrogatepass")
_STREAM_NAMES = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")
_LAST_ERROR = ("last_type", "last_value", "last_traceback", "last_exc")
_FREE: dict[str, frozenset[str]] = {  # names that a cell may set for itself
    "sys": frozenset((*_STREAM_NAMES, *_LAST_ERROR, "argv", "path", "ps1", "ps2", "tracebacklimit")),
    "warnings": frozenset(("filters", "showwarning", "formatwarning", "defaultaction", "onceregistry")),
}
_POINTER, _FIXED = tuple.__itemsize__, dict.__basicsize__
_KEYS = _FIXED - 2 * _POINTER  # where a dictionary keeps the address of its table: the last field but one
_VERSION = _KEYS - _POINTER  # where Python keeps a number that grows whenever the dictionary changes; 3.14 does not
_Version: Any = c_char * sizeof(c_uint64)
_join = b"".join  # which takes pieces of memory, too
_HEAD = 2 * _POINTER  # bytes of a table that say how it is used, and change when it is only read
_compare = PyDLL(None).memcmp
_compare.argtypes = (c_void_p, c_char_p, c_size_t)


class Snapshot:
    """All modules that are loaded now, the names in those that are watched, and the parts of what imports."""

    def __init__(self) -> None:
        self.modules = sys.modules
        self.loaded = dict(sys.modules)
        self._codec_errors = _codec_errors()
        self.core = {name: sys.modules[name] for name in _CORE}
        self.finders = sys.path_importer_cache
        self.names: list[dict[str, Any]] = [*(vars(module) for module in _WATCHED), self.finders]
        self._first = [dict(names) for names in self.names]
        self._free = [_FREE.get(module.__name__, frozenset()) for module in _WATCHED] + [frozenset()]
        kinds = {kind for module in _IMPORTING for kind in vars(module).values() if isinstance(kind, type)}
        self.classes = [(kind, {**vars(kind)}) for kind in kinds if kind.__module__ in _HOMES]
        self._insides: list[dict[str, Any]] = [gc.get_referents(vars(kind))[0] for kind, _ in self.classes]

    def tables(self) -> list[tuple[c_void_p, int, bytes, int]]:
        """What all names watched stand for now, to be compared with later; see `differ`."""
        return [_table(names) for names in (*self.names, *self._insides)]

    def watched(self) -> list[dict[str, Any] | None]:
        """Every dictionary of which a change is to be noticed; None for one that was not found."""
        return [*self.names, *self._insides, self.modules, self._codec_errors]

    def parts(self) -> Iterator[tuple[frozenset[str], dict[str, Any], dict[str, Any]]]:
        """Of each watched module: the names that a cell may set for itself, all names now, and all names at first."""
        return zip(self._free, self.names, self._first, strict=True)


class Changes:
    """Whether any of these dictionaries, or of these pieces of memory, may have changed since this was last asked.

    Of a dictionary only its version is read: where many sessions run, each finds its memory out of the CPU's caches,
    and what a small cell costs is mostly the time to fetch what is touched after it.
    """

    def __init__(self, watched: Sequence[dict[str, Any] | None], memory: Sequence[Any] = ()) -> None:
        found = [each for each in watched if each is not None]
        self._watched = found  # which keeps them where they are
        self._pieces = [*map(_version, found), *(each for each in memory if each is not None)]
        self._is_certain = _HAS_VERSIONS and len(self._pieces) == len(watched) + len(memory)
        self._seen = b""

    def may_have_happened(self) -> bool:
        """Whether one has, or there is no telling."""
        before, self._seen = self._seen, _join(self._pieces)
        return self._seen != before or not self._is_certain


def _version(names: dict[str, Any]) -> Any:
    return _Version.from_address(id(names) + _VERSION)


def _has_versions() -> bool:
    """Whether a dictionary's version is where it should be and grows with each kind of change."""
    probe: dict[str, Any] = {}
    seen = [0]
    for change in (lambda: probe.update(a=1), lambda: probe.update(a=2), lambda: probe.pop("a"), probe.clear):
        change()
        seen.append(int.from_bytes(_version(probe), sys.byteorder))
    return seen == sorted({*seen})


_HAS_VERSIONS = _has_versions()


def _codec_errors() -> dict[str, Any] | None:
    """Where Python keeps the handlers of errors of codecs, by their names."""
    handlers = {name: codecs.lookup_error(name) for name in CODEC_ERRORS}
    for each in gc.get_referrers(handlers[CODEC_ERRORS[0]]):
        if type(each) is dict and each is not handlers and each.items() >= handlers.items():
            return each
    return None


def _table(names: dict[str, Any]) -> tuple[c_void_p, int, bytes, int]:
    """Where a dictionary says where its table of names and values is, where that is, its bytes and their number."""
    field = c_void_p.from_address(id(names) + _KEYS)
    address, size = (field.value or 0) + _HEAD, names.__sizeof__() - _FIXED - _HEAD
    return field, address, string_at(address, size), size


def differ(tables: list[tuple[c_void_p, int, bytes, int]]) -> bool:
    """Whether any name stands for something else than it did when these were taken.

    The objects themselves are not touched: to count a reference to each of thousands would cost a cell more than all
    else together.
    """
    compare, head = _compare, _HEAD
    for field, address, content, size in tables:
        if field.value != address - head or compare(address, content, size):
            return True
    return False


@functools.cache
def snapshot() -> Snapshot:
    """What was there at the first call."""
    return Snapshot()
