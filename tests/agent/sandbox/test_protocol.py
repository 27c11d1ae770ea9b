"""What controller, zygote and session say to each other: whole, cut into any pieces, and wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sandbox.protocol import (
    TOKEN_SIZE,
    Awaits,
    CellRequest,
    EndSession,
    SessionDecoder,
    SessionEnded,
    SessionFailed,
    SessionStarted,
    StartSession,
    ZygoteMessage,
    ZygoteReady,
    ZygoteRefused,
    ZygoteSettings,
    decode_message,
    encode_cell,
    encode_end,
    encode_message,
    read_cell,
)

ROOT = Path(__file__).parents[3]
TOKENS = st.binary(min_size=TOKEN_SIZE, max_size=TOKEN_SIZE)
REQUESTS = st.builds(CellRequest, TOKENS, st.integers(0, 2**64 - 1), st.binary(max_size=300))

NUMBERS = st.integers(-(2**63), 2**63)
MESSAGES: st.SearchStrategy[ZygoteMessage] = st.one_of(
    st.builds(StartSession, NUMBERS),
    st.builds(EndSession, NUMBERS),
    st.builds(ZygoteReady, st.dictionaries(st.text(), st.text()), st.lists(st.text())),
    st.builds(ZygoteRefused, st.text()),
    st.builds(SessionStarted, NUMBERS, NUMBERS),
    st.builds(SessionFailed, NUMBERS, st.text()),
    st.builds(SessionEnded, NUMBERS, NUMBERS, st.text()),
)


@given(MESSAGES)
def test_a_message_of_the_zygote_is_one_line_that_gives_it_back(message: ZygoteMessage) -> None:
    line = encode_message(message)
    assert line.index(b"\n") == len(line) - 1
    assert decode_message(line) == decode_message(line[:-1]) == message


@given(MESSAGES, st.data())
def test_a_message_of_the_zygote_that_is_torn_or_has_other_fields_is_refused(
    message: ZygoteMessage, data: st.DataObject
) -> None:
    line = encode_message(message)
    fields = json.loads(line)
    less = {**fields}
    del less[data.draw(st.sampled_from(sorted(fields)))]
    for wrong in (less, {**fields, "more": 1}, {**fields, "kind": "unknown"}, list(fields), 7):
        with pytest.raises(ValueError, match="no message"):
            decode_message(json.dumps(wrong).encode())
    with pytest.raises(ValueError, match=r"."):
        decode_message(line[: data.draw(st.integers(0, len(line) - 2))])


@pytest.mark.process
def test_the_protocol_needs_the_standard_library_alone() -> None:
    program = (
        "import sys; import agent.sandbox.protocol; print(*sorted(n for n in sys.modules if n.startswith('agent')))"
    )
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(ROOT)!r}); {program}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["agent", "agent.sandbox", "agent.sandbox.protocol"]


def test_settings_survive_the_way_to_the_zygote() -> None:
    settings = ZygoteSettings("/base", 3, 1, 2, 3, 4, 5, 6, 7, ("ipc", "uid"))
    assert ZygoteSettings.from_json(settings.to_json()) == settings


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The data, cut at these places where it has them."""
    places = sorted({cut for cut in cuts if 0 < cut < len(data)})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def stream(parts: list[bytes]) -> Callable[[int], bytes]:
    """What reads the parts one by one, and is at its end after them."""
    left = [part for part in parts if part]

    def read(size: int) -> bytes:
        if not left:
            return b""
        part, left[0] = left[0][:size], left[0][size:]
        if not left[0]:
            left.pop(0)
        return part

    return read


CUTS = st.lists(st.integers(1, 400), max_size=8)


@given(REQUESTS, CUTS)
def test_a_request_comes_through_however_it_is_cut(request: CellRequest, cuts: list[int]) -> None:
    read = stream(pieces(encode_cell(request), cuts))
    assert read_cell(read) == request
    assert read_cell(read) is None


@given(REQUESTS, st.integers(0, 400))
def test_a_truncated_request_is_not_a_request(request: CellRequest, kept: int) -> None:
    whole = encode_cell(request)
    assert read_cell(stream([whole[: min(kept, len(whole) - 1)]])) is None


