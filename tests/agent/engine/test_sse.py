"""Server-sent events in every spelling, and whatever is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine import sse
from agent.engine.sse import EventParser, StreamEvent


def parsed(*pieces: bytes) -> list[StreamEvent | None]:
    parser = EventParser()
    events = [event for piece in pieces for event in parser.feed(piece)]
    return events + list(parser.end())


A: dict[str, Any] = {"choices": [{"text": "é"}]}
RAW = json.dumps(A, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"data: %s\n\ndata: [DONE]\n\n",
        b"data:%s\n\ndata:[DONE]\n\n",
        b"data: %s\r\n\r\ndata: [DONE]\r\n\r\n",
        b"data: %s\r\rdata: [DONE]\r\r",
        b"\xef\xbb\xbfdata: %s\n\ndata: [DONE]\n\n",
        b"data: %s\ndata: [DONE]\n",
        b"data: %s\n\ndata: [DONE]",
        b'data: %s\n\ndata: "[done]" \n\n',
        b": ping\n\ndata: : PROCESSING\n\ndata:\n\ndata: %s\n\n: ping\n\ndata: ping\n\ndata: null\n\ndata: [DONE]\n\n",
        b"event: completion\nid: 7\nretry: 100\ndata: %s\n\nid\n\nevent: done\ndata: [DONE]\n\n",
        b"data: <not yet>\n\ndata: [1]\n\ndata: %s\n\ndata: [DONE]\n\n",
        b"\n\n\r\n%s\n",
        b"%s",
        b"  %s\r\n",
    ],
)
def test_every_spelling_of_a_stream_is_read(body: bytes) -> None:
    assert parsed(body % RAW) == [A, None]


def test_an_event_may_be_spread_over_lines() -> None:
    lines = json.dumps(A, indent=1).splitlines()
    assert parsed("".join(f"data: {line}\n" for line in lines).encode() + b"\ndata: [DONE]\n\n") == [A, None]
    assert parsed("\n".join(lines).encode()) == [A, None]


def test_objects_one_a_line_are_a_stream_without_a_mark_of_its_end() -> None:
    assert parsed(RAW + b"\n" + RAW + b"\n") == [A, A]


@pytest.mark.parametrize("body", [b"error: %s\n\n", b"event: error\ndata: %s\n\n", b"event: error\r\ndata: %s"])
def test_an_error_by_name_is_one(body: bytes) -> None:
    assert parsed(body % b'{"message": "no"}') == [{"error": {"message": "no"}}]
    assert parsed(body % b"out of luck") == [{"error": "out of luck"}]
    assert parsed(body % b'{"error": "no"}') in ([{"error": "no"}], [{"error": {"error": "no"}}])


@pytest.mark.parametrize(
    "data",
    [
        b"{garbage",
        b'{"a": ',
        b"\xff\xfe{{{",
        b'so on"}]}',
        b"[1, 2",
        b'"half a',
        b"[PING",
        b"[a, b]",
        b'{"a":' * 100_000 + b"1",
    ],
)
def test_garbage_after_an_event_breaks_the_stream(data: bytes) -> None:
    parser = EventParser()
    assert list(parser.feed(b"data: " + RAW + b"\n\n")) == [A]
    with pytest.raises(ValueError, match=r"unexpected event|too deep"):
        list(parser.feed(b"data: " + data + b"\n\n"))


@pytest.mark.parametrize(
    "data",
    [b"[]", b'"ping"', b'["ping"]', b"[1, 2]", b"7", b"-1.5", b"true", b"null", b'""', b"[{}]", b" [ ] ", b"[PING]",
     b"[ping]", b"[KEEP-ALIVE]", b"[HEARTBEAT]", b"[keep alive]", b"[\ndata: 1\ndata: ]"],
)  # fmt: skip
def test_a_value_that_is_no_object_is_a_keep_alive(data: bytes) -> None:
    ping = b"data: " + data + b"\n\n"
    event = b"data: " + RAW + b"\n\n"
    assert parsed(ping + event + ping + b"event: ping\n" + ping + event + b"data: [DONE]\n\n") == [A, A, None]


def test_a_truncated_event_is_an_error() -> None:
    with pytest.raises(ValueError, match="unexpected event"):
        parsed(b"data: " + RAW[:-4])
    with pytest.raises(ValueError, match="unexpected event"):
        parsed(RAW[:-4])


def test_numbers_of_any_length_are_numbers() -> None:
    assert parsed(b'data: {"n": %s}\n\n' % (b"9" * 10_000)) == [{"n": float("inf")}]
    assert parsed(b'data: {"n": 1e999, "m": NaN}\n\n')


@pytest.mark.parametrize("line", [b"data: {", b": ", b"<html>"])
def test_what_has_no_end_is_not_kept_without_bound(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "_MAX_EVENT_BYTES", 1_000)
    parser = EventParser()
    list(parser.feed(line))
    with pytest.raises(ValueError, match="longer"):
        for _ in range(100):
            list(parser.feed(b"x" * 100))


def test_lines_of_one_event_are_not_kept_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "_MAX_EVENT_BYTES", 1_000)
    parser = EventParser()
    with pytest.raises(ValueError, match="larger"):
        for _ in range(100):
            list(parser.feed(b"data: {" + b"x" * 100 + b"\n"))


def test_a_line_longer_than_any_buffer_is_read() -> None:
    long = {"choices": [{"text": "x" * (5 << 20)}]}
    raw = b"data: " + json.dumps(long).encode() + b"\n\n"
    assert parsed(*(raw[n : n + 65_536] for n in range(0, len(raw), 65_536))) == [long]


def test_a_page_that_is_no_stream_is_remembered_for_the_message() -> None:
    parser = EventParser()
    assert not list(parser.feed(b"<html>\n<body>Bad Gateway</body>\n")) and not list(parser.end())
    assert "Bad Gateway" in parser.stray


@given(st.lists(st.sampled_from(["é", "a b", "\n", "{", ": x", "[DONE]", "data: "]), min_size=1), st.data())
def test_it_does_not_matter_where_a_body_is_cut(words: list[str], data: st.DataObject) -> None:
    sent = [{"choices": [{"text": word}]} for word in words]
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    body = "".join(f"data: {json.dumps(event, ensure_ascii=False)}{end}{end}" for event in sent).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert parsed(*pieces) == sent


@given(st.binary(max_size=200))
def test_any_bytes_are_events_or_a_value_error(body: bytes) -> None:
    try:
        events = parsed(body)
    except ValueError:
        return
    assert all(event is None or isinstance(event, dict) for event in events)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18) + 1, 10**18 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), VALUES, max_size=3), st.booleans(), st.booleans())
def test_the_usual_line_is_read_as_one_of_any_other_spelling(more: dict[str, Any], plain: bool, named: bool) -> None:
    event = {"choices": [{"text": "é"}], **more}
    raw = json.dumps(event, ensure_ascii=not plain).encode("utf-8", "replace")
    name = b"event: completion\n" if named else b""
    usual = parsed(b": begun\n\n" + name + b"data: " + raw + b"\n\ndata: [DONE]\n\n")
    assert usual == parsed(b": begun\r\n\r\ndata: " + raw + b"\r\n\r\ndata: [DONE]\r\n\r\n")


@given(st.text("0123456789.eE+-", min_size=1, max_size=24))
def test_numbers_of_any_spelling_are_read_alike(digits: str) -> None:
    def read(end: bytes) -> object:
        try:
            return parsed(b": begun\n\ndata: " + b'{"choices": [], "n": %s}' % digits.encode() + end)
        except ValueError:
            return "refused"

    usual, other = read(b"\n\n"), read(b"\r\n\r\n")
    if len(digits) <= 18 or not digits.lstrip("-").isdecimal():
        assert usual == other
