"""What is not looked at again after a cell: dictionaries and streams that have not changed, and only those."""

from __future__ import annotations

import codecs
import contextlib
import gc
import io
import os
import sys
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sandbox.inside.session.snapshot import Changes, snapshot
from agent.sandbox.inside.session.streams import _Stream

HAS_VERSIONS = sys.version_info < (3, 14)
VALUES = [object(), None, 1, 2.5, "text"]
keys, values = st.sampled_from("abcdefgh"), st.sampled_from(VALUES)

Change = Callable[[dict[str, Any]], object]
changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(lambda key, value: lambda names: names.__setitem__(key, value), keys, values),
    st.builds(lambda key, value: lambda names: names.setdefault(key, value), keys, values),
    st.builds(lambda key: lambda names: names.pop(key, None), keys),
    st.builds(lambda more: lambda names: names.update(more), st.dictionaries(keys, values)),
    st.builds(
        lambda key, value: lambda names: exec(f"global {key}\n{key} = value", names, {"value": value}), keys, values
    ),
    st.builds(lambda key: lambda names: exec(f"def f():\n global {key}\n {key} = f\nf()", names), keys),
    st.sampled_from([dict.clear, dict.copy, lambda names: names.popitem() if names else None, list]),
)


def held(names: dict[str, Any]) -> list[tuple[str, int]]:
    return [(key, id(value)) for key, value in names.items()]


@given(st.lists(st.lists(changes, max_size=4), max_size=8), st.integers(0, 2))
def test_no_change_of_a_dictionary_is_missed(rounds: list[list[Change]], which: int) -> None:
    watched: list[dict[str, Any]] = [{"a": 1}, vars(types.ModuleType("m")), {}]
    noticed = Changes(watched)
    noticed.may_have_happened()
    for each in rounds:
        before = held(watched[which])
        for change in each:
            change(watched[which])
        if held(watched[which]) != before:
            assert noticed.may_have_happened()


@pytest.mark.skipif(not HAS_VERSIONS, reason="dictionaries have no versions from Python 3.14 on")
def test_reading_a_dictionary_and_setting_what_it_holds_are_no_changes() -> None:
    names: dict[str, Any] = {"a": 1, "b": VALUES[0]}
    noticed = Changes([names])
    assert noticed.may_have_happened()
    names["b"] = VALUES[0]
    assert names["a"] == 1 and list(names) == ["a", "b"]
    assert not noticed.may_have_happened()


def test_where_a_dictionary_was_not_found_each_may_have_changed() -> None:
    noticed = Changes([{}, None])
    assert noticed.may_have_happened() and noticed.may_have_happened()


def test_the_handlers_of_codec_errors_are_found() -> None:
    gc.unfreeze()  # what the suite has left to no collector would not be found
    name, handlers = "of-this-test", snapshot().watched()[-1]
    gc.freeze()
    codecs.register_error(name, codecs.strict_errors)
    assert handlers is not None and handlers.pop(name) is codecs.strict_errors


@pytest.fixture
def piped() -> Iterator[tuple[_Stream, int]]:
    """A sound stream of output into a pipe, and the other end of that."""
    read, write = os.pipe()
    made = _Stream(write)
    assert made.is_sound()
    yield made, read
    for close in (made.raw.close, lambda: os.close(write), lambda: os.close(read)):  # a test may have closed some
        with contextlib.suppress(OSError):
            close()


def watched(stream: _Stream) -> Changes:
    """What tells whether a sound stream has changed since."""
    changes = Changes(stream.names, stream.memory)
    assert changes.may_have_happened()
    return changes


@pytest.fixture
def stream(piped: tuple[_Stream, int]) -> _Stream:
    """A sound stream of output."""
    return piped[0]


@pytest.mark.parametrize(
    "use",
    [
        lambda stream: stream.text.write("one\ntwo\n"),
        lambda stream: (stream.text.write("without an end"), stream.text.flush()),
        lambda stream: stream.text.buffer.write(b"bytes"),
        lambda stream: weakref.ref(stream.text),
        lambda stream: (stream.text.line_buffering, stream.text.encoding, stream.text.isatty(), stream.text.fileno()),
    ],
)
def test_a_stream_that_was_used_is_sound(stream: _Stream, use: Callable[[_Stream], object]) -> None:
    use(stream)
    assert stream.is_sound()


@pytest.mark.skipif(not HAS_VERSIONS, reason="dictionaries have no versions from Python 3.14 on")
def test_a_stream_that_was_written_to_has_not_changed(stream: _Stream) -> None:
    changes = watched(stream)
    stream.text.write("one\n")
    stream.text.buffer.write(b"bytes")
    stream.text.flush()
    assert not changes.may_have_happened()


def test_line_ends_that_a_cell_had_translated_are_no_longer(piped: tuple[_Stream, int]) -> None:
    stream, read = piped
    for _ in range(2):
        stream.text.reconfigure(newline="\r\n")
        assert stream.is_sound()
        stream.text.write("1\n")
        stream.text.flush()
    assert os.read(read, 100) == b"1\n1\n"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda stream: stream.text.reconfigure(encoding="utf-16"),
        lambda stream: stream.text.reconfigure(errors="strict"),
        lambda stream: stream.text.reconfigure(line_buffering=False),
        lambda stream: setattr(stream.text, "write", len),
        lambda stream: setattr(stream.text.buffer, "write", len),
        lambda stream: setattr(stream.text.buffer.raw, "write", len),
        lambda stream: stream.text.detach(),
        lambda stream: stream.text.buffer.detach(),
        lambda stream: stream.text.close(),
        lambda stream: stream.text.buffer.raw.close(),
        lambda stream: stream.text.buffer.raw.__init__(0, "r", closefd=False),
        lambda stream: stream.text.buffer.raw.__init__(stream.text.fileno(), "w", closefd=True),
        lambda stream: stream.text.buffer.__init__(io.BytesIO()),
        lambda stream: stream.text.__init__(io.BytesIO(), "utf-8", "backslashreplace", line_buffering=True),
    ],
)
def test_a_stream_that_does_something_else_is_looked_at_and_not_sound(
    stream: _Stream, spoil: Callable[[_Stream], object]
) -> None:
    changes = watched(stream)
    spoil(stream)
    assert changes.may_have_happened()
    assert not stream.is_sound()
