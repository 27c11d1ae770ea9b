"""Texts in the metadata of a GGUF file, read from its beginning; the weights behind that are not touched.

A reader of our own: xllamacpp tells metadata only of a model that it has loaded, and the package `gguf` maps the whole
file.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from agent.errors import ModelError
from agent.models.own_file import GGUF_MAGIC

_VERSIONS = (2, 3)
_TEXT, _LIST = 8, 9
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of a number, by type
_MAX_TEXT = 1 << 24  # bytes of a key, or of a text that is asked for


def gguf_texts(path: Path, keys: Collection[str]) -> dict[str, str]:
    """The texts that a GGUF file has under these keys. Raises ModelError if the file cannot be read or is not whole."""
    try:
        with path.open("rb") as file:
            return _texts(file, path.stat().st_size, keys)
    except struct.error as error:
        raise ModelError(f"{path} is not a whole GGUF file (it ends too early): fetch the model again") from error
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise ModelError(f"{path} cannot be read as a GGUF file ({reason}): fetch the model again") from error


def _texts(file: BinaryIO, size: int, keys: Collection[str]) -> dict[str, str]:
    if file.read(len(GGUF_MAGIC)) != GGUF_MAGIC:
        raise ValueError("it does not begin as one")
    version, _, pairs = struct.unpack("<IQQ", file.read(20))
    if version not in _VERSIONS:
        raise ValueError(f"its version is {version}")
    found: dict[str, str] = {}
    for _ in range(pairs):
        if len(found) == len(keys):
            break
        key = _text(file)
        (kind,) = struct.unpack("<I", file.read(4))
        if kind == _TEXT and key in keys:
            found[key] = _text(file)
        else:
            _skip(file, kind, size)
    return found


def _text(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > _MAX_TEXT or len(data := file.read(length)) != length:
        raise ValueError("a text in it is cut")
    return data.decode("utf-8", "replace")


def _skip(file: BinaryIO, kind: int, size: int) -> None:
    """Pass over a value. A list of texts is passed over text by text; it cannot have more than the file has bytes."""
    if kind != _LIST:
        _skip_values(file, kind, 1, size)
        return
    kind, count = struct.unpack("<IQ", file.read(12))
    _skip_values(file, kind, count, size)


def _skip_values(file: BinaryIO, kind: int, count: int, size: int) -> None:
    if kind in _SIZES and count <= size:
        file.seek(_SIZES[kind] * count, 1)
    elif kind == _TEXT:
        for _ in range(count):
            (length,) = struct.unpack("<Q", file.read(8))
            if length > size:
                raise ValueError("a text in it is cut")
            file.seek(length, 1)
    else:
        raise ValueError(f"a value in it has the type {kind}")
    if file.tell() > size:
        raise ValueError("its metadata are cut")
