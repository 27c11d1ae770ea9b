"""A turn that its model ends in the middle of something is no natural end, in whatever dialect."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chat.dialects import DIALECTS, chat_format
from agent.chat.family import load_family
from agent.chat.format import OpenThing
from agent.editions import EDITIONS
from agent.policy.settings import VotingConfig
from agent.policy.voting import sample_weight
from agent.types import Sample, SampleEnd
from tests.support.doubles import ScriptedEngine, ScriptedSandbox
from tests.support.lanes import run_lane
from tests.support.texts.conversations import DIALECTS as WRITTEN
from tests.support.texts.conversations import Dialect, Step
from tests.support.tiers.cases import examples

_FENCE, _JSON, _TAG = (
    "```python\nprint(6 *",
    '<tool_call>\n{"name": "python", "arguments": {"code": "6',
    "<tool_call>\n6 *",
)
_FINAL = "<|channel|>analysis<|message|>So.<|end|><|start|>assistant<|channel|>final<|message|>"
# A family of each dialect, what ends the thinking, and what begins a call.
FAMILIES: dict[str, tuple[str, str]] = {
    "qwq": ("So.\n</think>\n\n", _FENCE),
    "r1-distill-qwen": ("So.\n</think>\n\n", _FENCE),
    "qwen-coder": ("6\n```\nSo.", _FENCE),
    "chat-fenced": ("<think>\nSo.\n</think>\n\n", _FENCE),
    "qwq-calls": ("So.\n</think>\n\n", _JSON),
    "qwen3": ("<think>\nSo.\n</think>\n\n", _JSON),
    "qwen-coder-calls": ('6"}}\n</tool_call>\nSo.', _JSON),
    "openmath-nemotron": ("So.\n</think>\n\n", _TAG),
    "qwen-coder-tagged": ("6\n</tool_call>\nSo.", _TAG),
    "gpt-oss": (_FINAL, "<|end|><|start|>assistant<|channel|>commentary to=python"),
}
# What a turn breaks off in behind its thinking, and the same without that.
BROKEN: list[tuple[OpenThing, str, str]] = [
    ("", "", "It is 42."),
    ("code", "```\nx = 1", "```\nx = 1\n```\nIt is 42."),
    ("code", "```python\n```python\nprint(6 *", "```python\n```python\nprint(6 * 7)\n```\nIt is 42."),
    ("box", "It is \\boxed{4", "It is \\boxed{}."),
    ("box", "It is \\boxed{\n4", "It is \\boxed{\n\n}."),
    ("box", "It is \\boxed{\\frac{84}{2", "It is \\boxed{\\text{unknown}}."),
    ("box", "It is \\boxed", "It is a \\boxed{?}"),
]


def drawn(family: str, said: str, **keys: object) -> Sample:
    """The sample of a model that says this and ends its turn, again behind each result; its forced answer is 42."""
    engine = ScriptedEngine(lambda prompt, params: "42}" if params.forces_answer else said, seconds=0.0)
    all_keys: dict[str, Any] = {"sample__family": family, "sample__max_rounds": 0, **keys}
    return run_lane(engine, sandbox=ScriptedSandbox("so"), **all_keys)


def weight(sample: Sample) -> float:
    return sample_weight(sample, VotingConfig(forced_weight=0.25), EDITIONS["aimo3"])


def test_each_dialect_is_here() -> None:
    assert {load_family(name).dialect for name in FAMILIES} == set(DIALECTS)


@pytest.mark.parametrize(("kind", "broken", "closed"), BROKEN)
@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_turn_breaks_off_in_makes_its_forced_answer_one_of_an_unfinished_sample(
    family: str, kind: OpenThing, broken: str, closed: str
) -> None:
    before, _ = FAMILIES[family]
    chat = chat_format(family, tools=True)
    for said, closes in ((broken, kind), (closed, "")):
        assert chat.force_answer(before + said, ended=True).closes == closes
        sample = drawn(family, before + said)
        end = SampleEnd.INCOMPLETE if closes else SampleEnd.NO_ANSWER
        assert (sample.answer, sample.forced, sample.end, weight(sample)) == (42, True, end, 0.25 if closes else 1)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tokens", [0, 24])
def test_a_call_that_the_end_of_the_turn_cuts_off_is_no_natural_end(family: str, tokens: int) -> None:
    before, call = FAMILIES[family]
    said = call if "coder" in family else before + call  # there the prompt has begun one already
    sample = drawn(family, said, sample__max_rounds=4, sample__answer_tokens=tokens)
    assert (sample.end, sample.forced) == (SampleEnd.INCOMPLETE, tokens > 0)
    assert sample.answer is None or weight(sample) == 0.25


@pytest.mark.parametrize("family", ["qwen-coder", "qwen-coder-calls", "qwen-coder-tagged"])
def test_a_turn_that_ends_at_once_in_the_call_that_its_prompt_begins_is_no_natural_end(family: str) -> None:
    sample = drawn(family, "", sample__max_rounds=4)
    assert (sample.answer, sample.end, weight(sample)) == (42, SampleEnd.INCOMPLETE, 0.25)


@pytest.mark.parametrize("written", WRITTEN, ids=lambda written: written.family)
@given(data=st.data())
@examples(5)
def test_a_call_for_which_no_tool_run_is_left_waits_for_its_result(written: Dialect, data: st.DataObject) -> None:
    step = data.draw(written.step)
    sample = drawn(written.family, step.text, sample__max_rounds=1)
    assert len(sample.tool_runs) == 1
    assert (sample.answer, sample.end, weight(sample)) == (42, SampleEnd.INCOMPLETE, 0.25)


@pytest.mark.parametrize("family", [name for name in FAMILIES if load_family(name).think_close or name == "gpt-oss"])
@pytest.mark.parametrize(("thought", "natural"), [("It is \\boxed{42}.", True), ("Is it \\boxed{42}?", False)])
def test_an_open_thinking_is_no_natural_end_unless_it_ends_on_its_box(family: str, thought: str, natural: bool) -> None:
    heads = dict.fromkeys(("qwen3", "chat-fenced"), "<think>\n") | {"gpt-oss": "<|channel|>commentary<|message|>"}
    sample = drawn(family, heads.get(family, "") + thought)
    assert (sample.answer, sample.end is SampleEnd.NO_ANSWER, weight(sample)) == (42, natural, 1 if natural else 0.25)


def is_open(text: str) -> bool:
    """Whether something is open in a turn of any dialect, as far as its marks tell."""
    box = re.search(r"\\boxed\{[^}]*\Z", text)
    calls = text.rpartition("<tool_call>")[2] if "<tool_call>" in text else ""
    tag = calls and ("\n" in calls or "{" in calls) and "</tool_call>" not in calls
    headers = [part.partition("<|message|>") for part in text.split("<|start|>assistant")]
    sent = (said for header, _, said in headers[-1:] if re.search(r"to=(?!assistant\b)", header))
    call = any("<|end|>" not in said and "<|call|>" not in said for said in sent)
    return bool(box or tag or call or text.count("```") % 2)


@examples(150)
@given(st.sampled_from(WRITTEN), st.data())
def test_wherever_a_turn_is_cut_its_vote_has_full_weight_only_where_nothing_is_open(
    written: Dialect, data: st.DataObject
) -> None:
    step: Step = data.draw(written.step)
    text = data.draw(st.sampled_from([step.text, data.draw(written.answer)]))
    said = text[: data.draw(st.integers(0, len(text)))]
    sample = drawn(written.family, said, sample__max_rounds=4)
    last = sample.turns[-2].text if sample.forced else sample.turns[-1].text
    if sample.forced and sample.end is SampleEnd.NO_ANSWER:
        assert not is_open(last)
    assert sample.end is not SampleEnd.INCOMPLETE or weight(sample) == 0.25
