"""Read evaluation logs of Inspect AI, `.eval` and `.json`, without Inspect being installed.

A `.eval` file is a ZIP archive: `header.json` (or, of a run that was interrupted, `_journal/start.json`) says what was
evaluated, and each file below `samples/` is one sample of one epoch. A `.json` log is one object with the same parts.
"""

from __future__ import annotations

import json
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.errors import InputError
from tools.shared.samples.drawn import (
    DrawnSample,
    ReadingRules,
    SampleFile,
    graded,
    plain_answer,
    read_answer,
    stated_answer,
)
from tools.shared.samples.fields import Fields

_HEADERS = ("header.json", "_journal/start.json")
_ZSTANDARD = 93  # the number of the method in ZIP archives
_NAME_LENGTH_AT = 26  # bytes into a member's own header; its extra field's length follows
_CUT_OFF = ("max_tokens", "model_length")
_RIGHT = ("C", 1, True)


def read_inspect_archive(path: Path, reading: ReadingRules) -> SampleFile:
    """Read a `.eval` file. Raises InputError, naming sample and field, for one that is damaged or lacks something."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            header = next((name for name in _HEADERS if name in names), None)
            if header is None:
                raise InputError(f"{path} holds no header.json: give a log that Inspect has written")
            samples = [name for name in names if name.startswith("samples/") and name.endswith(".json")]
            rows = [_member(archive, name) for name in samples]
            return _log(path, _member(archive, header), rows, reading)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, zlib.error, struct.error) as error:
        raise InputError(f"{path} is no Inspect log ({error}): give a .eval file that is whole") from error


def read_inspect_json(path: Path, document: Mapping[str, Any], reading: ReadingRules) -> SampleFile:
    """Read a log that is one JSON object. Raises InputError, naming sample and field."""
    log = Fields(str(path), document)
    samples = [
        Fields(f"{path}, sample {number}", fields.values) for number, fields in enumerate(log.objects("samples"), 1)
    ]
    return _log(path, log, samples, reading)


def _member(archive: zipfile.ZipFile, name: str) -> Fields:
    place = f"{archive.filename}, {name}"
    try:
        value = json.loads(_content(archive, archive.getinfo(name)))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place} is malformed ({error}): give a log that is whole") from error
    if not isinstance(value, dict):
        raise InputError(f"{place} is no object: give a log that Inspect has written")
    return Fields(place, value)


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The content of a member. Inspect compresses with Zstandard, which zipfile knows from Python 3.14 on."""
    if member.compress_type != _ZSTANDARD:
        return archive.read(member)
    import pyarrow  # type: ignore[import-untyped]

    with Path(str(archive.filename)).open("rb") as file:
        file.seek(member.header_offset + _NAME_LENGTH_AT)
        name, extra = struct.unpack("<HH", file.read(4))
        file.seek(name + extra, os.SEEK_CUR)
        packed = file.read(member.compress_size)
    try:
        content: bytes = pyarrow.Codec("zstd").decompress(packed, decompressed_size=member.file_size, asbytes=True)
    except OSError as error:  # pyarrow's errors of damaged data
        raise zipfile.BadZipFile(f"{member.filename}: {error}") from error
    if zlib.crc32(content) != member.CRC:
        raise zipfile.BadZipFile(f"bad CRC-32 for file {member.filename!r}")
    return content


def _log(path: Path, header: Fields, rows: list[Fields], reading: ReadingRules) -> SampleFile:
    about = header.inner("eval")
    model = about.text("model")
    failed = [row for row in rows if row.get("error")]
    samples = tuple(_sample(row, model, reading) for row in rows if not row.get("error"))
    if not samples:
        raise InputError(f"{path} holds no sample that ended without an error: give another log")
    return SampleFile(about.text("task"), model, samples, len(failed), "an Inspect log")


def _sample(row: Fields, model: str, reading: ReadingRules) -> DrawnSample:
    gold = plain_answer(_target(row))
    output = row.inner("output")
    choice = next(output.objects("choices")) if output.get("choices") else Fields(row.place, {})
    reasoning, reply = _written(choice)
    read, right = _score(row, reading)
    text = f"{reasoning}\n{reply}"
    answer = (read_answer(read, reply) if read else None) or stated_answer(text)
    vote, disputed = graded(answer, gold, right=right)
    tokens = _tokens(row, output, model) or reading.tokens(row.place, text.strip())
    cut = choice.get("stop_reason") in _CUT_OFF
    return DrawnSample(row.place, row.text("id"), gold, vote, tokens, cut, disputed)


def _target(row: Fields) -> str:
    """The target; of several that are accepted the first."""
    target = row.need("target")
    if isinstance(target, list):
        target = row.items("target")[0]
    return Fields(row.place, {"target": target}).text("target")


def _score(row: Fields, reading: ReadingRules) -> tuple[str, bool | None]:
    """What the scorer read, "" for nothing, and whether it holds it for right; None for an unscored sample."""
    if not row.get("scores"):
        return "", None
    scores = row.inner("scores")
    name = reading.chosen(scores.values, row.place, "scorer")
    score = scores.inner(name)
    answer = score.get("answer")
    read = str(answer).strip() if isinstance(answer, str | int | float) else ""
    return read, score.get("value") in _RIGHT


def _tokens(row: Fields, output: Fields, model: str) -> int:
    """All tokens that the model generated for the sample, in all its turns; 0 where the log does not say."""
    usages = row.get("model_usage") or {}
    own = usages.get(model) if isinstance(usages, Mapping) else None
    for usage in (own, output.get("usage")):
        if isinstance(usage, Mapping) and isinstance(usage.get("output_tokens"), int) and usage["output_tokens"] > 0:
            return int(usage["output_tokens"])
    return 0


def _written(choice: Fields) -> tuple[str, str]:
    """What the model wrote last: its reasoning, and its reply."""
    if not choice.get("message"):
        return "", ""
    message = choice.inner("message")
    content = message.get("content") or ""
    if isinstance(content, str):
        return "", content
    parts = list(message.objects("content"))
    reasoning, reply = ([str(part.get(name)) for part in parts if part.get(name)] for name in ("reasoning", "text"))
    return "\n".join(reasoning), "\n".join(reply)
