"""The messages between notebook and worker: they survive the way, and nothing else is taken for one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from submission.protocol import (
    AllowanceGranted,
    LeadingAnswer,
    RequestSolved,
    SandboxTried,
    SetupChosen,
    SolveRequest,
    StartupPart,
    WorkerEvent,
    WorkerSettings,
    WorkerStarted,
    WorkerWarning,
    decode_event,
    decode_request,
    encode_event,
    encode_request,
)

TEXTS = st.text('aé{"\\\n\r\u2028\ud800', max_size=8)
WHOLE = st.integers(-(10**20), 10**20)
SECONDS = st.floats(allow_nan=False) | st.integers(0, 10_000)
REQUESTS = st.builds(SolveRequest, WHOLE, TEXTS, TEXTS, WHOLE, SECONDS)
EVENTS: st.SearchStrategy[WorkerEvent] = st.one_of(
    st.builds(WorkerWarning, TEXTS),
    st.builds(SetupChosen, TEXTS),
    st.builds(SandboxTried, TEXTS),
    st.builds(WorkerStarted, TEXTS, SECONDS),
    st.builds(StartupPart, TEXTS, SECONDS),
    st.builds(AllowanceGranted, WHOLE, SECONDS),
    st.builds(LeadingAnswer, WHOLE, WHOLE, TEXTS),
    st.builds(RequestSolved, WHOLE, WHOLE | st.none(), TEXTS, TEXTS),
)
VALUES = st.recursive(
    st.none() | st.booleans() | WHOLE | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
LINES = VALUES.map(json.dumps) | st.text(max_size=40) | st.just("[" * 100_000) | st.just("9" * 10_000)


@given(REQUESTS)
def test_a_request_is_one_line_that_gives_it_back(request: SolveRequest) -> None:
    line = encode_request(request)
    assert line.splitlines() == [line] and line.isascii()
    assert decode_request(line) == decode_request(line.encode() + b"\n") == request


@given(EVENTS)
def test_an_event_is_one_line_that_gives_it_back(event: WorkerEvent) -> None:
    line = encode_event(event)
    assert line.splitlines() == [line] and line.isascii()
    assert decode_event(line) == decode_event(line + "\n") == event


@given(EVENTS | REQUESTS, st.data())
def test_what_is_torn_or_lacks_a_field_or_has_one_of_another_type_is_no_message(
    message: WorkerEvent | SolveRequest, data: st.DataObject
) -> None:
    line = encode_request(message) if isinstance(message, SolveRequest) else encode_event(message)
    fields = json.loads(line)
    name = data.draw(st.sampled_from(sorted(fields)))
    worse = [{key: value for key, value in fields.items() if key != name}]
    worse += [
        {**fields, name: wrong}
        for wrong in (True, [fields[name]], {"x": 1}, 0.5 if isinstance(fields[name], str) else "1")
    ]
    for wrong in (line[: data.draw(st.integers(0, len(line) - 1))], *map(json.dumps, worse)):
        assert decode_event(wrong) is None
        with pytest.raises(ValueError, match=r"."):
            decode_request(wrong)


@given(EVENTS, st.dictionaries(TEXTS, VALUES, max_size=3))
def test_fields_that_an_event_does_not_have_do_not_matter(event: WorkerEvent, more: dict[str, Any]) -> None:
    assert decode_event(json.dumps({**more, **json.loads(encode_event(event))})) == event


@given(LINES)
def test_other_lines_are_no_events_and_never_raise(line: str) -> None:
    assert decode_event(line) is None


@pytest.mark.parametrize("line", [b"\xff", b"", b"\x00", '{"event": ["solved"]}', '{"event": "solved"}'])
def test_what_only_looks_like_an_event_is_ignored(line: str | bytes) -> None:
    assert decode_event(line) is None


def test_settings_survive_the_way_to_the_worker() -> None:
    settings = WorkerSettings("cpu", "run", 10.0, overrides={"sample.count": 4})
    sent = settings.after(3.0).to_json()
    assert WorkerSettings.from_json(sent) == WorkerSettings("cpu", "run", 10.0, 3.0, {"sample.count": 4})
    assert json.loads(settings.to_json())["spent_seconds"] == 0.0


@given(LINES)
def test_anything_else_is_no_settings(text: str) -> None:
    with pytest.raises((ValueError, RecursionError)):
        WorkerSettings.from_json(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"profile": 3},
        {"run_dir": None},
        {"limit_seconds": "10"},
        {"limit_seconds": True},
        {"overrides": []},
        {"models": {}},
    ],
)
def test_settings_of_another_type_are_refused_by_the_name_of_the_first(changes: dict[str, object]) -> None:
    values = {**json.loads(WorkerSettings("cpu", "run", 10.0).to_json()), **changes}
    with pytest.raises(ValueError, match=f"{next(iter(changes))} is missing or of another type"):
        WorkerSettings.from_json(json.dumps(values))
