"""What controller and session say to each other: whole, cut into any pieces, and wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sandbox.inside.frames import TOKEN_SIZE, Awaits, Decoder, Request, pack, receive

TOKENS = st.binary(min_size=TOKEN_SIZE, max_size=TOKEN_SIZE)
REQUESTS = st.builds(Request, TOKENS, st.integers(0, 2**64 - 1), st.binary(max_size=300))


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The data, cut at these places where it has them."""
    places = sorted({cut for cut in cuts if 0 < cut < len(data)})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def stream(parts: list[bytes]) -> Callable[[int], bytes]:
    """What reads the parts one by one, and is at its end behind them."""
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
def test_a_request_comes_through_however_it_is_cut(request: Request, cuts: list[int]) -> None:
    read = stream(pieces(pack(request), cuts))
    assert receive(read) == request
    assert receive(read) is None


@given(REQUESTS, st.integers(0, 400))
def test_a_request_that_is_cut_off_is_none(request: Request, kept: int) -> None:
    whole = pack(request)
    assert receive(stream([whole[: min(kept, len(whole) - 1)]])) is None


@given(TOKENS, st.integers())
def test_any_number_is_a_seed(token: bytes, seed: int) -> None:
    request = receive(stream([pack(Request(token, seed, b"1"))]))
    assert request is not None and request.seed == seed % 2**64


@given(REQUESTS, st.binary(min_size=1, max_size=40))
def test_what_follows_a_request_unasked_is_refused(request: Request, more: bytes) -> None:
    with pytest.raises(ValueError, match="follow a request"):
        receive(stream([pack(request) + more]))


@given(st.lists(st.tuples(TOKENS, st.integers(0, 255), CUTS), max_size=5))
def test_a_session_that_keeps_to_the_rules_is_understood(cells: list[tuple[bytes, int, list[int]]]) -> None:
    decoder = Decoder()
    for token, status, cuts in cells:
        decoder.expect(token)
        assert not decoder.begun and decoder.status is None
        for part in pieces(token + bytes([status]), cuts):
            assert decoder.status is None
            decoder.feed(part)
        assert decoder.begun and decoder.status == status
    assert decoder.awaits is Awaits.NOTHING


@given(st.lists(st.tuples(TOKENS, st.binary(max_size=40), CUTS), max_size=5))
def test_whatever_a_session_says_a_cell_ends_only_by_its_token_and_one_byte(
    cells: list[tuple[bytes, bytes, list[int]]],
) -> None:
    decoder = Decoder()
    for token, said, cuts in cells:
        if decoder.awaits is not Awaits.NOTHING:
            with pytest.raises(ValueError, match="no request may be sent"):
                decoder.expect(token)
            return
        decoder.expect(token)
        for part in pieces(said, cuts):
            decoder.feed(part)
        answered = len(said) == TOKEN_SIZE + 1 and said.startswith(token)
        assert (decoder.status is not None) == answered
        assert decoder.broken == (not token.startswith(said) and not (said.startswith(token) and len(said) <= 17))


@given(TOKENS, st.integers(0, 255), st.binary(min_size=1, max_size=40), st.booleans())
def test_words_behind_the_end_are_a_breach_for_good(token: bytes, status: int, more: bytes, together: bool) -> None:
    decoder = Decoder()
    decoder.expect(token)
    for part in [token + bytes([status]) + more] if together else [token, bytes([status]), more]:
        decoder.feed(part)
    assert decoder.broken and decoder.status is None
    decoder.feed(token + b"\0")
    assert decoder.broken and decoder.status is None


@given(TOKENS, TOKENS)
def test_the_end_of_a_cell_cannot_be_told_for_the_next(first: bytes, second: bytes) -> None:
    decoder = Decoder()
    decoder.expect(first)
    decoder.feed(first + b"\0")
    if first != second:
        decoder.expect(second)
        decoder.feed(first + b"\0")
        assert decoder.broken and not decoder.begun
