"""Votes that copy the answer of an example in the prompt: which they are, and what they weigh."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.editions import EDITIONS
from agent.policy.settings import VotingConfig
from agent.policy.voting import mark_copy, tally
from agent.types import Edition, Sample, ToolStatus, Turn
from tests.support.samples import sample, tool_run

AIMO2, AIMO3 = EDITIONS["aimo2"], EDITIONS["aimo3"]


def printed(answer: int, *outputs: str) -> Sample:
    return sample(answer, turns=tuple(Turn("text", 10, 1.0, "inserted", tool_run(output)) for output in outputs))


@given(
    st.lists(st.none() | st.integers(0, 4), max_size=12),
    st.sets(st.integers(-3, 6) | st.integers(997, 1_006), max_size=3),
    st.sampled_from([AIMO2, AIMO3]),
)
def test_a_copy_has_an_answer_of_an_example_by_the_editions_rule(
    answers: list[int | None], example_answers: set[int], edition: Edition
) -> None:
    copied = {edition.reduce(each) for each in example_answers} - {None}
    for each in map(sample, answers):
        marked = mark_copy(each, edition, example_answers)
        assert marked.copies_example == (each.answer in copied)
        assert replace(marked, copies_example=False) == each


def test_an_answer_that_the_samples_own_code_printed_is_no_copy() -> None:
    examples = {143, 1_330}
    assert not mark_copy(printed(143, "143"), AIMO3, examples).copies_example
    assert mark_copy(printed(143, "144"), AIMO3, examples).copies_example
    failed = tool_run("143", ToolStatus.ERROR)
    assert mark_copy(sample(143, turns=(Turn("", 1, 1.0, "", failed),)), AIMO3, examples).copies_example
    assert mark_copy(sample(330), AIMO2, examples).copies_example, "1330 modulo 1000"
    assert not mark_copy(printed(330, "1330"), AIMO2, examples).copies_example
    assert not mark_copy(sample(None), AIMO3, examples).copies_example


@given(st.lists(st.sampled_from(["144", "True", "checked 143 and 144", ""]), max_size=4), st.integers(0, 4))
def test_whatever_a_sample_prints_before_and_after_its_answer_that_is_no_copy(others: list[str], place: int) -> None:
    assert not mark_copy(printed(143, *others[:place], "143", *others[place:]), AIMO3, {143}).copies_example
    assert mark_copy(printed(143, *others), AIMO3, {143}).copies_example


def test_copies_of_an_example_lose_against_one_vote_and_win_where_nobody_opposes_them() -> None:
    copies = [sample(143, copies_example=True)] * 5
    assert [vote.answer for vote in tally([*copies, sample(5)], VotingConfig(), AIMO3).votes] == [5, 143]
    assert [vote.answer for vote in tally(copies, VotingConfig(), AIMO3).votes] == [143]
