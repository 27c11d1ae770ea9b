"""How samples are weighed and counted, and which printed results are an answer."""

from __future__ import annotations

import random
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.editions import EDITIONS
from agent.latex.integer import MAX_CHARS
from agent.policy.code_output import printed_integer
from agent.policy.settings import VotingConfig
from agent.policy.voting import code_agrees, largest_weight
from agent.policy.voting import tally as tally_by_edition
from agent.types import Edition, Sample, SampleEnd, Tally, ToolStatus, Turn
from tests.support.samples import sample, tool_run

VOTING = VotingConfig()
AIMO2, AIMO3 = EDITIONS["aimo2"], EDITIONS["aimo3"]

samples = st.lists(
    st.builds(
        lambda answer, tokens, forced: sample(answer, tokens=tokens, forced=forced),
        st.none() | st.integers(0, 4),
        st.integers(1, 5),
        st.booleans(),
    ),
    max_size=12,
)


def tally(drawn: list[Sample], voting: VotingConfig, edition: Edition = AIMO3) -> Tally:
    return tally_by_edition(drawn, voting, edition)


def printed(output: str, answer: int) -> Sample:
    return sample(answer, turns=(Turn("text", 10, 1.0, "inserted", tool_run(output)),))


def test_no_answer_is_not_a_vote_and_not_zero() -> None:
    assert tally([sample(None), sample(None), sample(3)], VOTING).votes[0].answer == 3
    assert tally([sample(None)], VOTING).leader is None


def test_zero_is_an_answer() -> None:
    leader = tally([sample(0), sample(0), sample(3)], VOTING).leader
    assert leader is not None
    assert (leader.answer, leader.samples) == (0, 2)


def test_forced_votes_weigh_less() -> None:
    leader = tally([sample(1, forced=True), sample(1, forced=True), sample(2)], VotingConfig(forced_weight=0.4)).leader
    assert leader is not None
    assert leader.answer == 2


@pytest.mark.parametrize("end", SampleEnd)
def test_only_a_sample_that_had_ended_by_itself_gives_a_whole_vote_when_it_is_forced(end: SampleEnd) -> None:
    weight = tally([sample(1, forced=True, end=end)], VotingConfig(forced_weight=0.4)).votes[0].weight
    assert weight == (1.0 if end is SampleEnd.NO_ANSWER else 0.4)


def test_ties_go_to_more_samples_then_to_the_shortest_sample_then_to_the_smaller_answer() -> None:
    voting = VotingConfig(forced_weight=0.5)
    more = [sample(5), sample(9, forced=True), sample(9, forced=True)]
    assert [vote.answer for vote in tally(more, voting).votes] == [9, 5]
    assert [vote.answer for vote in tally([sample(5, tokens=20), sample(9, tokens=10)], voting).votes] == [9, 5]
    assert [vote.answer for vote in tally([sample(9), sample(5)], voting).votes] == [5, 9]
    several = [sample(5, tokens=20), sample(5, tokens=30), sample(9, tokens=10), sample(9, tokens=90)]
    assert [vote.answer for vote in tally(several, voting).votes] == [9, 5]


@given(samples, st.randoms(use_true_random=False))
def test_the_order_of_samples_does_not_matter(drawn: list[Sample], rng: random.Random) -> None:
    shuffled = drawn[:]
    rng.shuffle(shuffled)
    assert tally(drawn, VOTING) == tally(shuffled, VOTING)


@given(samples)
def test_every_vote_is_counted_once(drawn: list[Sample]) -> None:
    votes = tally(drawn, VOTING).votes
    assert sum(vote.samples for vote in votes) == sum(s.answer is not None for s in drawn)
    assert sum(vote.weight for vote in votes) == sum(0.5 if s.forced else 1.0 for s in drawn if s.answer is not None)
    assert [vote.weight for vote in votes] == sorted((vote.weight for vote in votes), reverse=True)


def test_a_box_that_repeats_the_codes_output_can_weigh_more_and_does_not_by_default() -> None:
    drawn = [printed("so 12\n", 12), sample(5, tokens=1)]
    assert [vote.answer for vote in tally(drawn, VOTING).votes] == [5, 12]
    assert [vote.answer for vote in tally(drawn, VotingConfig(code_bonus=0.5)).votes] == [12, 5]
    assert largest_weight(VotingConfig(code_bonus=0.5)) == 1.5


def test_a_zero_or_one_that_code_printed_can_weigh_less_and_does_not_by_default() -> None:
    less = VotingConfig(printed_trivial_weight=0.2)
    for trivial in (0, 1):
        drawn = [printed(f"{trivial}\n", trivial)] * 4 + [printed("12", 12)]
        assert [vote.answer for vote in tally(drawn, VOTING).votes] == [trivial, 12]
        assert [(vote.answer, vote.samples) for vote in tally(drawn, less).votes] == [(12, 1), (trivial, 4)]
        assert tally(drawn, less).votes[1].weight == pytest.approx(0.8)
    assert [vote.answer for vote in tally([printed("0", 0)] * 6 + [printed("12", 12)], less).votes] == [0, 12]