@given(TOKENS, st.integers())
def test_any_number_is_a_seed(token: bytes, seed: int) -> None:
    request = read_cell(stream([encode_cell(CellRequest(token, seed, b"1"))]))
    assert request is not None and request.seed == seed % 2**64


@given(REQUESTS, st.binary(min_size=1, max_size=40))
def test_what_follows_a_request_unasked_is_refused(request: CellRequest, more: bytes) -> None:
    with pytest.raises(ValueError, match="follow a request"):
        read_cell(stream([encode_cell(request) + more]))


@given(st.lists(st.tuples(TOKENS, st.binary(max_size=40), st.binary(max_size=40), st.integers(0, 255), CUTS)))
def test_a_session_that_keeps_to_the_rules_is_understood(
    cells: list[tuple[bytes, bytes, bytes, int, list[int]]],
) -> None:
    decoder = SessionDecoder()
    for token, before, output, status, cuts in cells:
        whole = before + token + output
        assert decoder.printed(before) == b""
        decoder.expect(token)
        assert not decoder.begun and decoder.status is None
        assert b"".join(decoder.printed(part) for part in pieces(whole, cuts)) == whole.partition(token)[2]
        assert decoder.begun and decoder.status is None
        for part in (b"", *pieces(encode_end(token, status), cuts)):
            assert decoder.status is None
            decoder.feed(part)
        assert decoder.begun and decoder.status == status
    assert decoder.awaits is Awaits.NOTHING


TALES = st.lists(st.tuples(st.booleans(), st.integers(0, 16), st.binary(max_size=3)), max_size=5)
CELLS = st.tuples(TOKENS, TALES).map(
    lambda cell: (cell[0], [(prints, cell[0][:kept] + more) for prints, kept, more in cell[1]])
)


@given(st.lists(CELLS, max_size=5))
def test_whatever_a_session_says_a_cell_ends_only_by_its_token_said_twice_and_one_byte(
    cells: list[tuple[bytes, list[tuple[bool, bytes]]]],
) -> None:
    decoder = SessionDecoder()
    for token, words in cells:
        decoder.expect(token)
        said = output = b""
        for prints, word in words:
            if prints and not said:
                output += word
                decoder.printed(word)
            elif not prints:
                said += word
                decoder.feed(word)
        assert decoder.begun == (token in output)
        fits = token in output and (token.startswith(said) or (said.startswith(token) and len(said) == TOKEN_SIZE + 1))
        assert (decoder.status is not None) == (fits and len(said) == TOKEN_SIZE + 1)
        assert decoder.broken == (bool(said) and not fits)
        if decoder.awaits is not Awaits.NOTHING:
            with pytest.raises(ValueError, match="no request may be sent"):
                decoder.expect(token)
            return


@given(TOKENS, st.integers(0, 255), st.binary(min_size=1, max_size=40), st.booleans())
def test_bytes_after_the_end_break_the_protocol_for_good(
    token: bytes, status: int, more: bytes, together: bool
) -> None:
    decoder = SessionDecoder()
    decoder.expect(token)
    decoder.printed(token)
    end = encode_end(token, status)
    for part in [end + more] if together else [end, more]:
        decoder.feed(part)
    assert decoder.broken and decoder.status is None
    assert decoder.printed(token + b"late") == b""
    decoder.feed(end)
    assert decoder.broken and decoder.status is None


@given(TOKENS, TOKENS, st.binary(max_size=40))
def test_the_end_of_a_cell_does_not_count_for_the_next(first: bytes, second: bytes, late: bytes) -> None:
    decoder = SessionDecoder()
    decoder.expect(first)
    decoder.printed(first)
    decoder.feed(encode_end(first, 0))
    if second not in first + late:
        decoder.expect(second)
        assert decoder.printed(first + late) == b""
        decoder.feed(encode_end(first, 0))
        assert decoder.broken and not decoder.begun


@given(TOKENS, TOKENS)
def test_a_late_end_does_not_count_for_the_next_cell_even_if_that_has_begun(first: bytes, second: bytes) -> None:
    decoder = SessionDecoder()
    for token in (first, second):
        decoder.expect(token)
        decoder.printed(token)
        decoder.feed(encode_end(first, 0))
    assert decoder.broken == (first != second)
