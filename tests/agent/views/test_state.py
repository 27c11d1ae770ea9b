"""The state of a problem in flight: which of its lanes run, and which wait for the engine."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.events import Event, ProblemStarted, SampleEnded, TextGenerated, TextInserted, ToolRan
from agent.types import Problem, ToolRun, ToolStatus
from agent.views.state import RunState
from tests.support.samples import sample

RUN = ToolRun("print(6 * 7)", "42", ToolStatus.OK, 0.1)


class Watched(RunState):
    """The state of a run of one problem `p` with four lanes."""

    def __init__(self) -> None:
        super().__init__(1, lambda: 0.0, {})
        self(ProblemStarted(Problem("p", ""), "", 60.0, 4))

    @property
    def figure(self) -> str:
        """How many samples are done, run and wait."""
        return self._open["p"].samples_figure


def test_lanes_wait_until_the_engine_computes_them() -> None:
    state = Watched()
    assert state.figure == "0 done · 0 running · 4 waiting"
    for index in range(2):
        state(TextGenerated("p", index, "", 1))
    assert state.figure == "0 done · 2 running · 2 waiting"
    state(SampleEnded(sample(7, problem_id="p")))
    assert state.figure == "1 done · 1 running · 2 waiting"
    for index in range(1, 4):
        state(TextGenerated("p", index, "", 1))
    assert state.figure == "1 done · 3 running"


def test_a_lane_runs_while_its_code_runs_and_waits_again_for_its_next_token() -> None:
    state = Watched()
    state(TextGenerated("p", 0, "print(6 * 7)", 5))
    state(ToolRan("p", 0, RUN))
    assert state.figure == "0 done · 1 running · 3 waiting"
    state(TextInserted("p", 0, "42", "result"))
    assert state.figure == "0 done · 0 running · 4 waiting"
    state(TextGenerated("p", 0, "So", 1))
    assert state.figure == "0 done · 1 running · 3 waiting"


events = st.lists(
    st.builds(
        lambda make, index: make(index),
        st.sampled_from(
            [
                lambda index: TextGenerated("p", index, "", 1),
                lambda index: TextInserted("p", index, "42", "result"),
                lambda index: ToolRan("p", index, RUN),
                lambda index: SampleEnded(sample(7, problem_id="p", index=index)),
            ]
        ),
        st.integers(0, 6),
    ),
    max_size=30,
)


@given(events)
def test_every_lane_is_counted_once_in_whatever_order_events_come(drawn: list[Event]) -> None:
    state = Watched()
    for event in drawn:
        state(event)
    problem = state._open["p"]
    assert problem.done + problem.cancelled + problem.running + problem.waiting == problem.lanes
    assert min(problem.done, problem.running, problem.waiting) >= 0
