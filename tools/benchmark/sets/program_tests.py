"""Unpack the tests of programs as published by LiveCodeBench."""

from __future__ import annotations

import base64
import binascii
import io
import json
import pickle
import zlib
from collections.abc import Sequence
from typing import NoReturn

from agent.errors import InputError
from tools.benchmark.question import ProgramTest, ProgramTests

_MOST_BYTES = 1 << 30  # hidden tests of one question, unpacked


def program_tests(place: str, shown: str, hidden: str, metadata: str) -> ProgramTests:
    """The tests of a question from its three columns; all are unpacked once, so that a damaged file is told at once.

    Raises InputError, naming the `place` in the file.
    """
    try:
        details = json.loads(metadata) if metadata else {}
    except ValueError:
        raise _damaged(place, "metadata", "it is not JSON") from None
    function = details.get("func_name") if isinstance(details, dict) else None
    tests = ProgramTests(function or None, _tests(place, "public_test_cases", shown), hidden)
    hidden_count = len(hidden_tests(place, tests))
    if not tests.shown and not hidden_count:
        raise InputError(f"{place}: there are no tests: give the file as it is published")
    return tests


def hidden_tests(place: str, tests: ProgramTests) -> tuple[ProgramTest, ...]:
    """The hidden tests: JSON, or JSON in a pickle of one text, deflated, in base 64. Raises InputError if damaged."""
    column, packed = "private_test_cases", tests.packed
    if not packed or packed.lstrip().startswith("["):
        return _tests(place, column, packed or "[]")
    try:
        data = _inflate(base64.b64decode(packed, validate=True))
        text = _TextUnpickler(io.BytesIO(data)).load()
    except (binascii.Error, zlib.error, pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError) as error:
        raise _damaged(place, column, str(error) or type(error).__name__) from error
    except (AttributeError, TypeError, OverflowError, MemoryError, RecursionError) as error:  # hostile pickles
        raise _damaged(place, column, type(error).__name__) from error
    if not isinstance(text, str):
        raise _damaged(place, column, f"the pickle holds {type(text).__name__}, not a text")
    return _tests(place, column, text)


class _TextUnpickler(pickle.Unpickler):
    """Loads what is made of plain values alone: a pickle that names any class or function is refused."""

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(f"the pickle asks for {module_name}.{global_name}")


def _inflate(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    inflated = stream.decompress(data, _MOST_BYTES)
    if not stream.eof:
        raise ValueError("too long, or cut")
    return inflated


def _tests(place: str, column: str, text: str) -> tuple[ProgramTest, ...]:
    try:
        entries: Sequence[dict[str, str]] = json.loads(text)
        return tuple(ProgramTest(str(entry["input"]), str(entry["output"])) for entry in entries)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise _damaged(place, column, reason) from error


def _damaged(place: str, column: str, reason: str) -> InputError:
    return InputError(f"{place}: the column {column!r} is damaged ({reason[:120]}): give the file as it is published")
