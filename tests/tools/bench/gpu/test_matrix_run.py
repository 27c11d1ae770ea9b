"""The loop over a matrix in virtual time: the order, the time limit, what is refused, what is resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.runs.serving_matrices import USUAL, TimedServers, matrices, plan_of, table_of
from tests.support.tiers.cases import examples
from tests.support.virtual_time import run_virtual
from tools.bench.gpu.matrix import ServingMatrix, ServingVariant
from tools.bench.gpu.results import AccuracyMeasured, MatrixResults, Measured, Refused, SpeedMeasured
from tools.bench.gpu.run import MatrixRun, steps_left
from tools.bench.gpu.schedule import MatrixStep, steps_of

MATRIX = ServingMatrix(("stored", "fp8"), ("auto", "fp8"), ("none",), (8, 16))
SLOW = ServingVariant("fp8", "auto", "none")
_DAY = 86_400.0


def measure(
    matrix: ServingMatrix,
    seconds: Callable[[ServingVariant, Any], float | str],
    limit: float = _DAY,
    before: MatrixResults | None = None,
    *,
    problems: str = "starter",
) -> tuple[MatrixResults, TimedServers, float, list[Measured]]:
    """The results, the servers, the seconds that it took, and what was recorded."""
    servers, recorded = TimedServers(seconds), list[Measured]()
    results = before or MatrixResults(plan_of(matrix, problems=problems))

    async def main() -> tuple[MatrixResults, float]:
        run = MatrixRun(results, servers.serve, recorded.append, lambda text: None, limit)
        return await run.run(), asyncio.get_running_loop().time()

    found, took = run_virtual(main())
    assert servers.up == 0
    assert found.records == (*results.records, *recorded)
    return found, servers, took, recorded


def all_steps(matrix: ServingMatrix) -> list[MatrixStep]:
    return [step for variant in matrix.variants for step in steps_of(variant, matrix.lanes, accuracy=True)]


@given(matrices())
def test_the_order_begins_with_what_is_usual_and_departs_from_it_in_ever_more_axes(matrix: ServingMatrix) -> None:
    axes = (matrix.weights, matrix.kv_caches, matrix.speculations)
    variants = [(each.weights, each.kv_cache, each.speculation) for each in matrix.variants]
    departures = [sum(value != axis[0] for value, axis in zip(each, axes, strict=True)) for each in variants]
    assert departures == sorted(departures) and departures[0] == 0
    assert len(set(variants)) == len(variants) == len(axes[0]) * len(axes[1]) * len(axes[2])


@examples(30)
@given(matrices(), st.booleans())
def test_with_ample_time_everything_is_measured_once_with_one_server_a_variant(
    matrix: ServingMatrix, accuracy: bool
) -> None:
    results, servers, _, _ = measure(matrix, table_of({}, 1.0), problems="starter" if accuracy else "")
    wanted = [step for variant in matrix.variants for step in steps_of(variant, matrix.lanes, accuracy=accuracy)]
    assert servers.taken == [(step.variant, step.lanes) for step in wanted]
    assert servers.starts == matrix.variants and not steps_left(results)


@examples(40)
@given(st.data(), matrices(), st.floats(1.0, 2_000.0))
def test_the_time_limit_is_kept_whatever_anything_takes(
    data: st.DataObject, matrix: ServingMatrix, limit: float
) -> None:
    drawn = st.one_of(st.floats(0.0, 400.0), st.just("no kernel"))

    def seconds(variant: ServingVariant, what: Any) -> float | str:
        return min(5.0, limit / 4) if what == "close" else data.draw(drawn)

    _, _, took, _ = measure(matrix, seconds, limit)
    assert took <= limit + 1e-6


@examples(40)
@given(matrices(), st.floats(1.0, 50.0), st.floats(0.1, 20.0), st.floats(20.0, 3_000.0))
def test_where_all_take_as_long_as_before_nothing_but_the_first_is_broken_off(
    matrix: ServingMatrix, start: float, step: float, limit: float
) -> None:
    """With one number of lanes the estimate is exact then, so that no time is lost in what does not fit."""
    matrix = replace(matrix, lanes=matrix.lanes[:1])
    results, servers, _, _ = measure(matrix, table_of({"start": start, "close": 0.0}, step), limit)
    room = limit - min(10.0, limit / 4)
    if start + step <= room:
        assert len(servers.starts) == len({variant for variant, _ in servers.taken})
        per_variant = len(matrix.lanes) + 1
        whole = [
            variant for variant in matrix.variants if sum(each == variant for each, _ in servers.taken) == per_variant
        ]
        assert len(whole) >= min(len(matrix.variants), int((room - 1e-6) // (start + per_variant * step)))
    assert {(each.variant, each.lanes) for each in steps_left(results)}.isdisjoint(servers.taken)


def test_a_later_step_that_fits_is_taken_where_an_earlier_one_does_not() -> None:
    seconds = table_of({"start": 10.0, "close": 0.0, 8: 10.0, 16: 50.0, None: 5.0}, 0.0)
    results, _, _, _ = measure(MATRIX, seconds, 130.0)
    second = {step.lanes for step in steps_left(results) if step.variant == MATRIX.variants[1]}
    assert second == {16}


def test_what_a_server_cannot_do_is_recorded_with_its_reason_and_not_tried_again() -> None:
    seconds = table_of({(SLOW, "start"): "ValueError: no such kernel"}, 1.0)
    results, servers, _, _ = measure(MATRIX, seconds)
    assert results.refusals[SLOW, None] == "ValueError: no such kernel"
    assert not steps_left(results)
    again, later, _, recorded = measure(MATRIX, table_of({}, 1.0), before=results)
    assert (again, later.starts, recorded) == (results, [], [])
    assert servers.starts.count(SLOW) == 1


@pytest.mark.parametrize(
    ("reason", "starts"), [("NotImplementedError: no fp8", [USUAL, SLOW]), ("CUDA out of memory", MATRIX.variants)]
)
def test_a_choice_refused_alone_is_refused_with_others_too_unless_these_may_save_the_memory(
    reason: str, starts: list[ServingVariant]
) -> None:
    def seconds(variant: ServingVariant, what: Any) -> float | str:
        return reason if what == "start" and "fp8" in (variant.weights, variant.kv_cache) else 1.0

    results, servers, _, _ = measure(MATRIX, seconds)
    assert set(servers.starts) == {*starts, ServingVariant("stored", "fp8", "none")}
    both = results.refusals[MATRIX.variants[-1], None]
    assert both.endswith(reason) and not steps_left(results)
    assert both.startswith("as ") == ("memory" not in reason)


def test_a_server_that_was_late_gets_another_chance_when_resumed_and_not_before() -> None:
    late = "the vLLM server was not up after 300 s: loading (log: /a/log)"
    results, _, _, _ = measure(MATRIX, table_of({(SLOW, "start"): late}, 1.0))
    assert results.refusals[SLOW, None] == "the vLLM server was not up after 300 s (engine.start_seconds)"
    assert not steps_left(results)
    again, servers, _, _ = measure(MATRIX, table_of({}, 1.0), before=results.to_resume())
    assert servers.starts == [SLOW, MATRIX.variants[-1]] and not again.refusals and not steps_left(again)


def test_a_server_that_fails_in_a_later_step_is_replaced_for_the_others() -> None:
    results, servers, _, _ = measure(MATRIX, table_of({(USUAL, 16): "CUDA out of memory"}, 1.0))
    assert results.refusals == {(USUAL, MatrixStep(USUAL, 16)): "CUDA out of memory"}
    assert servers.starts[:2] == [USUAL, USUAL] and (USUAL, None) in servers.taken
    assert not steps_left(results)


@pytest.mark.parametrize("limits", [(_DAY,), (8.0, _DAY)])
def test_a_variant_of_which_a_step_was_measured_loses_only_the_steps_in_which_its_servers_fail(
    limits: tuple[float, ...],
) -> None:
    """As where memory lacks from some number of lanes on, also where a matrix is resumed at that number."""
    matrix = ServingMatrix(("stored",), ("auto",), ("none",), (8, 16, 32))
    results, failing = MatrixResults(plan_of(matrix)), {(USUAL, 16): "out of memory", (USUAL, 32): "out of memory"}
    for limit in limits:
        results, *_ = measure(matrix, table_of({**failing, "close": 0.0}, 2.5), limit, results)
    assert list(results.refusals) == [(USUAL, MatrixStep(USUAL, lanes)) for lanes in (16, 32)]
    assert list(results.speeds) == [(USUAL, 8)] and list(results.accuracies) == [USUAL]


@pytest.mark.parametrize("resumed", [False, True])
def test_a_variant_that_was_served_and_does_not_start_again_is_left_to_be_resumed(*, resumed: bool) -> None:
    """As where the memory of the server that failed is not free yet: its measured speeds, and combinations, stay."""
    starts = []

    def seconds(variant: ServingVariant, what: Any) -> float | str:
        if (variant, what) == (SLOW, "start"):
            starts.append(what)
            return "torch.AcceleratorError: device not ready" if len(starts) == 2 else 1.0
        return "CUDA error: an illegal memory access" if (variant, what) == (SLOW, 16) else 1.0

    results, servers, _, _ = measure(MATRIX, seconds)
    assert list(results.refusals) == [(SLOW, MatrixStep(SLOW, 16))] and (SLOW, 8) in results.speeds
    assert steps_left(results) == [MatrixStep(SLOW, None)]
    assert servers.starts.count(MATRIX.variants[-1]) == 1, "fp8 with an FP8 cache is measured"
    if resumed:
        results, servers, _, _ = measure(MATRIX, seconds, before=results.to_resume())
        assert servers.starts == [SLOW] and SLOW in results.accuracies and not steps_left(results)


def test_a_server_that_fails_in_its_first_step_is_given_up() -> None:
    results, servers, _, _ = measure(MATRIX, table_of({(USUAL, 8): "CUDA error"}, 1.0))
    assert results.refusals == {(USUAL, None): "CUDA error"}
    assert servers.starts.count(USUAL) == 1


@examples(30)
@given(matrices(), st.lists(st.floats(20.0, 300.0), min_size=1, max_size=4))
def test_resumed_it_measures_what_it_lacks_and_nothing_twice(matrix: ServingMatrix, limits: list[float]) -> None:
    results, taken = MatrixResults(plan_of(matrix)), []
    for limit in [*limits, _DAY]:
        results, servers, _, _ = measure(matrix, table_of({"close": 0.0}, 7.0), limit, results)
        taken += servers.taken
    assert not steps_left(results)
    assert sorted(taken, key=str) == sorted(((step.variant, step.lanes) for step in all_steps(matrix)), key=str)


def test_what_was_measured_before_an_interrupt_is_recorded_and_the_server_ended() -> None:
    servers, recorded = TimedServers(table_of({"close": 2.0}, 10.0)), list[Measured]()

    async def main() -> None:
        run = MatrixRun(MatrixResults(plan_of(MATRIX)), servers.serve, recorded.append, lambda text: None, _DAY)
        task = asyncio.create_task(run.run())
        await asyncio.sleep(45.0)  # in the second variant's start
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtual(main())
    assert servers.up == 0
    kinds = [type(each) for each in recorded if not hasattr(each, "parts")]
    assert kinds == [SpeedMeasured, SpeedMeasured, AccuracyMeasured]
    assert not any(isinstance(each, Refused) for each in recorded)
