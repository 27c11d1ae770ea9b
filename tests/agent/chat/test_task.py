"""The task decides what an answer is and how it is asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.config import load_config
from agent.engine.base import SamplingParams
from agent.errors import ConfigError
from agent.lane.lane import Lane
from agent.types import SampleEnd
from tests.support.doubles import PROBLEM, ScriptedEngine, config_with, runtime
from tests.support.virtual_time import run_virtual


class Spelling:
    """Asks for a word in capitals."""

    def instructions(self, usual: str) -> str:
        return "SPELL"

    def read(self, text: str) -> str | None:
        return next((word for word in text.split() if word.isupper()), None)


def replying(text: str) -> ScriptedEngine:
    def reply(prompt: str, params: SamplingParams) -> str:
        return text

    return ScriptedEngine(reply)


@pytest.mark.parametrize(
    ("text", "end"), [("it is WATER then", SampleEnd.ANSWERED), ("no idea \\boxed{42}", SampleEnd.NO_ANSWER)]
)
def test_another_task_decides_what_an_answer_is_and_words_are_no_votes(text: str, end: SampleEnd) -> None:
    async def go() -> None:
        engine = replying(text)
        plain = runtime(engine, config_with(sample__answer_tokens=0))
        sample = await Lane(PROBLEM, "prompt", 0, replace(plain, own_task=Spelling())).run()
        assert (sample.end, sample.answer, sample.forced) == (end, None, False)
        assert sample.text == text
        assert engine.prompts == ["prompt"]

    run_virtual(go())


def test_without_answer_tokens_no_answer_is_forced() -> None:
    async def go() -> None:
        engine = replying("one two three four five six")
        config = config_with(sample__answer_tokens=0, sample__max_tokens=3)
        sample = await Lane(PROBLEM, "prompt", 0, runtime(engine, config)).run()
        assert (sample.end, sample.answer, sample.tokens) == (SampleEnd.TOKEN_LIMIT, None, 3)
        assert len(engine.prompts) == 1

    run_virtual(go())


def test_probes_need_tokens_for_their_answers() -> None:
    with pytest.raises(ConfigError, match=r"sample\.answer_tokens is needed"):
        load_config("cpu", {"sample.answer_tokens": 0, "sample.probe_tokens": 10})
