"""The bundled problems: every answer is computed anew, by search or by a second method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations, count, permutations
from math import factorial, isqrt
from pathlib import Path

import pytest
import sympy  # type: ignore[import-untyped]

from agent.editions import EDITIONS
from agent.problems import starter_problems
from agent.types import Edition


def pages() -> int:
    read, today = 0, 12
    for day in count(1):
        read, today = read + today, today + 5
        if read >= 546:
            assert read == 546  # or the statement would be vague about the last day
            return day
    raise AssertionError


def two_remainders() -> int:
    return max(n for n in range(100, 1000) if n % 11 == 5 and n % 13 == 7)


def twins() -> int:
    return sum(abs(order.index("I") - order.index("J")) == 3 for order in permutations("IJabcd"))


def rectangle() -> int:
    # A real solution is unique up to the order of the sides, so the whole one found is the only one.
    (area,) = {a * b for a in range(1, 41) for b in [41 - a] if a * a + b * b == 29 * 29}
    return area


def even_divisors() -> int:
    def parities(n: int) -> Counter[int]:
        return Counter(d % 2 for d in range(1, n + 1) if n % d == 0)

    return sum(found[0] == 3 * found[1] for found in map(parities, range(1, 1001)))


def cubic() -> int:
    # The companion matrix C has the roots as eigenvalues, so the product is det(C^2 + 4I).
    companion = sympy.Matrix([[0, 0, -3], [1, 0, 5], [0, 1, 4]])
    x = sympy.Symbol("x")
    assert companion.charpoly(x).as_expr() == x**3 - 4 * x**2 - 5 * x + 3
    return int((companion**2 + 4 * sympy.eye(3)).det())


def routes() -> int:
    words = ("".join("R" if i in rights else "U" for i in range(12)) for rights in combinations(range(12), 6))
    return sum("RRR" not in word and "UUU" not in word for word in words)


def quadrilateral() -> int:
    # A = (0, 0) and C = (65, 0); B above and D below the diagonal AC follow from their distances to both.
    ab, bc, cd = 39, 52, 60
    ac = isqrt(ab**2 + bc**2)
    ad = isqrt(ac**2 - cd**2)
    assert (ac**2, ad**2) == (ab**2 + bc**2, ac**2 - cd**2)
    (bx, by), (dx, dy) = (
        (Fraction(a**2 + ac**2 - c**2, 2 * ac), sign * Fraction(a * c, ac))
        for a, c, sign in ((ab, bc, 1), (ad, cd, -1))
    )
    assert bx**2 + by**2 == ab**2
    assert dx**2 + dy**2 == ad**2
    square = (bx - dx) ** 2 + (by - dy) ** 2
    assert square == isqrt(int(square)) ** 2
    return isqrt(int(square))


def sphere() -> int:
    # The largest value of a quadratic form on a sphere is its largest eigenvalue times the squared radius.
    form = sympy.Matrix([[0, 3, 0], [3, 0, 4], [0, 4, 0]]) / 2
    return int(200 * max(form.eigenvals()))


def beads() -> int:
    circles = (f"{black:012b}" for black in range(2**12))
    proper = (circle for circle in circles if "11" not in circle + circle[0])
    return len({min(circle[k:] + circle[:k] for k in range(12)) for circle in proper})


def double_angles() -> int:
    def is_wanted(a: int, b: int, c: int) -> bool:
        sides = ((a, b, c), (b, c, a), (c, a, b))
        cosines = [Fraction(y * y + z * z - x * x, 2 * y * z) for x, y, z in sides]
        # Exact, and enough: 2x and 360 - 2x share a cosine, but the latter is too large beside an angle x.
        return any(double == 2 * single**2 - 1 for single, double in permutations(cosines, 2))

    triangles = ((a, b, c) for a in range(1, 34) for b in range(a, 50) for c in range(b, min(a + b, 101 - a - b)))
    return sum(is_wanted(*triangle) for triangle in triangles)


def powers_of_two() -> int:
    # With e(n) the exponent of 2 in n!, the gap n - e(n) is the same for 2m as for m, and larger by 1 for 2m + 1.
    def gap(n: int) -> int:
        product = factorial(n)
        return n - ((product & -product).bit_length() - 1)

    assert all(gap(2 * m + bit) == gap(m) + bit for m in range(300) for bit in (0, 1))
    numbers_with_gap = Counter({0: 1})  # of the numbers below 2^0, then below 2^1, up to 2^40
    for _ in range(40):
        shifted = Counter({size + 1: number for size, number in numbers_with_gap.items()})
        numbers_with_gap += shifted
    assert numbers_with_gap.total() == 2**40
    assert gap(1) != 2  # n = 1 is below the range of the statement
    return numbers_with_gap[2]


# By difficulty: 01 to 04 arithmetic-contest level, 05 to 09 AMC and MATH level, 10 to 12 AIME level.
# By field: algebra 01, 06, 09; number theory 02, 05, 12; combinatorics 03, 07, 10; geometry 04, 08, 11.
# Search by a short program does not reach 09 (a maximum over the reals) and 12 (2^40 numbers), and 11 needs care.
PROOFS: dict[str, Callable[[], int]] = {
    "starter-01": pages,
    "starter-02": two_remainders,
    "starter-03": twins,
    "starter-04": rectangle,
    "starter-05": even_divisors,
    "starter-06": cubic,
    "starter-07": routes,
    "starter-08": quadrilateral,
    "starter-09": sphere,
    "starter-10": beads,
    "starter-11": double_angles,
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
