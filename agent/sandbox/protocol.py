"""Every message between controller, zygote and session; only the standard library, as all three import it.

Controller and zygote exchange JSON objects, one a line, on a socket. The zygote's first line is `ZygoteReady` or
`ZygoteRefused`. A `StartSession` comes with two descriptors, the session's socket and its output pipe, and is answered
by `SessionStarted` or `SessionFailed`; an `EndSession` is answered by `SessionEnded` when nothing of the session is
left but its files, which are removed after that.

Controller and session exchange bytes. A session that can take cells sends READY. A `CellRequest` is a token that nobody
can know beforehand, a seed, a length, and the source of one cell. The session prints the token before it runs any of
the cell: what stands in its output before the token is not the cell's. At the cell's end it answers on the socket with
the token and one byte of status. A token is drawn after the end of the cell before, so what that cell left behind
cannot answer for the next one. (That a cell has begun is said in the output since that need not be looked at until the
cell has ended: looking sooner would hold up the cell.)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import Enum, auto
from struct import Struct
from typing import NamedTuple

OK, ERROR, OUT_OF_MEMORY, BROKEN, NOT_RUN = range(5)
"""The status of a cell: it ended well or with an error; the session ran out of memory or is unfit for another cell;
or not a line of the cell has run."""

READY = b"ready"
CUT_OFF = 119  # exit status of a session whose socket a cell has closed or replaced
TOKEN_SIZE = 16
_HEADER = Struct(f">{TOKEN_SIZE}sQI")  # the token, the seed, the length of the source
_HEADER_SIZE = _HEADER.size
_CHUNK = 1 << 12
_SEEDS = 1 << 64
_KIND = "kind"  # the key that names a message of the zygote's protocol


@dataclass(frozen=True, slots=True)
class ZygoteSettings:
    """What the zygote gets on its command line. Sizes are in bytes.

    `base` is an empty directory for the zygote, `control` the descriptor of its socket, `without` names layers to leave
    out. `memory`, `scratch`, `file`, `entries`, `open_files` and `threads` limit one session (`memory` counts what it
    has beyond the zygote's own), `total_memory` all of them together.
    """

    base: str
    control: int
    memory: int
    total_memory: int
    scratch: int
    file: int
    entries: int
    open_files: int
    threads: int
    without: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The text from which `from_json` makes an equal record."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ZygoteSettings:
        """The record that a text encodes."""
        fields = json.loads(text)
        return cls(**{**fields, "without": tuple(fields["without"])})


@dataclass(frozen=True, slots=True)
class StartSession:
    """Fork a session; its `number` is never used twice."""

    number: int


@dataclass(frozen=True, slots=True)
class EndSession:
    """Kill a session, or forget one that was never started."""

    number: int


@dataclass(frozen=True, slots=True)
class ZygoteReady:
    """The zygote can fork: the layers that this system lacks, with the reasons, and the libraries that it lacks."""

    missing: dict[str, str]
    libraries: list[str]


@dataclass(frozen=True, slots=True)
class ZygoteRefused:
    """The zygote does not start, because a layer that must not be missing is."""

    why: str


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """A session runs as process `pid`."""

    number: int
    pid: int


@dataclass(frozen=True, slots=True)
class SessionFailed:
    """A session could not be started."""

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session has ended with this wait status; `why` is the watch's reason if that killed it."""

    number: int
    status: int
    why: str


ZygoteMessage = StartSession | EndSession | ZygoteReady | ZygoteRefused | SessionStarted | SessionFailed | SessionEnded
_MESSAGES: dict[str, type[ZygoteMessage]] = {
    "start": StartSession,
    "end": EndSession,
    "ready": ZygoteReady,
    "refused": ZygoteRefused,
    "started": SessionStarted,
    "failed": SessionFailed,
    "ended": SessionEnded,
}
_KINDS = {message: kind for kind, message in _MESSAGES.items()}


def encode_message(message: ZygoteMessage) -> bytes:
    """The message as a line, with its line end."""
    return json.dumps({_KIND: _KINDS[type(message)], **asdict(message)}).encode() + b"\n"


def decode_message(line: bytes) -> ZygoteMessage:
    """The message in a line. Raises ValueError for anything else."""
    values = json.loads(line)
    try:
        return _MESSAGES[values.pop(_KIND)](**values)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no message of the zygote's protocol: {line[:100]!r}") from error


class CellRequest(NamedTuple):
    """One cell to run: the token that says that it has begun, the session's seed, the source."""

    token: bytes
    seed: int
    source: bytes


def encode_cell(request: CellRequest) -> bytes:
    """The bytes of a request. The seed is taken modulo 2**64."""
    token, seed, source = request
    return _HEADER.pack(token, seed % _SEEDS, len(source)) + source


def read_cell(read: Callable[[int], bytes]) -> CellRequest | None:
    """The next request from a stream of which `read` gives at most so many bytes; None at the stream's end.

    Nothing may follow the request in the stream before it is answered. Raises ValueError if something does.
    """
    data = read(_CHUNK)
    while data and len(data) < _HEADER_SIZE:
        data = data + part if (part := read(_CHUNK)) else b""
    if not data:
        return None
    token, seed, length = _HEADER.unpack_from(data)
    source = data[_HEADER_SIZE:]
    if len(source) < length:
        parts = bytearray(source)
        while len(parts) < length:
            part = read(max(_CHUNK, length - len(parts)))
            if not part:
                return None
            parts += part
        source = bytes(parts)
    if len(source) > length:
        raise ValueError(f"{len(source) - length} bytes follow a request")
    return tuple.__new__(CellRequest, (token, seed, source))


def encode_end(token: bytes, status: int) -> bytes:
    """The bytes that end the cell of this token."""
    return token + bytes([status])


class Awaits(Enum):
    """What a session may say next: nothing, that it has begun, how the cell ended, or nothing ever again."""

    NOTHING = auto()
    BEGINNING = auto()
    END = auto()
    BROKEN = auto()


class SessionDecoder:
    """Decodes what one session says, for the controller. Whatever does not fit what is awaited is a breach, for good.

    Before each call of `feed`, all that the session had printed until then has to be given to `printed`.
    """

    def __init__(self) -> None:
        self.awaits = Awaits.NOTHING
        self.begun = False  # whether the session has said so of the last request
        self.status: int | None = None  # how the last request ended, once it has
        self._token = b""
        self._start = b""  # the end of what was printed, which may be the start of the token
        self._answer = b""  # the part of the answer that has come

    @property
    def broken(self) -> bool:
        """Whether the session has broken the protocol."""
        return self.awaits is Awaits.BROKEN

    def expect(self, token: bytes) -> None:
        """Expect a request with this token to begin. Raises ValueError if one is under way or after a breach."""
        if self.awaits is not Awaits.NOTHING:
            raise ValueError(f"no request may be sent while the session's next word is {self.awaits.name}")
        self.awaits, self.begun, self.status = Awaits.BEGINNING, False, None
        self._token, self._start, self._answer = token, b"", b""

    def printed(self, data: bytes) -> bytes:
        """Take the next bytes of the output; return those that the current cell has printed."""
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
