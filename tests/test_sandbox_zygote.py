"""The zygote alone: what goes wrong with one session costs the others nothing."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from agent.sandbox.inside.zygote import Zygote


class _Talk:
    """A zygote that has only its socket, and the controller's end of that."""

    def __init__(self, fork: Any) -> None:
        self.controller, mine = socket.socketpair()
        self.zygote = object.__new__(Zygote)
        vars(self.zygote).update(
            _control=mine, _text=b"", _descriptors=[], _sessions={}, _slots=[4], _wiping=[],
            _layers=SimpleNamespace(fork=fork),
        )  # fmt: skip

    def ask(self, count: int, **message: int) -> dict[str, Any]:
        pipes = [os.pipe() for _ in range((count + 1) // 2)]
        ends = [end for pipe in pipes for end in pipe]
        socket.send_fds(self.controller, [json.dumps(message).encode() + b"\n"], ends[:count])
        for end in ends:
            os.close(end)
        assert self.zygote._receive()
        answer: dict[str, Any] = json.loads(self.controller.recv(1_000))
        return answer

    def close(self) -> None:
        self.controller.close()
        assert not self.zygote._receive()
        self.zygote._control.close()


@pytest.fixture
def refused() -> Iterator[_Talk]:
    def fork() -> int:
        raise BlockingIOError(11, "too many processes")

    talk = _Talk(fork)
    yield talk
    talk.close()


def test_a_failed_fork_leaves_its_place_to_the_next(refused: _Talk) -> None:
    for number in range(3):
        answer = refused.ask(2, start=number)
        assert answer["failed"] == number and "too many processes" in answer["why"]
    assert refused.zygote._slots == [4] and not refused.zygote._sessions


def test_descriptors_that_did_not_arrive_and_places_that_are_taken_are_answered(refused: _Talk) -> None:
    assert "too many files" in refused.ask(0, start=1)["why"]
    refused.zygote._slots.clear()
    answer = refused.ask(2, start=2)
    assert answer["failed"] == 2 and "already" in answer["why"]
    assert refused.ask(0, end=7) == {"ended": 7, "status": 0, "why": ""}


def test_a_place_comes_back_when_it_is_empty_and_never_if_it_cannot_be_emptied(refused: _Talk) -> None:
    def stuck() -> Iterator[None]:
        yield
        raise PermissionError(1, "no")

    zygote = refused.zygote
    zygote._wiping += [(1, stuck()), (2, iter([None] * 5))]
    while zygote._wiping:
        zygote._wipe()
    assert zygote._slots == [4, 2]


def test_wiping_that_takes_long_gives_way_to_the_rest(refused: _Talk) -> None:
    zygote = refused.zygote
    zygote._wiping.append((1, iter(lambda: None, 0)))  # which never ends
    zygote._wipe()
    assert zygote._wiping and zygote._pause() == 0
    zygote._wiping.clear()
    assert zygote._pause() == 1
