r"""Writes streamed function calls, which come in pieces, as the text that a model writes for them.

A server sends a call's number, id and name, then its arguments in fragments of JSON; or all at once, or several calls
side by side. They are written one behind the other, the first one as it comes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.chat.tool_tags.body import read_function_call
from agent.chat.tool_tags.scanner import CLOSE, OPEN

# What could pass for a mark, in a JSON string, where an escape stands for the same.
_MARK = re.compile(r"(\\*)<(?=[/|t\uff5c])")


@dataclass(slots=True)
class _Call:
    """A call as it comes. `sent` counts the characters of its arguments that have been written."""

    key: object
    id: str
    name: str = ""
    arguments: str = ""
    begun: bool = False
    sent: int = 0


@dataclass(slots=True)
class CallWriter:
    """Takes the pieces of the calls of one message; each method returns what the text grows by."""

    _calls: list[_Call] = field(default_factory=list)  # the first one is being written, those after it wait
    _written: list[object] = field(default_factory=list)  # numbers of those that are done

    def feed(self, pieces: object) -> str:
        """Take the `tool_calls` of an event."""
        listed = pieces if isinstance(pieces, list) else [pieces]
        return "".join(text for piece in listed if isinstance(piece, Mapping) for text in self._feed(piece))

    @property
    def is_open(self) -> bool:
        """Whether a call is being written."""
        return bool(self._calls)

    def close(self, *, ended: bool = False, cut: bool = False) -> str:
        """Write what is left, at the end of the message or where it says something else.

        Where the message has `ended`, a last call that can be read is left for its reader to close, which then still
        hears of what follows in the stream. One that was `cut` off stays so.
        """
        texts = []
        while self._calls:
            last = len(self._calls) == 1
            texts.append(self._rest(self._calls.pop(0), is_left=ended and last, cut=cut and last))
        return "".join(texts)

    def _feed(self, piece: Mapping[str, Any]) -> Iterator[str]:
        function = piece.get("function")
        told = function if isinstance(function, Mapping) else piece
        name, arguments = _string(told.get("name")), _text_of(told.get("arguments"))
        call = self._call_of(piece, name, arguments) if name or arguments or piece.get("id") else None
        if call is None:
            return
        call.name = call.name or name
        call.arguments += arguments
        yield self._grown(self._calls[0])
        while len(self._calls) > 1 and _is_whole(self._calls[0].arguments):
            yield self._rest(self._calls.pop(0), is_left=False, cut=False)
            yield self._grown(self._calls[0])

    def _call_of(self, piece: Mapping[str, Any], name: str, arguments: str) -> _Call | None:
        """The call that a piece belongs to: by its number, and by its id where the numbers are all the same or missing.

        None for more of one that was whole.
        """
        given, key = _string(piece.get("id")), piece.get("index")
        call = self._known(key, given)
        if call is None and not name and key in self._written:
            return None
        if call is not None and given and given == call.id and arguments == call.arguments and _is_object(arguments):
            return None  # sent again
        if call is None or _begins_another(call, key, given, name, arguments):
            call = _Call(key, given)
            self._calls.append(call)
        call.id = call.id or given
        return call

    def _known(self, key: object, given: str) -> _Call | None:
        """The last call with this number, or without one, and with this id if any of them has it."""
        same = [call for call in self._calls if call.key == key] if key is not None else self._calls
        same = same or [call for call in self._calls if call.key is None]
        named = [call for call in same if given and call.id == given]
        return next(reversed(named or same), None)

    def _grown(self, call: _Call) -> str:
        """What can be written of a call by now: nothing while its name, or what its arguments are, is not known."""
        if not call.name or not call.arguments.lstrip().startswith("{"):
            return ""
        held = call.arguments.endswith("<")  # a mark may begin there
        return _head(call) + _until(call, len(call.arguments) - held)

    def _rest(self, call: _Call, *, is_left: bool, cut: bool) -> str:
        self._written.append(call.key)
        value = call.arguments.strip()
        if not value.startswith("{") and not (value and _is_whole(value)):
            call.arguments = json.dumps(value, ensure_ascii=False) if value else "{}"
        text = _head(call) + _until(call, len(call.arguments))
        if cut:
            return text
        body = f'{{"name": {json.dumps(call.name)}, "arguments": {_escaped(call.arguments)}}}'
        return f"{text}}}\n" + ("" if is_left and read_function_call(body).is_whole else CLOSE)


def _begins_another(call: _Call, key: object, given: str, name: str, arguments: str) -> bool:
    """Whether a piece with the number of a call is the next one's: some servers number all alike, or none.

    Others give each piece of a call a new id.
    """
    if arguments.lstrip().startswith("{") and _is_object(call.arguments):
        return True
    is_other = bool(given and name and call.name and call.id not in ("", given))
    return is_other and (key is None or not call.arguments or _is_whole(call.arguments))


def _head(call: _Call) -> str:
    """What stands before the arguments, unless it has been written."""
    if call.begun:
        return ""
    call.begun = True
    name = _escaped(json.dumps(call.name or "python", ensure_ascii=False))
    return f'{OPEN}\n{{"name": {name}, "arguments": '


def _until(call: _Call, end: int) -> str:
    """The arguments up to an offset, from where they have been written; they are never cut behind a `<`."""
    start, call.sent = call.sent, max(call.sent, end)
    before = start
    while before and call.arguments[before - 1] == "\\":
        before -= 1
    return _escaped(call.arguments[before:end])[start - before :]


def _escaped(arguments: str) -> str:
    """The arguments with no mark in them, and as many backslashes before one as stand for the same."""
    return _MARK.sub(lambda found: found[1] + "\\" * (len(found[1]) % 2) + "\\u003c", arguments)


def _is_object(arguments: str) -> bool:
    return arguments.lstrip().startswith("{") and _is_whole(arguments)


def _is_whole(arguments: str) -> bool:
    try:
        json.loads(arguments)
    except (ValueError, RecursionError):
        return False
    return True


def _text_of(arguments: object) -> str:
    """Arguments as JSON, which some servers send as the object itself."""
    return arguments if isinstance(arguments, str) else json.dumps(arguments) if arguments else ""


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
