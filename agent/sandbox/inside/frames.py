"""The layout of what controller and session say to each other, and who may say what when. No input or output here.

A request is a token that nobody can know beforehand, a seed, a length, and the source of one cell. The session prints
the token before it runs any of the cell: what stands in its output before the token is not the cell's. At the cell's
end it answers on the socket with the token and one byte of status. A token is drawn after the end of the cell before,
so what that cell left behind cannot answer for the next one. (That a cell has begun is said in the output since that
need not be looked at until the cell has ended: looking sooner would hold up the cell.)
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

TOKEN_SIZE = 16
_SEED_SIZE, _LENGTH_SIZE = 8, 4
_HEADER_SIZE = TOKEN_SIZE + _SEED_SIZE + _LENGTH_SIZE
_CHUNK = 1 << 12
_SEEDS = 1 << 8 * _SEED_SIZE


class Request(NamedTuple):
    """One cell to run: the token that says that it has begun, the session's seed, the source."""

    token: bytes
    seed: int
    source: bytes


def pack(request: Request) -> bytes:
    """The bytes of a request. The seed is taken modulo 2**64."""
    token, seed, source = request
    number = (seed % _SEEDS).to_bytes(_SEED_SIZE, "big")
    return b"".join((token, number, len(source).to_bytes(_LENGTH_SIZE, "big"), source))


def receive(read: Callable[[int], bytes]) -> Request | None:
    """The next request from a stream of which `read` gives at most so many bytes; None at the stream's end.

    Nothing may follow the request in the stream before it is answered. Raises ValueError if something does.
    """
    data, size = bytearray(), _HEADER_SIZE
    while len(data) < size:
        part = read(max(_CHUNK, size - len(data)))
        if not part:
            return None
        data += part
        if len(data) >= _HEADER_SIZE:
            size = _HEADER_SIZE + int.from_bytes(data[TOKEN_SIZE + _SEED_SIZE : _HEADER_SIZE], "big")
    if len(data) > size:
        raise ValueError(f"{len(data) - size} bytes follow a request")
    seed = int.from_bytes(data[TOKEN_SIZE : TOKEN_SIZE + _SEED_SIZE], "big")
    return Request(bytes(data[:TOKEN_SIZE]), seed, bytes(data[_HEADER_SIZE:]))


def answer(token: bytes, status: int) -> bytes:
    """The bytes that end the cell of this token."""
    return token + bytes([status])


class Awaits(Enum):
    """What a session may say next: nothing, that it has begun, how the cell ended, or nothing ever again."""

    NOTHING = auto()
    BEGINNING = auto()
    END = auto()
    BROKEN = auto()


class Decoder:
    """The controller's reading of one session. Whatever does not fit what is awaited is a breach, for good.

    Before each call of `feed`, all that the session had printed until then has to be given to `printed`.
    """

    def __init__(self) -> None:
        self.awaits = Awaits.NOTHING
        self.begun = False  # whether the session has said so of the last request
        self.status: int | None = None  # how the last request ended, once it has
        self._token = b""
        self._start = b""  # the end of what was printed, which may be the start of the token
        self._answer = b""  # what of the answer has come

    @property
    def broken(self) -> bool:
        """Whether the session has said what it may not."""
        return self.awaits is Awaits.BROKEN

    def expect(self, token: bytes) -> None:
        """A request with this token is sent. Raises ValueError if one is under way or the session has broken off."""
        if self.awaits is not Awaits.NOTHING:
            raise ValueError(f"no request may be sent while the session's next word is {self.awaits.name}")
        self.awaits, self.begun, self.status = Awaits.BEGINNING, False, None
        self._token, self._start, self._answer = token, b"", b""

    def printed(self, data: bytes) -> bytes:
        """Take the next bytes of the output; those of them that the cell under way has printed."""
        if self.awaits is Awaits.END:
            return data
        if self.awaits is not Awaits.BEGINNING:
            return b""
        _, token, rest = (self._start + data).partition(self._token)
        if not token:
            self._start = (self._start + data)[1 - TOKEN_SIZE :]
            return b""
        self.awaits, self.begun = Awaits.END, True
        return rest

    def feed(self, data: bytes) -> None:
        """Take the next bytes that the session sent on the socket."""
        if not data:
            return
        self._answer += data
        token, status = self._answer[:TOKEN_SIZE], self._answer[TOKEN_SIZE:]
        if self.awaits is not Awaits.END or not self._token.startswith(token) or len(status) > 1:
            self.awaits, self.status = Awaits.BROKEN, None
        elif status:
            self.awaits, self.status = Awaits.NOTHING, status[0]
