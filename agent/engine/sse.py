"""A parser of server-sent events as servers really send them: bytes in, JSON objects out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json

StreamEvent = dict[str, Any]

_MAX_EVENT_BYTES = 64 << 20
_STRAY_CHARS = 200  # kept of text that is no event, for error messages
# What gateways send to keep a connection open, such as ": PROCESSING" or "[PING]": not part of any JSON object.
_KEEP_ALIVE = re.compile(r'[^{}\[\]"]{0,200}|\s*\[[A-Za-z][\w -]{0,40}\]\s*')
_LONGEST_INTEGER = 18  # digits; a longer number is a float, as it is in other languages
_DATA = b"data: "


class EventParser:
    """Takes a body piece by piece and yields its events; None stands for the end marker.

    A body that is plain JSON, one object or one per line, is accepted too: some servers ignore `"stream": true`.
    Methods raise ValueError for text that is neither an event nor a keep-alive.
    """

    def __init__(self) -> None:
        self.stray = ""  # the beginning of text that is no event, such as an error page
        self._line: list[bytes] = []  # parts of an incomplete line
        self._line_size = 0
        self._after_cr = False
        self._pending: list[str] = []  # lines of an incomplete event
        self._size = 0
        self._name = ""
        self._begun = False
        self._bare = False
        self._events = 0

    def feed(self, piece: bytes) -> Iterator[StreamEvent | None]:
        """Take the next piece. Lines end with CR, LF or both."""
        rest = piece[1:] if self._after_cr and piece.startswith(b"\n") else piece
        self._after_cr = piece.endswith(b"\r")
        for part in rest.splitlines(keepends=True):
            if self._begun and not (self._bare or self._line or self._pending):
                if part == b"\n":
                    self._name = ""
                    continue
                if (event := self._usual(part)) is not None:
                    yield event
                    continue
            self._line.append(part)
            self._line_size += len(part)
            if self._line_size > _MAX_EVENT_BYTES:
                raise ValueError(f"a line is longer than {_MAX_EVENT_BYTES >> 20} MiB")
            if part.endswith((b"\n", b"\r")):
                yield from self._end_line()

    def _usual(self, line: bytes) -> StreamEvent | None:
        """Take a line that is a whole event, as almost all are; None for any other, which is not taken then."""
        if self._name or not line.startswith(_DATA) or not line.endswith(b"}\n") or len(line) > _MAX_EVENT_BYTES:
            return None
        try:
            event = from_json(line[len(_DATA) :].decode("utf-8", "replace"))
        except ValueError:
            return None
        if not isinstance(event, dict) or "choices" not in event:
            return None
        self._events += 1
        return event

    def end(self) -> Iterator[StreamEvent | None]:
        """Finish at the end of the body."""
        if self._line:
            yield from self._end_line()
        yield from self._dispatch()
        if self._bare and self._events == 1:
            yield None

    def _end_line(self) -> Iterator[StreamEvent | None]:
        text = b"".join(self._line).rstrip(b"\r\n").decode("utf-8", "replace")
        self._line, self._line_size = [], 0
        if not self._begun and text.strip("\ufeff \t"):
            text = text.lstrip("\ufeff")
            self._begun, self._bare = True, text.lstrip().startswith("{")
        if self._bare:
            yield from self._add(text)
        elif not text:
            yield from self._dispatch()
        else:
            yield from self._field(*text.partition(":")[::2], text)

    def _field(self, name: str, value: str, line: str) -> Iterator[StreamEvent | None]:
        value = value.removeprefix(" ")
        if name == "data":
            yield from self._add(value)
        elif name == "event":
            self._name = value.strip()
        elif name == "error":  # llama.cpp's server
            yield {"error": _loads(value) or value}
        elif name not in ("", "id", "retry"):
            self._keep_stray(line)

    def _add(self, value: str) -> Iterator[StreamEvent | None]:
        """Take a line of data. One that is a complete object is an event, whether or not an empty line follows."""
        if not self._pending:
            if _is_done(value):
                yield None
                return
            event = _loads(value)
            if isinstance(event, dict):
                if "choices" not in event:
                    self._keep_stray(value)
                yield self._named(event)
                return
            if self._name != "error" and (event is not None or _KEEP_ALIVE.fullmatch(value)):
                self._keep_stray("" if value.startswith(":") else value)
                return
        self._pending.append(value)
        self._size += len(value)
        if self._size > _MAX_EVENT_BYTES:
            raise ValueError(f"an event is larger than {_MAX_EVENT_BYTES >> 20} MiB")

    def _dispatch(self) -> Iterator[StreamEvent | None]:
        """End the event at an empty line."""
        data = "\n".join(self._pending)
        self._pending, self._size = [], 0
        event = _loads(data) if data else None
        if isinstance(event, dict):
            yield self._named(event)
        elif data and self._name == "error":
            yield {"error": data}
        elif data and event is None and (self._events or self._bare or data.lstrip().startswith("{")):
            raise ValueError(f"unexpected event {data[:80]!r}")
        elif data:
            self._keep_stray(data)
        self._name = ""

    def _keep_stray(self, text: str) -> None:
        self.stray = f"{self.stray} {text.strip()}".strip()[:_STRAY_CHARS]

    def _named(self, event: StreamEvent) -> StreamEvent:
        self._events += 1
        return {"error": event} if self._name == "error" and not event.get("error") else event


def _is_done(data: str) -> bool:
    return data.strip().strip('"').upper() == "[DONE]"


def _loads(data: str) -> Any:
    """Parse JSON; None if it is invalid. Raises ValueError if it is nested too deeply."""
    try:
        return _DECODER.decode(data)
    except RecursionError:
        raise ValueError(f"an event is nested too deeply: {data[:80]!r}") from None
    except ValueError:
        return None


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits.lstrip("-")) <= _LONGEST_INTEGER else float(digits)


_DECODER = json.JSONDecoder(parse_int=_integer)