def test_a_zero_that_nobody_opposes_wins_however_little_it_weighs() -> None:
    assert [vote.answer for vote in tally([printed("0", 0)], VotingConfig(printed_trivial_weight=0.01)).votes] == [0]


@pytest.mark.parametrize(
    ("drawn", "edition"),
    [
        (sample(0), AIMO3),  # reasoned, not printed
        (printed("5", 0), AIMO3),
        (printed("0", 5), AIMO3),
        (printed("1000", 0), AIMO2),  # 0 by its residue, but no search that found nothing
        (printed("2", 2), AIMO3),
    ],
)
def test_only_a_zero_or_one_that_was_printed_as_such_weighs_less(drawn: Sample, edition: Edition) -> None:
    (vote,) = tally([drawn], VotingConfig(printed_trivial_weight=0.2), edition).votes
    assert vote.weight == 1


def test_only_the_last_printed_integer_agrees() -> None:
    assert code_agrees(printed("7\n42", 42), AIMO3)
    assert code_agrees(printed("the answer is 42.", 42), AIMO3)
    assert not code_agrees(printed("-3", -3), AIMO3)  # no answer of that edition
    assert not code_agrees(sample(None, turns=printed("-3", 0).turns), AIMO3)
    assert not code_agrees(printed("42\n7", 42), AIMO3)
    assert not code_agrees(printed("1.42", 42), AIMO3)
    assert not code_agrees(printed("42.5", 42), AIMO3)
    assert not code_agrees(printed("", 42), AIMO3)
    assert not code_agrees(sample(42), AIMO3)


@pytest.mark.parametrize(
    ("output", "stated"),
    [
        ("12,345", 12_345),
        ("3.0", 3),
        ("007", 7),
        ("-7\n\n", -7),
        ("x = 42", 42),
        ("n is 100\nThere are 42 ways", 42),
        ("Count:\t42", 42),
        ("maximum 42!", 42),
        ("2^100 has the digit sum = 115", 115),
        ("1e5", None),
        ("7/2", None),
        ("Fraction(7, 2)", None),
        ("(3, 42)", None),
        ("84/2", None),
        ("[42", None),
        ("[42)", None),
        ("{42", None),
        ("{1: 42}", None),
        ("12 345", None),
        ("sqrt(2) + 42", None),
        ("x - 42", None),
        ("about 42", None),
        ("42 million", None),
        ("42\\u200b", None),
        ("base 2: 101", None),
        ("x = 42\nDone", None),
        ('Traceback:\n  File "<cell 5>", line 7, in <module>', None),
        ("line 7", None),
        ("ValueError: 7", None),
        ("[... 50 characters of output cut ...]\n42", None),
        ("12[... 50 characters of output cut ...]\n42", None),
        ("9" * 20_000, None),
    ],
)
def test_the_last_line_of_an_output_states_an_integer_alone_or_none(output: str, stated: int | None) -> None:
    assert printed_integer(output) == stated


VALUES = """
    [42] | (42) | {42} | '42' | $42$ | \\boxed{42} | 42.0 | 042 | +42 | 42. | -> 42 | = 42 | S = 42 | k: 42 | n! = 42
    t: 42 | n^2 = 42 | m+n = 42 | f(2,3) = 42 | f(n=3, m<5) = 42 | gcd(12, 8) = 42 | 6*7 = 42 | N mod 1000 = 42
    n=10: 42
    n=5 -> 42 | ans[2]: 42 | Out[5]: 42 | Answer:42 | Answer (mod 1000): 42 | Answer: [42] | Answer: **42** | Total: 42.
    answer 42 | The answer is 42! | the answer is: 42 | count for N=5 is 42 | total number of steps is 42
    5th prime: 42 | (n<100) pairs: 42 | In all, there are 42 ways
    the expected value is 42 | The last digit is 42 | The limit is 42 | pairs (n<100): 42 | \u7b54\u6848\u662f 42
"""
NO_VALUES = """
    x \u2260 42 | n \u2264 42 | x \u2248 42 | ~42 | \xb142 | n != 42 | x == 42 | x >= 42 | n > 5: 42 | x += 42 | x - 42
    2024-11-28 | took 12:30 | 10% | p = 10% | 42! | n = 42! | square root of 42 | 142 mod 100 | 42 / | 42 43 | 1.42
    -> 1.5 | v = 1.42 | x = 12 345 | x = 42, y = 7 | x = 5 y = 42 | x = 42 or x = 7 | x is 5 and y is 42 | 6*7 = 43
    5: 42 | 42 ways | timed out after 10 | timeout = 10 | limit 1000 | limit: 1000 | Killed 9 | skipped 42
    skipped: 42 | Trying n = 42
    using seed 42 | seed: 42 | Expected 42 | Expected: 42 | exit code: 1 | Status = 1 | step 42 | Step: 42 | checked: 42
    is 42 prime | is 42 | what is 42 | Is it 42? | It is not 42 | it isn't: 42 | probably: 42 | approximately: 42
    There is one, so they are 42 ways
    guess: 42 | upper bound: 42 | There are 42 more | There are 42 million | There are 42 errors | answer 42!! 7
"""


