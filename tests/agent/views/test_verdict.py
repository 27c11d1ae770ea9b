"""Why an answer won: told as the count decided it, whatever the votes weigh."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.policy.voting import tally
from agent.types import Sample, SampleEnd, Solution, StopReason, Tally, Turn, Vote
from agent.views.verdict import STOP_MEANINGS, is_doubtful, votes_text, why_won
from tests.support.doubles import config_with
from tests.support.samples import sample

CONFIG = config_with(voting__forced_weight=0.5)


def solution(*votes: Vote) -> Solution:
    answer = votes[0].answer if votes else None
    return Solution("p", answer, Tally(votes), StopReason.MARGIN, 8, 6, 1_000, 3, 10.0, 60.0, 10.0)


def guess(answer: int) -> Sample:
    return sample(answer, end=SampleEnd.DEADLINE, forced=True)


def copy(answer: int) -> Sample:
    return sample(answer, copies_example=True)


def counted(samples: Sequence[Sample]) -> Solution:
    return solution(*tally(samples, CONFIG.voting, CONFIG.rules).votes)


def test_weights_are_shown_and_not_the_counts_that_they_overrule() -> None:
    won = solution(Vote(8, 4.6, 5), Vote(30, 3.5, 7), Vote(2, 1.0, 1))
    assert votes_text(won) == "4.6/9.1 · next 3.5"
    assert is_doubtful(won, [])
    assert why_won(won, []) == "8 has 5 of 13 votes with a weight of 4.6, the next, 30, has 7 with 3.5."


def test_plain_votes_read_as_counts() -> None:
    assert votes_text(solution(Vote(7, 5.0, 5), Vote(1, 2.0, 2), Vote(3, 1.0, 1))) == "5/8 · next 2"
    assert votes_text(solution(Vote(7, 4.0, 4))) == "4/4"
    assert votes_text(solution()) == ""
    assert why_won(solution(), []) == "No sample gave an answer."
    assert why_won(solution(Vote(7, 1.0, 1)), [sample(7)]) == "7 has the only vote."
    assert why_won(solution(Vote(7, 2.0, 2), Vote(1, 1.0, 1)), []) == "7 has 2 of 3 votes, the next, 1, has 1."


def test_guesses_are_counted_in_the_reason() -> None:
    samples = [sample(7), guess(7), guess(7), guess(1)]
    assert why_won(counted(samples), samples) == (
        "7 has 3 of 4 votes with a weight of 2, the next, 1, has 1 with 0.5; 2 of the votes for 7 were guesses, "
        "forced from unfinished samples."
    )
    alone = [guess(7)]
    assert votes_text(counted(alone), alone) == "0.5/0.5 · guessed"
    assert why_won(counted(alone), alone).endswith(
        "only vote; that vote was a guess, forced from an unfinished sample."
    )
    ended = [sample(7, end=SampleEnd.NO_ANSWER, forced=True)]
    assert votes_text(counted(ended), ended) == "1/1", "it had ended by itself and only lacked the box"


def test_copies_of_an_example_are_named_and_make_an_answer_doubtful() -> None:
    copied = [copy(143), copy(143)]
    won = counted(copied)
    assert votes_text(won, copied) == "0.2/0.2 · copied"
    assert is_doubtful(won, copied) and not is_doubtful(won, [sample(143), copy(143)])
    assert why_won(won, copied) == ("All 2 votes are for 143; all votes for 143 have it from an example in the prompt.")
    assert why_won(counted(copied[:1]), copied[:1]) == (
        "143 has the only vote; that vote copies the answer of an example in the prompt."
    )
    both = [replace(guess(143), copies_example=True), copy(143)]
    assert why_won(counted(both), both).endswith(
        "; 1 of the votes for 143 was a guess, forced from an unfinished sample; "
        "all votes for 143 have it from an example in the prompt."
    )


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        ([guess(7), guess(7), sample(9)], "7 has more votes, 2 against 1"),
        ([sample(7, tail_logprob=-0.1), sample(5, tail_logprob=-0.9)], "7 were more confident of their last tokens"),
        ([sample(7, turns=(Turn("", 5, 1.0),)), sample(5, turns=(Turn("", 9, 1.0),))], "7 has the shortest sample"),
        ([sample(7), sample(5)], "5 is the smaller number"),
    ],
)
def test_a_tie_says_what_decided_it(samples: list[Sample], reason: str) -> None:
    won = counted(samples)
    assert "tie" in votes_text(won, samples) and reason in why_won(won, samples)


def test_a_tie_whose_samples_are_not_all_recorded_claims_no_reason() -> None:
    assert "ahead by a tie-break" in why_won(solution(Vote(7, 1.0, 1), Vote(5, 1.0, 1)), [])


_SAMPLES = st.lists(
    st.builds(
        lambda answer, forced, copied, logprob, tokens: sample(
            answer,
            copies_example=copied,
            end=SampleEnd.DEADLINE if forced else SampleEnd.ANSWERED,
            forced=forced,
            tail_logprob=logprob,
            turns=(Turn("", tokens, 1.0),),
        ),
        st.integers(0, 4),
        st.booleans(),
        st.booleans(),
        st.none() | st.floats(-3, 0),
        st.integers(1, 3),
    ),
    max_size=12,
)


@given(_SAMPLES)
def test_no_row_contradicts_itself(samples: list[Sample]) -> None:
    won = counted(samples)
    shown = votes_text(won, samples)
    if numbers := [float(number) for number in re.findall(r"[\d.]+", shown)]:
        leader, total, *following = numbers
        assert leader <= total + 0.01 and all(leader > other for other in following)
        assert ("tie" in shown) == (len(won.tally.votes) > 1 and won.tally.lead == 0)
    reason = why_won(won, samples)
    assert reason.endswith(".") and "\n" not in reason and "by a tie-break" not in reason
    if won.answer is not None:
        assert str(won.answer) in reason


def test_every_reason_to_stop_is_explained() -> None:
    assert set(STOP_MEANINGS) == set(StopReason)
