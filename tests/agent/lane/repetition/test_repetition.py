"""Text that repeats itself exactly is found soon, and nothing else is."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.lane.repetition.detector import (
    MAX_PERIOD,
    PARAGRAPH,
    STRIDE,
    WINDOW,
    CycleDetector,
    RepetitionDetector,
    cycle_length,
)
from agent.lane.repetition.near_repeats import NearRepeatDetector
from tests.support.texts.long_texts import KINDS, TEXTS_OF_A_KIND, solution
from tests.support.texts.loops import cut, fires, fires_after, looped, processor_seconds, prose, sizes, takes_less
from tests.support.tiers.cases import examples, quick_cases


def cycle_of(seed: str, period: int) -> str:
    """A text of `period` characters that begins with the seed and is otherwise a count."""
    return (seed + "".join(f" {number}" for number in range(period)))[:period]


# Any text up to 100 characters long, or a longer one with a known shape: random text of 600 draws is slow to make.
cycles = st.one_of(
    st.text(min_size=1, max_size=100), st.builds(cycle_of, st.text(max_size=9), st.integers(1, PARAGRAPH))
)


@given(prose, cycles, sizes)
def test_a_loop_is_reported_soon_after_it_starts(before: str, loop: str, chunks: list[int]) -> None:
    text = before + looped(loop, WINDOW + STRIDE - 1)
    assert fires(cut(text, chunks))
    assert fires_after(text) is not None


@given(prose, cycles, sizes)
def test_both_kinds_of_loops_are_looked_for_at_the_same_places_however_the_text_is_cut(
    before: str, loop: str, chunks: list[int]
) -> None:
    watch, exact, near = RepetitionDetector(), CycleDetector(), NearRepeatDetector()
    for piece in cut(before + looped(loop, WINDOW + STRIDE), chunks):
        assert watch.feed(piece) == (exact.feed(piece) or near.feed(piece))


@pytest.mark.parametrize("period", [1, 2, 7, 100, 599, 600])
def test_soon_means_within_1500_characters(period: int) -> None:
    count = fires_after("\n" + looped(cycle_of("", period), 1_500))
    assert count is not None
    assert 1_000 < count <= 1_500


@given(cycles, st.integers(0, 500))
def test_a_loop_that_ends_in_time_is_forgiven(loop: str, offset: int) -> None:
    # The angle brackets frame the loop with characters that do not prolong it.
    inside = looped(loop.replace("<", "").replace(">", "") or "-", WINDOW - 1)
    assert not fires(["." * offset, "<", inside, ">", "".join(str(number) for number in range(600))], CycleDetector)


# Nearly periodic texts over few letters: here a wrong rule for the period would show.
mutations = st.lists(st.tuples(st.integers(0, 2_999), st.sampled_from("ab")), max_size=4)
tricky = st.builds(
    lambda unit, changes: "".join(dict(changes).get(index, char) for index, char in enumerate(looped(unit, 3_000))),
    st.one_of(
        st.text("ab", min_size=1, max_size=30),
        st.builds(lambda unit, last: looped(unit, 300) + last, st.text("ab", min_size=1, max_size=5), prose),
        st.builds(
            lambda unit, period: looped(unit, period) + "c",
            st.text("ab", min_size=1),
            st.integers(590, 605),
        ),
    ),
    mutations,
)


def end_of_the_first_cycle(text: str) -> int | None:
    """Where a search of all periods finds the first one."""
    lengths = [(period, cycle_length(period)) for period in range(1, MAX_PERIOD + 1)]
    return next(
        (
            end
            for end in range(WINDOW, len(text) + 1, STRIDE)
            if any(
                text[end - length + period : end] == text[end - length : end - period]
                for period, length in lengths
                if length <= end
            )
        ),
        None,
    )


@given(tricky, sizes)
@examples(50)
def test_it_fires_exactly_where_a_search_of_all_periods_does(text: str, chunks: list[int]) -> None:
    expected = end_of_the_first_cycle(text)
    assert fires_after(text, CycleDetector) == expected
    assert fires(cut(text, chunks), CycleDetector) == fires([text], CycleDetector) == (expected is not None)


def count(start: int, length: int) -> str:
    return "".join(f" {number}" for number in range(start, start + length))[:length]


# Units of which parts stand in them more than once, or of much of one character: here the wrong place would be found.
UNITS = {
    "a, a, b": count(0, 900) * 2 + count(5_000, 700),
    "a, b, a": count(0, 900) + count(5_000, 700) + count(0, 900),
    "a, a, a, b": count(0, 500) * 3 + count(5_000, 500),
    "nearly two halves": count(0, 1_500) + "!" + count(0, 1_500),
    "a rule and text": "-" * 1_300 + count(0, 600),
    "text between rules": "-" * 900 + count(0, 900) + "-" * 900,
    "a short cycle and text": "ab, cd, " * 160 + count(0, 300),
}


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_that_repeats_itself_is_found_as_soon_as_by_a_search_of_all_periods(name: str) -> None:
    text = f"A short remark goes before.\n{UNITS[name] * 3}"
    expected = end_of_the_first_cycle(text)
    assert expected is not None
    assert fires_after(cut(text, [STRIDE]), CycleDetector) == -(-expected // STRIDE)


LONG_PERIODS = (601, 650, 694, 799, 1_049, 1_050, 1_051, 1_400, 2_690, 4_000, 5_500, 6_400, MAX_PERIOD)


@pytest.mark.parametrize(
    "before", ["", "We begin with a remark that does not come back.\n" * 2, "1. " + count(50_000, 9_000)]
)
@pytest.mark.parametrize("period", LONG_PERIODS)
def test_a_long_cycle_is_reported_behind_two_and_a_third_copies(period: int, before: str) -> None:
    unit = count(10_000, period)
    pieces = cut(before + unit * 4, [7])
    fed = fires_after(pieces, CycleDetector)
    assert fed is not None
    assert 0 <= 7 * fed - len(before) - cycle_length(period) < STRIDE + 7
    assert not fires(cut(before + unit * 2 + unit[: period // 4], [7]), CycleDetector)


def test_paragraphs_that_begin_alike_and_come_back_are_a_loop() -> None:
    ideas = [
        "the base",
        "the height of the cone",
        "a ratio of the two volumes",
        "the angle at the apex",
        "nothing at all",
    ]
    paragraphs = [
        f"{start}, maybe we are meant to start from {idea}, which would leave h open, so that no number can come out, "
        f"unless {other} is given somewhere that we have not read yet.\n\n"
        for start, idea, other in zip(["Wait", "Wait", "Alternatively", "Wait", "Hmm"], ideas, ideas[::-1], strict=True)
    ]
    unit = "".join(paragraphs)
    assert len(unit) > PARAGRAPH
    count = fires_after(cut("So far so good.\n" + unit * 9, [12]))
    assert count is not None and 12 * count < 2.6 * len(unit) + 2 * STRIDE


@pytest.mark.parametrize("size", [700, 1_400, 3_000, 6_000])
def test_a_program_shown_twice_and_begun_again_is_no_loop(size: int) -> None:
    program = "".join(f"if n % {n} == {n * n % 11}:\n    total += f({n})\n" for n in range(2, 400))[:size]
    assert not fires(cut(f"```python\n{program}```\nAgain:\n" * 2 + f"```python\n{program[: size // 4]}\nx = 1", [9]))


@given(tricky, prose)
@settings(deadline=None)
def test_a_verdict_stays(text: str, after: str) -> None:
    detector = RepetitionDetector()
    verdict = detector.feed(text)
    assert detector.feed("") == verdict
    if verdict:
        assert detector.feed(after)


@pytest.mark.parametrize("excess", [1, 2, 99, 500, 6_000])
def test_a_longer_cycle_than_the_longest_is_not_one(excess: int) -> None:
    assert not fires([count(0, MAX_PERIOD + excess) * 3], CycleDetector)


numbers = st.integers(0, 10**6)


def zero_matrix(size: int) -> str:
    rows = " \\\\\n".join(" & ".join("0" * size) for _ in range(size))
    return f"$$A = \\begin{{pmatrix}}\n{rows}\n\\end{{pmatrix}}$$\nIts rank is 0, so\n"


LEGITIMATE = {
    "enumeration": "".join(f"n={n}: the sum is {n * (n + 1) // 2}.\n" for n in range(1, 400)),
    "cases": "".join(f"Case {n}: then a_{n} = 0, which is impossible.\n" for n in range(1, 200)),
    "zero matrices": "".join(map(zero_matrix, range(2, 18))),
    "zeros in a row": "[" + ", ".join(["0"] * 300) + "], and then 1, 0, 0, 1.",
    "rules": "".join(f"{'-' * 200}\n| {n} | {n**2} |\n" for n in range(40)),
    "table": "".join(f"| {n:4d} | {n % 2} | 0 | 0 | 0 |\n|------|---|---|---|---|\n" for n in range(300)),
    "polynomial": " + ".join(f"x^{{{n}}}y^{{{200 - n}}}" for n in range(200)),
    "expansion": " + ".join(["(x+1)(x-1)"] * 100) + " = 100(x^2 - 1)",
    "powers": "\n".join(f"2^{n} mod 7 = {2**n % 7}" for n in range(300)),
    "residues": ", ".join(str(n * n % 12) for n in range(200)),
    "recurring decimal": "1/7 = 0." + "142857" * 200 + "...",
    "digits of 2^4000": str(2**4_000),
    "a sentence four times": "Wait, let me check that again, since the sign of the second term might be wrong. " * 4,
    "a program twice": "".join(f"total += f({n}) * g({n})\n" for n in range(60)) * 2,
    "binary": "".join(f"{n:08b} " for n in range(256)),
}


@pytest.mark.parametrize("name", LEGITIMATE)
def test_mathematics_is_no_loop(name: str) -> None:
    assert fires_after(f"First.\n{LEGITIMATE[name]}\nSo we are done.") is None


@given(st.lists(st.tuples(st.sampled_from(sorted(LEGITIMATE)), numbers), max_size=4))
def test_a_chain_of_mathematics_is_no_loop(parts: list[tuple[str, int]]) -> None:
    text = "".join(f"Step {index}, {n}: {LEGITIMATE[name]}\n" for index, (name, n) in enumerate(parts))
    assert not fires([text])


@given(st.text("0 ", min_size=1, max_size=6), st.lists(numbers, min_size=30, max_size=60))
def test_lines_that_differ_are_no_loop(filler: str, values: list[int]) -> None:
    lines = [f"{index}: {looped(filler, 150)} {value}\n" for index, value in enumerate(values)]
    assert not fires(lines)


@pytest.mark.parametrize("kind", quick_cases(3, KINDS))
def test_no_false_alarm_in_a_thousand_long_texts(kind: Callable[[Random], str]) -> None:
    assert len(KINDS) * TEXTS_OF_A_KIND > 1_000
    assert [seed for seed in range(TEXTS_OF_A_KIND) if fires([solution(kind, seed)])] == []


@pytest.mark.further
def test_memory_is_bounded() -> None:
    detector = RepetitionDetector()
    for text in (
        "".join(map(str, range(200_000))),
        " ".join(map(str, range(200_000))),
        "\u4e00 long" * 2,
        "\u0431" * 10**5,
    ):
        detector.feed(text)
        assert len(pickle.dumps(detector)) < 100_000


@pytest.mark.parametrize("unit", ["0", "".join(map(str, range(300))), "0" * 1_300 + "1"])
def test_time_grows_with_length_only(unit: str) -> None:
    short = min(processor_seconds(looped(unit, 20_000)) for _ in range(3))
    # Eight times the text: 8 where the cost is linear, 64 where it is quadratic.
    assert takes_less(looped(unit, 160_000), 30 * max(short, 1e-3))


def test_a_second_of_64_lanes_costs_little() -> None:
    # 64 lanes at 30 tokens a second are about 8,000 characters a second.
    text = "".join(kind(Random(0))[:2_500] for kind in KINDS)
    assert takes_less(text, 0.1 * len(text) / 8_000)
