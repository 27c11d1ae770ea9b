"""Loops whose copies differ a little."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import chain
from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.lane.repetition.detector import RepetitionDetector
from agent.lane.repetition.near_repeats import NearRepeatDetector
from tests.support.texts.long_arguments import residues
from tests.support.texts.long_lists import coins, search
from tests.support.texts.long_texts import KINDS
from tests.support.texts.loops import cut, fires, fires_after, prose, sizes
from tests.support.tiers.cases import examples, quick_cases

# Loops of words with numbers and variables among them.
WORDS = re.findall(
    r"\w+",
    """

    let me check that again since the sum must be even odd prime root value term square factor equation gives hence
    thus because number first second third next case where could maybe actually hold think about using both sides
    formula result wrong right sign consider triangle angle length circle point line through equal remainder positive
    negative possible solution condition given from with not and but or if when which what need find compute total
    count ways choose order set each pair other same different at least most one two so then we is of
""",
)


def copy_of_words(rng: Random, period: int) -> list[str]:
    """At least 17 different words among them, so that an edit leaves the 15 that make a loop."""
    others = (
        rng.choice([str(rng.randint(0, 99)), rng.choice("xyn"), *rng.sample(WORDS, 4)]) for _ in range(period - 17)
    )
    copy = [*rng.sample(WORDS, 17), *others]
    rng.shuffle(copy)
    return copy


def counted(copy: list[str], number: int, _: Random) -> list[str]:
    """A number in one place that counts up."""
    return [*copy[:7], str(number), *copy[8:]]


def swapped(copy: list[str], _: int, rng: Random) -> list[str]:
    """Another word somewhere."""
    place = rng.randrange(len(copy))
    return [*copy[:place], rng.choice(WORDS), *copy[place + 1 :]]


def prefixed(copy: list[str], _: int, rng: Random) -> list[str]:
    """A "Wait," or the like in front of some, in words that no copy holds: words that vary in two places are cases."""
    return [*rng.choice([[], ["Wait,"], ["Hmm,"], ["No,", "wait,"]]), *copy]


def dropped(copy: list[str], _: int, rng: Random) -> list[str]:
    """A word missing somewhere."""
    place = rng.randrange(len(copy))
    return copy[:place] + copy[place + 1 :]


def varied(copy: list[str], _: int, rng: Random) -> list[str]:
    """One of a few words in the same place."""
    return [*copy[:3], rng.choice(["But", "Then", "So", "Now"]), *copy[4:]]


def shouted(copy: list[str], number: int, _: Random) -> list[str]:
    """Other case and punctuation in every second."""
    return [f"**{word.upper()}**" for word in copy] if number % 2 else copy


Edit = Callable[[list[str], int, Random], list[str]]
EDITS = (counted, swapped, prefixed, dropped, varied, shouted)


def near_loop(rng: Random, edit: Edit, period: int, length: int = 1_200) -> list[str]:
    """The words of a loop whose copies the edit makes differ."""
    copy = copy_of_words(rng, period)
    first = rng.randint(1, 200)
    return list(chain.from_iterable(edit(copy, first + index, rng) for index in range(length // (period - 1) + 1)))


LOOPS_OF_AN_EDIT = 30  # 360 with six edits and two ranges of periods


def delay(before: str, loop: list[str]) -> int | None:
    """Words of the loop until the detector fires."""
    detector = RepetitionDetector()
    assert not detector.feed(before)
    return next((count for count, word in enumerate(loop, 1) if detector.feed(f"{word} ")), None)


@pytest.mark.parametrize(("periods", "typical", "longest"), [((20, 85), 310, 350), ((86, 230), 760, 950)])
@pytest.mark.parametrize("edit", quick_cases(1, EDITS))
def test_near_loops_end_soon(edit: Edit, periods: tuple[int, int], typical: int, longest: int) -> None:
    rng = Random(f"{edit.__name__} {periods}")
    texts = [rng.choice(KINDS)(rng)[: rng.randint(0, 4_000)] + "\n" for _ in range(LOOPS_OF_AN_EDIT)]
    delays = [delay(text, near_loop(rng, edit, rng.randint(*periods))) for text in texts]
    found = [words for words in delays if words is not None]
    assert len(found) == LOOPS_OF_AN_EDIT
    assert median(found) <= typical
    assert max(found) <= longest


seeds = st.integers(0, 10**9)


@given(seeds, st.integers(20, 85), st.sampled_from([counted, prefixed, varied, shouted]), prose)
def test_a_near_loop_of_any_period_ends_within_380_words(seed: int, period: int, edit: Edit, before: str) -> None:
    # 300 words fill the window; then come at most 50 until it is looked at, and a stride of 100 characters.
    words = near_loop(Random(seed), edit, period, 380)
    assert fires([before, "\n", " ".join(words[:380])], NearRepeatDetector)


near_texts = st.one_of(
    st.builds(
        lambda seed, edit, period: " ".join(near_loop(Random(seed), edit, period, 500)),
        seeds,
        st.sampled_from(EDITS),
        st.integers(20, 120),
    ),
    st.builds(lambda seed, kind: kind(Random(seed))[:3_000], seeds, st.sampled_from([search, residues, coins])),
)


@given(prose, near_texts, sizes)
@examples(40)
def test_the_cuts_do_not_matter(before: str, text: str, chunks: list[int]) -> None:
    whole = before + text
    first = fires_after(whole)
    assert fires([whole]) == fires(cut(whole, chunks)) == (first is not None)
    if first is not None:
        assert fires([whole[:first]])
        assert not fires([whole[: first - 1]])


def test_a_near_loop_that_ends_in_time_is_forgiven() -> None:
    for seed in range(6):
        loop = near_loop(Random(seed), swapped, 30)[:200]
        assert not fires([coins(Random(seed)), " ".join(loop), "\n", search(Random(seed))])


def test_a_chinese_loop_ends_too() -> None:
    # "Wait, let me check case n again: the left side is not equal to the right side, so the sum is wrong."
    text = "".join(f"等等,让我再检查一下第{n}种情况:左边不等于右边,所以这个和是错的。" for n in range(90))
    assert fires([text])


@pytest.mark.parametrize("places", [1, 2])
def test_a_loop_counts_in_one_place_only(places: int) -> None:
    copy = "Let me redo attempt {0} of this: the sum of all the digits must be even, but that is {1} and wrong again. "
    text = "".join(copy.format(n, n * n if places == 2 else 7) for n in range(100, 190))
    assert fires([text]) == (places == 1)


@pytest.mark.parametrize("places", [1, 2])
def test_a_long_sentence_counts_in_one_place_only(places: int) -> None:
    """So long that it is no case of an enumeration."""
    copy = (
        "In attempt {0} I look at the sum of all the digits once more, which must be even by step {1} of it, so that "
        "with an odd first digit exactly one of the others has to be odd as well, but no pair of those that remain "
        "does that.\n"
    )
    text = "".join(copy.format(n, n + 1 if places == 2 else 7) for n in range(10, 40))
    assert fires([text]) == (places == 1)


PRIMES = [n for n in range(2, 400) if all(n % divisor for divisor in range(2, n))]
CALCULATIONS = {
    "one number": "Now we try {n}. The division does not come out even here, so this prime is no factor of our number, "
    "and we continue with the next one.\n",
    "one number at the start": "Dividing by {n}, the remainder is not zero, so it is no divisor and we take the next "
    "prime of the list above.\n",
    "a number and its remainder": "Testing {n}, we see the remainder {r}, which is not zero, so that this prime "
    "does not divide our number and we try the next.\n",
    "products": "Check whether {n} is a divisor of it: 100003 = {n} * {q} + {r}, so it is not.\n",
    "a class": "When x is congruent to {n} modulo our modulus, its square is congruent to {r}, which is no residue "
    "that we want, so that this class gives nothing.\n",
    "a pair": "Pair ({n}, {r}): their greatest common divisor is one and their sum is even, so we have to count this "
    "pair once more in the total.\n",
    "an order": "The order of {n} in the group divides the order of the group, and raising it to the power {r} "
    "gives one, so it is not a generator of it.\n",
}


@pytest.mark.parametrize("name", CALCULATIONS)
def test_trial_and_error_in_words_is_no_loop(name: str) -> None:
    lines = [CALCULATIONS[name].format(n=n, q=100_003 // n, r=100_003 % n) for n in PRIMES]
    assert fires_after(lines) is None


def test_steps_that_count_in_two_places_are_no_loop() -> None:
    line = (
        "By what we have assumed the claim is true for {0}, and the same argument shows that it is true for {1} too.\n"
    )
    assert fires_after([line.format(n, n + 1) for n in range(1, 60)]) is None


@pytest.mark.parametrize("step", [1, -1])
def test_a_loop_that_counts_one_by_one_is_one(step: int) -> None:
    line = (
        "Attempt {0} begins: let me look at the sum of all the digits once more, which must be even, and it is not.\n"
    )
    assert fires([line.format(n) for n in range(200, 200 + 90 * step, step)])


ENUMERATIONS = {
    "n = {} does not work, because the left side is larger than the right side for this value of n, so we try the "
    "next one.": range(1, 40),
    "当n={}时\uff0c左边大于右边\uff0c因此不满足题目的条件\uff0c我们继续考虑下一个数\u3002": range(1, 40),
    "Next, {} does not divide the number either, since the remainder that we obtain after the long division is not "
    "zero here.": range(2, 40),
    "Row {} of the grid can be tiled in exactly two ways, because the first domino decides where all of the others "
    "in that row have to lie.": range(1, 41),
    "The vertex {} has degree 3, so by symmetry we can choose the colour of its neighbours in exactly six ways, as "
    "before.": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "For k = {} the sum is odd. So it cannot be a square, and this value gives no solution of the equation that we "
    "started with.": range(10, 50),
    "In round {} the first player takes one stone, the second one answers with two, and the pile stays a multiple of "
    "three!": range(1, 41),
    "Base {}.5: here the expansion does not end either; we go up by one and look at what the next of the bases "
    "brings us.": range(2, 42),
}


@pytest.mark.parametrize("between", [" ", "\n", "\n\n"])
@pytest.mark.parametrize("line", ENUMERATIONS)
def test_cases_that_are_counted_in_short_sentences_are_no_loop(line: str, between: str) -> None:
    text = between.join(line.format(case) for case in ENUMERATIONS[line])
    assert fires_after(f"{text}\nSo none of them is one, and the answer is 7.") is None


@pytest.mark.parametrize("line", [line for line, cases in ENUMERATIONS.items() if isinstance(cases, range)])
def test_cases_that_are_counted_without_end_are_a_loop(line: str) -> None:
    at = fires_after([f"{line.format(case)}\n" for case in range(1, 100)])
    assert at is not None and at >= 60


def test_a_long_paragraph_that_counts_is_found_as_soon_as_any_other_loop() -> None:
    paragraph = (
        "Attempt {}: let me look at the sum of all the digits once more, which must be even. If the first digit is "
        "odd, then exactly one of the others has to be odd as well. But no pair of the digits that remain meets this, "
        "so there is a mistake somewhere in what was said above.\n\n"
    )
    at = fires_after([paragraph.format(n) for n in range(5, 40)])
    assert at is not None and at <= 7


def test_a_calculation_before_a_loop_does_not_keep_it_from_being_found() -> None:
    lines = [CALCULATIONS["products"].format(n=n, q=100_003 // n, r=100_003 % n) for n in PRIMES]
    loop = near_loop(Random(3), swapped, 60, 450)
    assert fires(["".join(lines), " ".join(loop)])


@given(seeds, st.sampled_from(EDITS), st.integers(20, 85))
def test_a_loop_of_few_different_words_may_differ(seed: int, edit: Edit, period: int) -> None:
    words = near_loop(Random(seed), edit, period, 1_000)
    few = [word if word in WORDS[:12] else "x" for word in words]
    assert not fires([" ".join(few)], NearRepeatDetector)


@pytest.mark.parametrize("start", [".5", "5.5", ".", "\n7", ""])
def test_a_stream_may_begin_with_any_mark_or_number(start: str) -> None:
    assert fires_after([f"{start} is where it starts, and "] + ["so on and on. "] * 20, NearRepeatDetector) is None


@pytest.mark.parametrize("third", ["blue", "7"])
@pytest.mark.parametrize("slots", [1, 2])
def test_words_that_alternate_in_two_places_are_cases(slots: int, third: str) -> None:
    line = "if a {} ball is drawn while the {} lamp shines then we win this round and put all of it back where it was, "
    colours, lamps = ["red", "green", third], ["first", "second"] if slots == 2 else ["only"]
    lines = [line.format(colours[n % 3], lamps[n % len(lamps)]) for n in range(60)]
    assert fires(lines, NearRepeatDetector) == (slots == 1)
