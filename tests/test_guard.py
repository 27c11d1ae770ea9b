from __future__ import annotations

import math
import pickle
import re
import time
from collections.abc import Callable, Iterable
from itertools import accumulate, chain, cycle, pairwise, permutations, product, takewhile
from random import Random
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.guard import MAX_PERIOD, STRIDE, WINDOW, CycleDetector, NearRepeatDetector, RepetitionGuard

Detector = type[CycleDetector] | type[NearRepeatDetector] | type[RepetitionGuard]


def fires(pieces: Iterable[str], detector: Detector = RepetitionGuard) -> bool:
    guard = detector()
    verdict = False
    for piece in pieces:
        verdict = guard.feed(piece)
    return verdict


def fires_after(pieces: Iterable[str], detector: Detector = RepetitionGuard) -> int | None:
    """How many pieces (of a string: characters) are fed until the guard fires."""
    guard = detector()
    return next((count for count, piece in enumerate(pieces, 1) if guard.feed(piece)), None)


def cut(text: str, sizes: list[int]) -> list[str]:
    bounds = list(takewhile(lambda bound: bound < len(text), accumulate(cycle(sizes), initial=0)))
    return [text[start:end] for start, end in pairwise([*bounds, len(text)])]


def cycle_of(seed: str, period: int) -> str:
    """A text of `period` characters that begins with the seed and is otherwise a count."""
    return (seed + "".join(f" {number}" for number in range(period)))[:period]


