"""The bundled problems: every answer is computed anew, by search or by a second method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import permutations
from math import factorial
from pathlib import Path

import pytest

from agent.editions import EDITIONS
from agent.problems.reader import starter_problems
from agent.types import Edition


def multiples() -> int:
    # Multiples of 6 less multiples of 24, each counted by its quotient.
    return (2000 // 6 - 199 // 6) - (2000 // 24 - 199 // 24)


def two_remainders() -> int:
    return max(n for n in range(100, 1000) if n % 11 == 5 and n % 13 == 7)


def two_powers() -> int:
    seven = nine = 1
    for _ in range(2026):
        seven, nine = seven * 7 % 1000, nine * 9 % 1000
    return (seven + nine) % 1000


def four_digits() -> int:
    return sum(digits[0] != 0 and sum(digits) == 20 for digits in permutations(range(10), 4))


def triangles() -> int:
    # With the longest side c, the two others are a <= b <= c with a + b > c: floor((c + 1)^2 / 4) pairs.
    return sum((c + 1) ** 2 // 4 for c in range(1, 21))


def sum_and_product() -> int:
    divisors = [d for d in range(1, 441) if 440 % d == 0]
    found = {(a, b, 24 - a - b) for a in divisors for b in divisors if a * b * (24 - a - b) == 440}
    ((a, b, c),) = {tuple(sorted(each)) for each in found if min(each) > 0}
    return a * b + b * c + c * a


def sparse_subsets() -> int:
    # free[r] and taken[r] count the subsets of {1..n} with sum r modulo 3, by whether they hold n.
    free, taken = [1, 0, 0], [0, 0, 0]
    for n in range(1, 15):
        free, taken = [free[r] + taken[r] for r in range(3)], [free[(r - n) % 3] for r in range(3)]
    return free[0] + taken[0]


def sums_of_squares() -> int:
    squares = Counter(a * a % 25 for a in range(1, 61))
    return sum(number * squares[-residue % 25] for residue, number in squares.items())


def quadratic_recurrence() -> int:
    # The pairs of neighbours repeat sooner or later; read the term off the cycle.
    pairs: dict[tuple[int, int], int] = {}
    pair = (1, 3)
    while pair not in pairs:
        pairs[pair] = len(pairs)
        pair = (pair[1], (pair[1] ** 2 + pair[0]) % 997)
    start, length = pairs[pair], len(pairs) - pairs[pair]
    index = 2025 if len(pairs) > 2025 else start + (2025 - start) % length
    return list(pairs)[index][0]


def points_above_the_line() -> int:
    # By symmetry half of the points that are not on the line.
    inside = [(x, y) for x in range(-15, 16) for y in range(-15, 16) if x * x + y * y < 200]
    return sum(x != y for x, y in inside) // 2


def beads() -> int:
    circles = (f"{black:012b}" for black in range(2**12))
    proper = (circle for circle in circles if "11" not in circle + circle[0])
    return len({min(circle[k:] + circle[:k] for k in range(12)) for circle in proper})


def powers_of_two() -> int:
    # With e(n) the exponent of 2 in n!, the gap n - e(n) is the same for 2m as for m, and larger by 1 for 2m + 1.
    def gap(n: int) -> int:
        product = factorial(n)
        return n - ((product & -product).bit_length() - 1)

    assert all(gap(2 * m + bit) == gap(m) + bit for m in range(300) for bit in (0, 1))
    numbers_with_gap = Counter({0: 1})  # for the numbers below 2^0, then below 2^1, up to 2^40
    for _ in range(40):
        shifted = Counter({size + 1: number for size, number in numbers_with_gap.items()})
        numbers_with_gap += shifted
    assert numbers_with_gap.total() == 2**40
    assert gap(1) != 2  # n = 1 is below the range of the statement
    return numbers_with_gap[2]


# By difficulty: 01 to 05 arithmetic-contest level, 06 to 08 AMC and MATH level, 09 to 12 AIME level.
# By field: algebra 06, 09; number theory 01, 02, 03, 08, 12; combinatorics 04, 07, 11; geometry 05, 10.
# Search by a short program does not reach 12 (2^40 numbers), and 11 needs care with rotations.
PROOFS: dict[str, Callable[[], int]] = {
    "starter-01": multiples,
    "starter-02": two_powers,
    "starter-03": two_remainders,
    "starter-04": four_digits,
    "starter-05": triangles,
    "starter-06": sum_and_product,
    "starter-07": sparse_subsets,
    "starter-08": sums_of_squares,
    "starter-09": quadratic_recurrence,
    "starter-10": points_above_the_line,
    "starter-11": beads,
    "starter-12": powers_of_two,
}


@pytest.mark.parametrize("id_", PROOFS)
def test_the_answer_is_right(id_: str) -> None:
    answers = {problem.id: problem.answer for problem in starter_problems()}
    assert answers[id_] == PROOFS[id_]()


def test_every_problem_has_its_proof_and_keeps_its_place() -> None:
    assert [problem.id for problem in starter_problems()] == list(PROOFS)


@pytest.mark.parametrize("edition", EDITIONS.values(), ids=EDITIONS)
def test_the_answers_are_valid_in_every_edition(edition: Edition) -> None:
    assert all(
        problem.answer is not None and 0 <= problem.answer <= edition.max_answer for problem in starter_problems()
    )


def test_the_statements_are_short_plain_and_different() -> None:
    texts = [problem.text for problem in starter_problems()]
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert text.isascii()
        assert text.isprintable()
        assert text == text.strip()
        assert len(text) <= 350
        assert text.count("$") % 2 == 0
        assert text.count("{") == text.count("}")


def test_they_load_from_any_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(starter_problems()) == len(PROOFS)
