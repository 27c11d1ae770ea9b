"""The zygote alone: what goes wrong with one session costs the others nothing."""

from __future__ import annotations

import os
import socket
import sys
from collections import deque
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from agent.sandbox.inside.zygote import _MOST_DEAD, Zygote, _Dead
from agent.sandbox.protocol import (
    EndSession,
    SessionEnded,
    SessionFailed,
    StartSession,
    ZygoteMessage,
    decode_message,
    encode_message,
)


class _Controlled:
    """A zygote that has only its socket, and the controller's end of that."""

    def __init__(self, fork: Any) -> None:
        self.controller, mine = socket.socketpair()
        self.controller.settimeout(10)
        self.disk_is_short = False
        self.zygote = object.__new__(Zygote)
        vars(self.zygote).update(
            _control=mine, _text=b"", _descriptors=[], _sessions={}, _slots=[4], _wiping=[], _starts=deque(),
            _layers=SimpleNamespace(fork=fork), _watch=SimpleNamespace(disk_is_short=lambda: self.disk_is_short),
        )  # fmt: skip

    def ask(self, count: int, message: ZygoteMessage) -> ZygoteMessage:
        self.tell(count, message)
        return self.hear()

    def failure(self, count: int, number: int) -> str:
        """Why a session with this number could not be started."""
        answer = self.ask(count, StartSession(number))
        assert isinstance(answer, SessionFailed) and answer.number == number
        return answer.why

    def tell(self, count: int, message: ZygoteMessage) -> None:
        pipes = [os.pipe() for _ in range((count + 1) // 2)]
        ends = [end for pipe in pipes for end in pipe]
        socket.send_fds(self.controller, [encode_message(message)], ends[:count])
        for end in ends:
            os.close(end)
        assert self.zygote._receive()

    def hear(self) -> ZygoteMessage:
        return decode_message(self.controller.recv(1_000))

    def close(self) -> None:
        self.controller.close()
        assert not self.zygote._receive()
        self.zygote._control.close()


@pytest.fixture
def refused() -> Iterator[_Controlled]:
    def fork() -> int:
        raise BlockingIOError(11, "too many processes")

    controlled = _Controlled(fork)
    yield controlled
    controlled.close()


def test_a_failed_fork_leaves_its_place_to_the_next(refused: _Controlled) -> None:
    for number in range(3):
        assert "too many processes" in refused.failure(2, number)
    assert refused.zygote._slots == [4] and not refused.zygote._sessions


def test_descriptors_that_did_not_arrive_and_places_that_are_taken_are_answered(refused: _Controlled) -> None:
    assert "too many files" in refused.failure(0, 1)
    refused.zygote._slots.clear()
    assert "already" in refused.failure(2, 2)
    assert refused.ask(0, EndSession(7)) == SessionEnded(7, 0, "")


def test_a_place_comes_back_when_it_is_empty_and_never_if_it_cannot_be_emptied(refused: _Controlled) -> None:
    def stuck() -> Iterator[None]:
        yield
        raise PermissionError(1, "no")

    zygote = refused.zygote
    zygote._wiping += [_Dead(1, 0, stuck()), _Dead(2, 0, iter([None] * 5))]
    while zygote._wiping:
        zygote._wipe()
    assert zygote._slots == [4, 2]


def test_wiping_that_takes_long_gives_way_to_the_rest(refused: _Controlled) -> None:
    zygote = refused.zygote
    zygote._wiping.append(_Dead(1, 0, iter(lambda: None, 0)))  # which never ends
    zygote._wipe()
    assert zygote._wiping and zygote._pause() == 0
    zygote._wiping.clear()
    assert zygote._pause() == 1


def test_few_files_are_removed_before_many(refused: _Controlled) -> None:
    zygote = refused.zygote
    zygote._wiping += [_Dead(slot, entries, iter([None])) for slot, entries in ((1, 50), (2, 900), (3, 7), (5, 60))]
    while zygote._wiping:
        zygote._wipe()
    assert zygote._slots == [4, 1, 3, 5, 2]  # the first was under way


@pytest.mark.parametrize("short", [False, True])
def test_starts_wait_for_files_of_too_many_dead_sessions_or_of_any_where_the_disk_is_short(
    refused: _Controlled, short: bool
) -> None:
    zygote, refused.disk_is_short = refused.zygote, short
    most = 0 if short else _MOST_DEAD
    zygote._wiping += [_Dead(slot, 0, iter([])) for slot in range(most)]
    assert refused.failure(2, 1)
    zygote._wiping.append(_Dead(most, 0, iter([])))
    open_before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0  # noqa: PTH208
    refused.tell(2, StartSession(2))
    refused.tell(2, StartSession(3))
    assert refused.ask(0, EndSession(2)) == SessionEnded(2, 0, "")
    zygote._wipe()
    zygote._start_waiting()
    heard = refused.hear()
    assert isinstance(heard, SessionFailed) and heard.number == 3 and not zygote._starts
    if open_before:
        assert len(os.listdir("/proc/self/fd")) == open_before  # noqa: PTH208


def test_a_new_session_keeps_nothing_that_others_wait_for(refused: _Controlled) -> None:
    zygote, refused.disk_is_short = refused.zygote, True
    zygote._wiping.append(_Dead(1, 0, iter([])))
    for number in range(3):
        refused.tell(2, StartSession(number))
    refused.tell(1, EndSession(7))
    assert refused.hear() == SessionEnded(7, 0, "")
    held = [*zygote._descriptors, *(end for asked in zygote._starts for end in (asked.control, asked.output))]
    zygote._close_waiting()
    assert len(held) == 7
    for descriptor in held:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
