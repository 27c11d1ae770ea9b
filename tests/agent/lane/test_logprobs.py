"""Mean log-probabilities of a sample and of its tail."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.lane.logprobs import TAIL_TOKENS, LogprobMeter
from tests.support.doubles import ScriptedEngine
from tests.support.lanes import always, forced_to, run_lane

LOGPROBS = st.lists(st.floats(-20, 0), min_size=1, max_size=700)


@given(LOGPROBS, st.integers(1, 50))
def test_means_do_not_depend_on_the_pieces(values: list[float], size: int) -> None:
    meter = LogprobMeter()
    for start in range(0, len(values), size):
        meter.feed(values[start : start + size])
    assert meter.mean == pytest.approx(fmean(values), abs=1e-9)
    assert meter.tail_mean == pytest.approx(fmean(values[-TAIL_TOKENS:]), abs=1e-9)


def test_nothing_reported_is_nothing_known() -> None:
    meter = LogprobMeter()
    meter.feed(())
    assert meter.mean is None and meter.tail_mean is None


def test_a_late_doubt_shows_in_the_tail() -> None:
    meter = LogprobMeter()
    meter.feed([math.log(0.99)] * 5_000)
    meter.feed([math.log(0.2)] * TAIL_TOKENS)
    assert meter.mean is not None and meter.mean > -0.1
    assert meter.tail_mean == pytest.approx(math.log(0.2))


class SureOfItself(ScriptedEngine):
    """Tells how sure it was of each word: less so of those of a forced answer."""

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        async for chunk in super().stream(prompt, params):
            yield chunk._replace(logprobs=(-2.0 if params.forces_answer else -0.5,)) if chunk.text else chunk


@pytest.mark.parametrize("engine", [always("So \\boxed{7}"), forced_to("7 }", "I do not know")])
def test_a_sample_tells_how_sure_the_model_was_of_its_own_words_and_not_of_those_that_were_forced(
    engine: ScriptedEngine,
) -> None:
    sample = run_lane(SureOfItself(engine.reply))
    assert (sample.answer, sample.mean_logprob, sample.tail_logprob) == (7, -0.5, -0.5)