@pytest.mark.parametrize("line", [line.strip() for line in re.split(r"[|\n]", VALUES) if line.strip()])
def test_a_number_stated_as_a_count_is_a_result(line: str) -> None:
    assert printed_integer(f"n = 7\n{line}\n") == 42


@pytest.mark.parametrize("line", [line.strip() for line in re.split(r"[|\n]", NO_VALUES) if line.strip()])
def test_a_bound_a_doubt_a_failure_or_a_remark_is_no_result(line: str) -> None:
    assert printed_integer(f"42\n{line}\n") is None


@pytest.mark.parametrize("unit", [":1", ": ", "= ", "is ", "1", "(", "answer ", ",111", "mod 1 ", "-> ", "a"])
def test_a_long_line_is_judged_in_no_time(unit: str) -> None:
    started = time.process_time()
    printed_integer(unit * (MAX_CHARS // len(unit)))
    assert time.process_time() - started < 0.5


def test_only_successful_runs_agree() -> None:
    def with_runs(*runs: tuple[str, ToolStatus]) -> Sample:
        turns = tuple(Turn("t", 1, 1.0, "", tool_run(output, status)) for output, status in runs)
        return sample(7, turns=turns)

    assert not code_agrees(with_runs(('  File "<cell 1>", line 7', ToolStatus.ERROR)), AIMO3)
    assert not any(code_agrees(with_runs(("7", status)), AIMO3) for status in ToolStatus if status is not ToolStatus.OK)
    assert code_agrees(with_runs(("7", ToolStatus.OK), ("1", ToolStatus.TIMEOUT)), AIMO3)
    assert not code_agrees(with_runs(("7", ToolStatus.OK), ("none", ToolStatus.OK)), AIMO3)


def test_a_printed_integer_is_reduced_as_the_boxed_one_was() -> None:
    drawn = [printed("12,345", 345), sample(5, tokens=1)]
    bonus = VotingConfig(code_bonus=0.5)
    assert [vote.answer for vote in tally(drawn, bonus, AIMO2).votes] == [345, 5]
    assert [vote.answer for vote in tally(drawn, bonus).votes] == [5, 345]
    assert code_agrees(printed("-900", 100), AIMO2)


@given(st.integers(0, AIMO3.max_answer))
def test_any_integer_agrees_however_python_formats_it(number: int) -> None:
    for output in (str(number), f"{number:,}", f"n = {number}", f"[1, 2]\nthe result is: {number}\n"):
        assert code_agrees(printed(output, number), AIMO3)


@given(st.text() | st.text("0123456789 .,-+*/^!=()[]{}\\abx\n"))
def test_any_output_is_read_without_an_error(output: str) -> None:
    stated = printed_integer(output)
    assert stated is None or re.search(r"\d", output)


def test_confidence_in_the_last_tokens_decides_a_tie_and_no_more() -> None:
    unsure, certain = sample(5, tokens=1, tail_logprob=-2.0), sample(9, tokens=20, tail_logprob=-0.1)
    assert [vote.answer for vote in tally([unsure, certain], VOTING).votes] == [9, 5]
    assert [vote.answer for vote in tally([unsure, unsure, certain], VOTING).votes] == [5, 9]


def test_a_bonus_for_confidence_is_bounded() -> None:
    voting = VotingConfig(confidence_bonus=0.5)
    certain = sample(9, tail_logprob=0.0)
    leader = tally([certain, sample(5), sample(5)], voting).leader
    assert leader is not None
    assert leader.answer == 5
    assert tally([certain], voting).votes[0].weight == largest_weight(voting) == 1.5
    assert tally([sample(9)], voting).votes[0].weight == 1


@given(
    st.lists(
        st.builds(lambda answer, tail: sample(answer, tail_logprob=tail), st.integers(0, 2), st.floats(-9, 0)),
        max_size=9,
    ),
    st.randoms(use_true_random=False),
)
def test_confidence_does_not_make_the_order_matter(drawn: list[Sample], rng: random.Random) -> None:
    voting = VotingConfig(confidence_bonus=0.7)
    shuffled = drawn[:]
    rng.shuffle(shuffled)
    assert tally(drawn, voting) == tally(shuffled, voting)


@given(
    samples,
    st.builds(
        lambda n, answer: [sample(answer, forced=True, tail_logprob=0.0)] * n, st.integers(0, 8), st.integers(0, 4)
    ),
    st.builds(VotingConfig, forced_weight=st.floats(0.05, 1), confidence_bonus=st.sampled_from([0.0, 0.5])),
)
def test_forced_votes_cannot_overtake_a_lead_beyond_their_largest_weights(
    drawn: list[Sample], asked: list[Sample], voting: VotingConfig
) -> None:
    before = tally(drawn, voting)
    if before.lead > len(asked) * largest_weight(voting, forced=True) + 1e-9:  # a lead equal but for rounding is none
        after = tally([*drawn, *asked], voting)
        assert before.leader and after.leader and after.leader.answer == before.leader.answer