def looped(unit: str, length: int) -> str:
    return (unit * (length // len(unit) + 1))[:length]


prose = st.text(st.characters(codec="utf-8"), max_size=400)
sizes = st.lists(st.integers(1, 40), min_size=1, max_size=10)
# Any text up to 100 characters long, or a longer one with a known shape: random text of 600 draws is slow to make.
cycles = st.one_of(
    st.text(min_size=1, max_size=100), st.builds(cycle_of, st.text(max_size=9), st.integers(1, MAX_PERIOD))
)


@given(prose, cycles, sizes)
def test_a_loop_is_reported_soon_after_it_starts(before: str, loop: str, chunks: list[int]) -> None:
    text = before + looped(loop, WINDOW + STRIDE - 1)
    assert fires(cut(text, chunks))
    assert fires_after(text) is not None


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


@given(tricky, sizes)
@settings(deadline=None)
def test_it_fires_exactly_where_a_search_of_all_periods_does(text: str, chunks: list[int]) -> None:
    windows = {end: text[end - WINDOW : end] for end in range(WINDOW, len(text) + 1, STRIDE)}
    expected = next(
        (
            end
            for end, window in windows.items()
            if any(window[period:] == window[:-period] for period in range(1, MAX_PERIOD + 1))
        ),
        None,
    )
    assert fires_after(text, CycleDetector) == expected
    assert fires(cut(text, chunks), CycleDetector) == fires([text], CycleDetector) == (expected is not None)


@given(tricky, prose)
@settings(deadline=None)
def test_a_verdict_stays(text: str, after: str) -> None:
    guard = RepetitionGuard()
    verdict = guard.feed(text)
    assert guard.feed("") == verdict
    if verdict:
        assert guard.feed(after)


@given(st.integers(1, MAX_PERIOD))
def test_a_longer_cycle_than_the_longest_is_not_one(excess: int) -> None:
    assert not fires([looped(cycle_of("", MAX_PERIOD + excess), 6_000)], CycleDetector)
    assert fires([looped(cycle_of("", MAX_PERIOD), 2_000)], CycleDetector)


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


# Long texts as a solution has them, of many kinds, each different for each seed.


def lines(line: Callable[[int], str], start: int = 1, stop: int = 250) -> str:
    return "".join(f"{line(n)}\n" for n in range(start, stop))


def is_square(n: int) -> bool:
    return n >= 0 and math.isqrt(n) ** 2 == n


def table(rng: Random) -> str:
    power, modulus = rng.randint(2, 5), rng.randint(5, 30)
    head = f"| n | n^{power} | mod {modulus} | prime |\n|---|---|---|---|\n"
    return head + lines(lambda n: f"| {n} | {n**power} | {n**power % modulus} | {'yes' if n % 6 in (1, 5) else 'no'} |")


def divisible(rng: Random) -> str:
    add, prime = rng.randint(1, 9), rng.choice([5, 7, 13])
    return lines(
        lambda n: (
            f"If n = {n} then n^2+{add} = {n * n + add}, which is {'not ' if (n * n + add) % prime else ''}"
            f"divisible by {prime}."
        )
    )


def search(rng: Random) -> str:
    add = rng.randint(20, 99)
    return lines(
        lambda n: (
            f"Let me try x = {n}: then x squared plus {add} equals {n * n + add}, and the square root of that is about "
            f"{math.sqrt(n * n + add):.3f}, so it is {'' if is_square(n * n + add) else 'not '}a perfect square, and "
            f"this {'works' if is_square(n * n + add) else 'does not work'}."
        ),
        stop=70,
    )


def discriminants(rng: Random) -> str:
    c = rng.randint(3, 12)
    verdicts = {
        -1: "negative, so there are no real roots and this case gives nothing",
        0: "positive but not a perfect square, so the roots are irrational and this case gives nothing",
        1: "a perfect square, so the roots are rational and we have to look at them",
    }

    def verdict(d: int) -> str:
        return verdicts[-1 if d < 0 else int(is_square(d))]

    return lines(
        lambda b: (
            f"Case b = {b}: the discriminant is b^2 - 4c = {b * b} - {4 * c} = {b * b - 4 * c}, which is "
            f"{verdict(b * b - 4 * c)}."
        ),
        stop=80,
    )


def constant_phrase(rng: Random) -> str:
    modulus = rng.randint(7, 40)
    phrase = "this leaves no room for the remaining terms, so by the bound above the case is impossible as well"
    return lines(lambda n: f"Case {n}: the left side is {n * n} and leaves {n * n % modulus}; {phrase}.", stop=70)


def two_numbers_far_apart(rng: Random) -> str:
    modulus = rng.randint(50, 97)
    return lines(
        lambda n: (
            f"Let us look at n = {n} now: the number of divisors turns out to be {math.comb(n, 2) % modulus} in this "
            "case, which is not what we want, because the condition of the problem asks for exactly as many divisors "
            "as there are digits, so we go on to the next value."
        ),
        stop=50,
    )


def coins(rng: Random) -> str:
    def line(_: int) -> str:
        (a, b), x, y = rng.sample(["Alice", "Bob", "Carol", "Dave", "Erin"], 2), rng.randint(2, 40), rng.randint(2, 40)
        return (
            f"Suppose {a} takes {x} coins and {b} takes {y} coins. Then {x + y} coins are gone, and the remaining "
            f"{100 - x - y} coins are split among the other three in {math.comb(102 - x - y, 2)} ways."
        )

    return lines(line, stop=60)


def truth_table(rng: Random) -> str:
    names = "PQRST"[: rng.randint(3, 5)]
    rows = list(product("TF", repeat=len(names)))
    short = "".join(f"{' | '.join(row)} | {rng.choice('TF')}\n" for row in rows)
    words = {"T": "true", "F": "false"}
    long = "".join(
        f"If {' and '.join(f'{name} is {words[v]}' for name, v in zip(names, row, strict=True))}, then the formula is "
        f"{words[rng.choice('TF')]}.\n"
        for row in rows
    )
    return (short + long) * 3


def binary(rng: Random) -> str:
    width = rng.randint(8, 10)
    return lines(lambda n: f"{n:0{width}b}", 0, 400) + lines(
        lambda n: f"{n} in binary is {n:b}, which has {n.bit_count()} ones."
    )


def matrices(rng: Random) -> str:
    size = rng.randint(3, 6)

    def step(n: int) -> str:
        rows = " \\\\\n".join(" & ".join(str(rng.randint(-3, 3)) for _ in range(size)) for _ in range(size))
        return (
            f"Step {n}: subtracting a multiple of row {rng.randint(1, size)} gives\n"
            f"$$\\begin{{pmatrix}}\n{rows}\n\\end{{pmatrix}}$$"
        )

    return lines(step, stop=50)


def latex_table(rng: Random) -> str:
    rows = lines(
        lambda n: (
            f"\\hline {n} & {rng.randint(0, 9)} & {rng.randint(0, 9)} & \\text{{{rng.choice(['yes', 'no'])}}} \\\\"
        )
    )
    return f"\\begin{{tabular}}{{|c|c|c|c|}}\n{rows}\\end{{tabular}}\n"


def fractions(rng: Random) -> str:
    return lines(
        lambda n: f"\\frac{{{rng.randint(1, 99)}}}{{{n}}} + \\frac{{{n}}}{{{n + 1}}} = {rng.random():.4f}, \\quad"
    )


def functions(rng: Random) -> str:
    return "```python\n" + lines(
        lambda n: (
            f"def check_{n}(n):\n    for k in range(1, n + 1):\n"
            f"        if {rng.choice(['gcd', 'lcm', 'phi', 'tau'])}(k, n) == {rng.randint(1, 9)}:\n"
            f"            return True\n    return False\n\nprint(check_{n}({rng.randint(5, 500)}))"
        ),
        stop=35,
    )


def code_shown_twice(rng: Random) -> str:
    block = "```python\n" + lines(
        lambda n: f"x{n} = f({rng.randint(0, 99)}) + g({rng.choice('abcdef')}, {n})\nassert x{n} % {n + 1} == {n % 7}"
    )
    return f"{block[:2_500]}\n```\nLet me write it again with the bound mended.\n{block[:2_500]}\n```\n"


def output(rng: Random) -> str:
    return lines(lambda n: f"n={n} a={rng.randint(0, 999)} b={rng.randint(0, 99)} ok={rng.choice(['True', 'False'])}")


def series(rng: Random) -> str:
    top = rng.randint(40, 60)
    return " + ".join(f"\\frac{{(-1)^{{{n}}} x^{{{2 * n + 1}}}}}{{{2 * n + 1}!}}" for n in range(top)) + lines(
        lambda n: (
            f"The coefficient of x^{{{n}}} in the expansion is \\binom{{{top}}}{{{n}}} = {math.comb(top, n)}, and with "
            f"the sign it contributes {(-1) ** n * math.comb(top, n)}."
        ),
        stop=top,
    )


def powers(rng: Random) -> str:
    base, prime = rng.randint(2, 30), rng.choice([101, 251, 997])
    return lines(lambda n: f"{base}^{n} ≡ {pow(base, n, prime)} (mod {prime})", stop=90) + lines(
        lambda n: (
            f"Next, {base}^{n} is {base} times {pow(base, n - 1, prime)}, which is {base * pow(base, n - 1, prime)}, "
            f"and reducing this modulo {prime} we get {pow(base, n, prime)}."
        ),
        stop=60,
    )


def residues(rng: Random) -> str:
    modulus = rng.randint(7, 12)

    def line(x: int, y: int) -> str:
        left, right = (x * x + y * y) % modulus, (x * y + 1) % modulus
        return (
            f"When x is {x} and y is {y} modulo {modulus}, the left side is {left}, which is "
            f"{'' if left == right else 'not '}equal to the right side, so this pair of residues is "
            f"{'possible' if left == right else 'impossible'}.\n"
        )

    return "".join(line(x, y) for x in range(modulus) for y in range(modulus))


def nested_cases(rng: Random) -> str:
    total = rng.randint(80, 120)

    def line(a: int, b: int) -> str:
        verdict = "not an integer, so we move on to the next pair" if (total - a * b) % (a + b) else "an integer"
        return f"With b = {b} we would need c = {total - a * b}/{a + b}, which is {verdict}.\n"

    return "".join(f"Now suppose that a = {a}.\n" + "".join(line(a, b) for b in range(1, 10)) for a in range(1, 10))


def dice(rng: Random) -> str:
    modulus = rng.randint(2, 5)
    return "".join(
        f"If the first die shows {a} and the second die shows {b}, then the sum is {a + b}, which is "
        f"{'not ' if (a + b) % modulus else ''}a multiple of {modulus}, so this outcome "
        f"{'does not count' if (a + b) % modulus else 'counts'} towards the total that we want to find.\n"
        for a, b in product(range(1, 7), repeat=2)
    )


def edges(rng: Random) -> str:
    def line(_: int) -> str:
        a, b = rng.sample(range(1, 12), 2)
        return (
            f"Vertex {a} is joined to vertex {b} by an edge of colour {rng.choice(['red', 'blue', 'green'])}, so the "
            f"degree of vertex {a} goes up by one and the degree of vertex {b} goes up by one as well."
        )

    return lines(line, stop=60)


def games(rng: Random) -> str:
    moves = sorted(rng.sample(range(1, 8), 3))
    losing: set[int] = set()

    def line(n: int) -> str:
        if not any(n - move in losing for move in moves):
            losing.add(n)
        reason = (
            "none of them is losing, this is a losing" if n in losing else "one of them is losing, this is a winning"
        )
        options = " or ".join(str(max(n - move, 0)) for move in moves)
        return (
            f"From position {n} the player can move to {options}, and since {reason} position for the player to move."
        )

    return lines(line, stop=70)


def long_division(rng: Random) -> str:
    divisor, steps = rng.choice([331, 337, 461, 491, 499]), []
    remainder = rng.randint(1, divisor - 1)
    for _ in range(60):
        quotient, product_, ten = remainder * 10 // divisor, remainder * 10 // divisor * divisor, remainder * 10
        remainder = ten - product_
        steps.append(
            f"Bring down a 0: we have {ten}. {divisor} goes into {ten} {quotient} times, since {divisor} * {quotient} "
            f"= {product_}. The remainder is {remainder}.\n"
        )
    return "".join(steps)


def euclid(rng: Random) -> str:
    steps = []
    for _ in range(12):
        a, b = rng.randint(10**3, 10**6), rng.randint(10**3, 10**6)
        while b:
            steps.append(f"{a} = {a // b} * {b} + {a % b}\n")
            steps.append(f"Dividing {a} by {b} gives quotient {a // b} and remainder {a % b}, so we go on with {b}.\n")
            a, b = b, a % b
        steps.append(f"So the greatest common divisor is {a}.\n")
    return "".join(steps)


def continued_fraction(rng: Random) -> str:
    steps = []
    for number in rng.sample([n for n in range(2, 3_000) if not is_square(n)], 12):
        root = math.isqrt(number)
        m, d, a = 0, 1, root
        while a != 2 * root:
            m = d * a - m
            d = (number - m * m) // d
            a = (root + m) // d
            steps.append(
                f"The next complete quotient is (\\sqrt{{{number}}} + {m}) / {d}, whose integer part is {a}; subtract "
                "it and take the reciprocal.\n"
            )
    return "".join(steps)


def polynomials(rng: Random) -> str:
    def line(n: int) -> str:
        terms = " + ".join(f"{rng.randint(-9, 9)}x^{power}" for power in range(4, -1, -1))
        value = f"takes the value {rng.randint(-99, 99)} at x = {rng.randint(-5, 5)}, so it has no root there"
        return f"p_{n}(x) = {terms}" if n < 70 else f"The polynomial {terms} {value}."

    return lines(line, stop=130)


def coordinates(rng: Random) -> str:
    return lines(
        lambda n: (
            f"Point P_{n} has coordinates ({rng.randint(-20, 20)}, {rng.randint(-20, 20)}), and its distance from the "
            f"origin is {rng.random() * 20:.3f}."
        ),
        stop=70,
    ) + ", ".join(f"({x}, {y})" for x, y in product(range(15), repeat=2))


def inversions(rng: Random) -> str:
    orders = rng.sample(list(permutations(range(1, 6))), 90)
    return "".join(
        f"The permutation {' '.join(map(str, order))} has {sum(a > b for a, b in pairwise(order))} descents, so its "
        f"term enters the sum with the sign {(-1) ** sum(order[::2])}.\n"
        for order in orders
    )


def recurrence(rng: Random) -> str:
    values = [rng.randint(1, 5), rng.randint(1, 5)]
    for _ in range(100):
        values.append((values[-1] + 2 * values[-2]) % 10_007)
    return lines(
        lambda n: f"a_{{{n}}} = a_{{{n - 1}}} + 2 a_{{{n - 2}}} = {values[n - 1]} + {2 * values[n - 2]} = {values[n]}",
        2,
        100,
    )


def induction(rng: Random) -> str:
    start = rng.randint(1, 30)
    return lines(
        lambda n: (
            f"Assume the claim for n = {n}. Then the sum of the first {n + 1} terms is {n * n} + {2 * n + 1} = "
            f"{(n + 1) ** 2}, which is the square of {n + 1}, so the claim holds for n = {n + 1}."
        ),
        start,
        start + 50,
    )


def digit_sums(rng: Random) -> str:
    numbers = rng.sample(range(10_000), 90)
    return "".join(
        f"The digit sum of {n} is {' + '.join(str(n))} = {sum(map(int, str(n)))}, which is "
        f"{'not ' if n % 9 else ''}a multiple of 9.\n"
        for n in numbers
    )


def knights(rng: Random) -> str:
    names = rng.sample(["Ann", "Ben", "Cid", "Dot", "Eve", "Fay", "Gus"], 5)

    def line(kinds: tuple[str, ...]) -> str:
        first, second = rng.choices(["true", "false"], k=2)
        return (
            f"Suppose that {', '.join(f'{name} is a {kind}' for name, kind in zip(names, kinds, strict=True))}. Then "
            f"the statement of {names[0]} would be {first} and the statement of {names[1]} would be {second}, which is "
            f"{rng.choice(['a contradiction', 'consistent'])}.\n"
        )

    return "".join(map(line, product(("knight", "knave"), repeat=5)))


KINDS = (
    *(table, divisible, search, discriminants, constant_phrase, two_numbers_far_apart, coins, truth_table, knights),
    *(binary, matrices, latex_table, fractions, functions, code_shown_twice, output, series, powers, residues, dice),
    *(nested_cases, edges, games, long_division, euclid, continued_fraction, polynomials, coordinates, inversions),
    *(recurrence, induction, digit_sums),
)
TEXTS_OF_A_KIND = 32


def solution(kind: Callable[[Random], str], seed: int) -> str:
    """A text of that kind, cut somewhere, and the start of another."""
    rng = Random(f"{kind.__name__} {seed}")
    return f"{kind(rng)[: rng.randint(2_500, 4_500)]}\n{rng.choice(KINDS)(rng)[:800]}"


@pytest.mark.parametrize("kind", KINDS)
def test_no_false_alarm_in_a_thousand_long_texts(kind: Callable[[Random], str]) -> None:
    assert len(KINDS) * TEXTS_OF_A_KIND > 1_000
    assert [seed for seed in range(TEXTS_OF_A_KIND) if fires([solution(kind, seed)])] == []


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
    """A "Wait," or the like in front of some."""
    return [*rng.choice([[], ["Wait,"], ["Hmm,"], ["But", "wait,"]]), *copy]


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
    """Words of the loop until the guard fires."""
    guard = RepetitionGuard()
    assert not guard.feed(before)
    return next((count for count, word in enumerate(loop, 1) if guard.feed(f"{word} ")), None)


@pytest.mark.parametrize(("periods", "typical", "longest"), [((20, 85), 310, 350), ((86, 230), 760, 950)])
@pytest.mark.parametrize("edit", EDITS)
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
@settings(deadline=None, max_examples=40)
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
    text = "".join(f"等等,让我再检查一下第{n}种情况:左边不等于右边,所以这个和是错的。" for n in range(40))
    assert fires([text])


@pytest.mark.parametrize("places", [1, 2])
def test_a_loop_counts_in_one_place_only(places: int) -> None:
    copy = "Let me redo attempt {0} of this: the sum of all the digits must be even, but that is {1} and wrong again. "
    text = "".join(copy.format(n, n * n if places == 2 else 7) for n in range(100, 140))
    assert fires([text]) == (places == 1)


@given(seeds, st.sampled_from(EDITS), st.integers(20, 85))
def test_a_loop_of_few_different_words_may_differ(seed: int, edit: Edit, period: int) -> None:
    words = near_loop(Random(seed), edit, period, 1_000)
    few = [word if word in WORDS[:12] else "x" for word in words]
    assert not fires([" ".join(few)], NearRepeatDetector)


def test_memory_is_bounded() -> None:
    guard = RepetitionGuard()
    for text in (
        "".join(map(str, range(200_000))),
        " ".join(map(str, range(200_000))),
        "\u4e00 long" * 2,
        "\u0431" * 10**5,
    ):
        guard.feed(text)
        assert len(pickle.dumps(guard)) < 60_000


def processor_seconds(text: str) -> float:
    pieces, seconds = cut(text, [4]), []
    for _ in range(3):
        start = time.process_time()
        fires(pieces)
        seconds.append(time.process_time() - start)
    return min(seconds)


@pytest.mark.parametrize("unit", ["0", "".join(map(str, range(300))), "0" * 1_300 + "1"])
def test_time_grows_with_length_only(unit: str) -> None:
    short = processor_seconds(looped(unit, 20_000))
    long = processor_seconds(looped(unit, 160_000))
    # Eight times the text: 8 where the cost is linear, 64 where it is quadratic.
    assert long < 30 * max(short, 1e-3)


def test_a_second_of_64_lanes_costs_little() -> None:
    # 64 lanes at 30 tokens a second are about 8,000 characters a second.
    text = "".join(kind(Random(0))[:2_500] for kind in KINDS)
    assert processor_seconds(text) < 0.1 * len(text) / 8_000
