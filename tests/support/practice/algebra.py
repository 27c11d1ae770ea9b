"""The answers of the practice set's algebra, computed anew by search or by a second method."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import accumulate, combinations, count, pairwise
from math import cos, isqrt, pi

from sympy import Matrix, Poly, eye, factor_list  # type: ignore[import-untyped]
from sympy.abc import x  # type: ignore[import-untyped]


def terms_of_a_sum() -> int:
    sums = accumulate(count(15, 3))
    return next(number for number, total in enumerate(sums, start=1) if total > 10_000)


def cubic_by_differences() -> int:
    rows = [[5, 7, 23, 71]]
    while len(rows) < 4:
        rows.append([later - earlier for earlier, later in pairwise(rows[-1])])
    ends = [row[-1] for row in rows]
    for _ in range(4, 11):  # from p(3) to p(10), the third difference staying what it is
        ends = [sum(ends[rank:]) for rank in range(4)]
    return ends[0]


def sum_of_floors() -> int:
    # Each term counts the positive multiples of 7 up to k squared.
    return sum(k * k >= multiple for multiple in range(7, 10_001, 7) for k in range(1, 101))


def halving_function() -> int:
    values = [0, 2]
    for n in range(2, 2027):
        half = values[n // 2]
        values.append(half + n // 2 if n % 2 else 3 * half - 1)
    return values[2026]


def additive_up_to_a_product() -> int:
    values = [0, 3]
    for n in range(1, 60):
        values.append(values[n] + values[1] + n * (n + 1))
    assert all(values[m + n] == values[m] + values[n] + m * n * (m + n) for m in range(1, 60) for n in range(1, 61 - m))
    return values[60]


def sixth_powers() -> int:
    # Both are roots of t^2 - 8t + q, so the sums of powers have s(n + 2) = 8 s(n + 1) - q s(n).
    def sums(q: int) -> list[int]:
        found = [2, 8]
        while len(found) < 7:
            found.append(8 * found[-1] - q * found[-2])
        return found

    (product,) = (q for q in range(-100, 17) if sums(q)[3] == 200)  # at most 16, as they are real
    return sums(product)[6]


def product_over_roots() -> int:
    # The roots are the eigenvalues of the companion matrix.
    companion = Matrix([[0, 0, 0, 5], [1, 0, 0, -6], [0, 1, 0, -7], [0, 0, 1, 6]])
    assert companion.charpoly(x) == Poly(x**4 - 6 * x**3 + 7 * x**2 + 6 * x - 5, x)
    return int((companion**2 + 3 * eye(4)).det())


def least_weighted_distance() -> int:
    # Linear between the squares and growing outside them, so it is least at a square.
    return min(sum(k * abs(place**2 - k * k) for k in range(1, 26)) for place in range(1, 26))


def integral_with_floor() -> int:
    # x with floor n gives the integer m if x = sqrt(m / n), and its floor is that of sqrt(floor(m / n)).
    found = sum(isqrt(m // n) == n for n in range(1, 40) for m in range(1, 40 * 40 * n))
    return found + 1  # and x = 40


def roots_of_unity() -> int:
    # |1 + a + b| = 1 if and only if one of a, b and a / b is -1; none of the others comes within 1e-6 of it.
    inside = 0
    for j, k in combinations(range(1, 121), 2):
        square = 3 + 2 * (cos(j * pi / 60) + cos(k * pi / 60) + cos((k - j) * pi / 60))
        on_circle = 60 in (j, k, k - j)
        assert on_circle == (abs(square - 1) < 1e-6)
        inside += on_circle or square < 1
    return inside


def reducible_quartics() -> int:
    # A linear factor has an integer root; of two quadratics x^2 + px + q and x^2 - px + 36/q all n follow.
    divisors = [sign * d for d in range(1, 37) if 36 % d == 0 for sign in (1, -1)]
    found = {(root**4 + 36) // root**2 for root in divisors if (root**4 + 36) % root**2 == 0}
    for q in divisors:
        found |= {p * p - q - 36 // q for p in range(-80, 81) if p * (36 // q - q) == 0}
    for n in range(1, 120):
        _, factors = factor_list(x**4 - n * x**2 + 36)
        assert (n in found) == (sum(power for _, power in factors) > 1)
    return sum(1 <= n <= 5000 for n in found)


def polynomials_through_two_points() -> int:
    # p(x) = c + x q(x): c is even or odd with p(2), and q is such a polynomial for smaller values.
    @cache
    def polynomials(at_one: int, at_two: int) -> int:
        if at_two == 0:
            return int(at_one == 0)
        constants = range(at_two % 2, min(at_one, at_two) + 1, 2)
        return sum(polynomials(at_one - c, (at_two - c) // 2) for c in constants)

    return polynomials(20, 2026)


def floor_of_a_power() -> int:
    whole, root = 1, 0  # whole + root * sqrt(5)
    for _ in range(2026):
        whole, root = 5 * whole + 10 * root, 2 * whole + 5 * root
    return (whole + isqrt(5 * root**2)) % 2027


PROOFS: dict[str, Callable[[], int]] = {
    "practice-13": terms_of_a_sum,
    "practice-17": cubic_by_differences,
    "practice-21": sum_of_floors,
    "practice-24": halving_function,
    "practice-27": additive_up_to_a_product,
    "practice-31": sixth_powers,
    "practice-34": product_over_roots,
    "practice-38": least_weighted_distance,
    "practice-43": integral_with_floor,
    "practice-48": roots_of_unity,
    "practice-51": reducible_quartics,
    "practice-56": polynomials_through_two_points,
    "practice-58": floor_of_a_power,
}
