"""Events are records that no listener can change, and every listener gets each of them in order."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.events import Event, Listener, TextGenerated, fan_out
from tests.support.doubles import Recorder

TOKENS = st.builds(TextGenerated, st.text(), st.integers(), st.text(), st.integers())


def test_no_listener_can_change_what_the_next_one_is_given() -> None:
    for kind in get_args(Event):
        event = object.__new__(kind)
        assert is_dataclass(kind) and not hasattr(event, "__dict__"), kind
        for field in fields(kind):
            with pytest.raises(FrozenInstanceError):
                setattr(event, field.name, None)


@given(st.lists(TOKENS, max_size=8), st.integers(0, 4))
def test_each_listener_is_given_each_event_in_order(events: list[TextGenerated], listeners: int) -> None:
    calls: list[tuple[int, Event]] = []

    def numbered(place: int) -> Listener:
        return lambda event: calls.append((place, event))

    emit = fan_out(map(numbered, range(listeners)))
    for event in events:
        emit(event)
    assert calls == [(place, event) for event in events for place in range(listeners)]


def test_what_a_listener_raises_reaches_the_run_and_the_listeners_behind_it_are_not_called() -> None:
    def full(event: Event) -> None:
        raise OSError("disk full")

    before, behind = Recorder(), Recorder()
    with pytest.raises(OSError, match="disk full"):
        fan_out([before, full, behind])(TextGenerated("p", 0, "", 3))
    assert (before.tokens, behind.tokens) == (3, 0)
