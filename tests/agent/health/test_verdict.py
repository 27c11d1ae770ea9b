"""Ruin is told from weakness: most lanes without language, or nothing right."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.health.verdict import health_of
from agent.types import Problem, Sample, SampleEnd, Turn
from tests.support.samples import sample

PROBLEMS = [Problem("p1", "What is 100 + 50?", 150), Problem("p2", "What is 2^30 mod 1000?", 824)]
PROSE = "We add the two numbers and get the sum, which is a three-digit number."
NOISE = "?" * 80


def lane(answer: int | None, text: str = PROSE, *, problem: str = "p1", tokens: int = 20) -> Sample:
    return replace(sample(answer), problem_id=problem, turns=(Turn(text, tokens, 1.0),))


def test_a_model_that_has_one_of_the_two_right_once_is_sound() -> None:
    weak = [lane(12), lane(None), lane(7, problem="p2"), lane(824, problem="p2")]
    health = health_of(PROBLEMS, weak)
    assert (health.right, health.asked, health.fault) == (1, 2, "")
    assert health_of(PROBLEMS, [lane(150), lane(824, problem="p2")]).right == 2


def test_the_right_answer_of_the_other_problem_is_not_right() -> None:
    assert health_of(PROBLEMS, [lane(824), lane(150, problem="p2")]).right == 0


def test_a_model_that_has_nothing_right_is_not_sound_and_is_quoted() -> None:
    fault = health_of(PROBLEMS, [lane(1), lane(None, "The  answer\nis " + "x y " * 60, tokens=99)]).fault
    assert fault.startswith("it answered none of the 2 problems right; one lane wrote 'The answer is x y")
    assert len(fault) < 140 and "\n" not in fault


@pytest.mark.parametrize(("late", "told"), [(1, False), (2, False), (3, True), (4, True)])
def test_a_server_most_of_whose_lanes_were_out_of_time_is_said_to_be_slow(late: int, told: bool) -> None:
    cut = [replace(lane(None, tokens=9 + each), end=SampleEnd.DEADLINE, seconds=74.6) for each in range(late)]
    fault = health_of(PROBLEMS, [*cut, *(lane(7, tokens=500) for _ in range(4 - late))]).fault
    slow = f" and no more than {8 + late} tokens in 75 s, when its time was up: the server may be too slow"
    assert fault.endswith(slow) is told
    assert ("slow" in fault) is told


@pytest.mark.parametrize(("noisy", "sound"), [(0, True), (1, True), (2, True), (3, False), (4, False)])
def test_a_model_most_of_whose_lanes_write_no_language_is_not_sound_though_one_is_right(
    noisy: int, sound: bool
) -> None:
    lanes = [lane(150, NOISE if n < noisy else PROSE) for n in range(4)]
    health = health_of(PROBLEMS, lanes)
    assert (health.fault == "") is sound
    if not sound:
        assert health.fault.startswith(
            f"{noisy} of 4 lanes wrote no language but one character over and over, like '???"
        )


def test_a_loop_is_broken_text_unless_its_lane_was_right_before() -> None:
    def looping(each: Sample) -> Sample:
        return replace(each, end=SampleEnd.REPEATING)

    wrong = [looping(lane(None)), looping(lane(3)), lane(150)]
    assert "2 of 3 lanes wrote no language but one piece over and over" in health_of(PROBLEMS, wrong).fault
    assert health_of(PROBLEMS, [looping(lane(150)), looping(lane(824, problem="p2"))]).fault == ""


def test_lanes_that_wrote_nothing_say_nothing_but_where_all_did() -> None:
    silent = lane(None, "", tokens=0)
    assert health_of(PROBLEMS, [silent, silent, silent, lane(150)]).fault == ""
    assert health_of(PROBLEMS, [silent]).fault == "it generated nothing"
    assert health_of(PROBLEMS, [], "no memory left").fault == "it generated nothing (no memory left)"


@pytest.mark.parametrize("text", ["", " \n"])
def test_a_model_whose_turns_end_at_once_is_said_to_write_nothing(text: str) -> None:
    fault = health_of(PROBLEMS, [lane(None, text, tokens=1) for _ in range(4)]).fault
    assert fault == "it answered none of the 2 problems right; its lanes ended their turns without a word"


def test_lanes_of_white_space_are_said_to_be_that() -> None:
    fault = health_of(PROBLEMS, [lane(None, "\n \n" * 40) for _ in range(4)]).fault
    assert fault == "4 of 4 lanes wrote no language but white space, like ''"


@pytest.mark.parametrize(
    ("texts", "no_numbers"),
    [
        (["!" * 80] * 4, True),
        ([*["! " * 80] * 3, "!"], True),
        (["!" * 80] * 3 + ["?" * 80], False),
        (["!" * 80] * 3 + [PROSE], False),
        (["!" * 80], False),
        (["no no " * 30] * 4, False),
    ],
)
def test_only_where_all_lanes_write_the_same_character_it_may_be_that_there_are_no_numbers(
    texts: list[str], no_numbers: bool
) -> None:
    fault = health_of(PROBLEMS, [lane(None, text) for text in texts]).fault
    assert "over and over, like" in fault
    assert (
        fault.endswith("the same in all, as where the weights or the computation give no numbers (NaN)") is no_numbers
    )


def test_what_the_agent_wrote_into_a_lane_is_not_what_the_model_wrote() -> None:
    forced = replace(lane(None), turns=(Turn(NOISE, 40, 1.0, inserted=PROSE * 9),))
    assert "'????" in health_of(PROBLEMS, [forced, lane(150, NOISE)]).fault


@given(st.lists(st.tuples(st.sampled_from([150, 824, 7, None]), st.sampled_from([PROSE, NOISE, ""])), max_size=8))
def test_the_verdict_is_what_the_rules_say_in_any_order(drawn: list[tuple[int | None, str]]) -> None:
    lanes = [lane(answer, text, tokens=len(text)) for answer, text in drawn]
    written = [each for each in lanes if each.tokens]
    broken = sum(each.turns[0].text == NOISE for each in written)
    right = any(each.answer == 150 for each in lanes)
    sound = bool(written) and 2 * broken <= len(written) and right
    assert (health_of(PROBLEMS, lanes).fault == "") is sound
    assert health_of(PROBLEMS, lanes[::-1]).right == health_of(PROBLEMS, lanes).right
