"""The answers of the practice set's geometry, computed anew in exact coordinates, by search or by a second method."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import combinations, pairwise, product
from math import gcd, isqrt

Point = tuple[Fraction, Fraction]


def point(x: int, y: int) -> Point:
    return Fraction(x), Fraction(y)


def between(start: Point, end: Point, part: Fraction) -> Point:
    """The point that lies this part of the way from the start to the end."""
    return start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part


def turn(a: Point, b: Point, c: Point) -> Fraction:
    """Twice the area of the triangle, positive if it is named anticlockwise."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def square_of_distance(a: Point, b: Point) -> Fraction:
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2


def crossing(a: Point, b: Point, c: Point, d: Point) -> Point:
    """Where the lines ab and cd meet."""
    return between(a, b, turn(c, d, a) / (turn(c, d, a) - turn(c, d, b)))


def rectangles() -> int:
    return sum(a * b for a, b in product(range(1, 120), repeat=2) if a <= b and a + b == 120 and a * b % 36 == 0)


def points_of_a_triangle() -> int:
    # Pick: twice the area is 2i + b - 2 with i points inside and b on the sides.
    corners = [point(0, 0), point(40, 16), point(12, 50)]
    sides = [(0, 0), (40, 16), (12, 50), (0, 0)]
    border = sum(gcd(c - a, d - b) for (a, b), (c, d) in pairwise(sides))
    inside = (turn(*corners) - border + 2) / 2
    return int(inside) + border


def right_triangles() -> int:
    # Euclid: m^2 - n^2, 2mn and m^2 + n^2, all times k.
    found = set()
    for m, n, k in product(range(1, 18), range(1, 18), range(1, 30)):
        if m > n:
            found.add(tuple(sorted((k * (m * m - n * n), 2 * k * m * n, k * (m * m + n * n)))))
    return sum(sum(sides) <= 300 and min(sides) % 2 == 0 for sides in found)


def circles_around_a_point() -> int:
    return sum(
        radius <= min(x, y, 30 - x, 30 - y) and (x - 15) ** 2 + (y - 15) ** 2 <= radius**2
        for x, y, radius in product(range(31), range(31), range(1, 16))
    )


def boxes() -> int:
    # 1 = 2/a + 2/b + 2/c + 4/ab + 4/bc + 4/ca with a <= b <= c is below 1 for a > 7, and for a >= 3 and b > 40;
    # for a <= 2 it is above 1. Given a and b, it is linear in c.
    volumes = []
    for a, b in product(range(3, 8), range(3, 41)):
        excess = a * b - 2 * a - 2 * b - 4
        if a <= b and excess > 0 and (2 * a * b + 4 * a + 4 * b) % excess == 0:
            c = (2 * a * b + 4 * a + 4 * b) // excess
            assert a * b * c == 2 * (a * b + b * c + c * a) + 4 * (a + b + c)
            volumes.append(a * b * c)
    return max(volumes)


def centres_of_squares() -> int:
    corners = [point(0, 0), point(28, 0), point(8, 15)]
    sides = list(pairwise([*corners, corners[0]]))
    assert sorted(square_of_distance(*side) for side in sides) == [17**2, 25**2, 28**2]
    # From the middle of each side, half the side's length to the right of its direction.
    centres = [((a + c + d - b) / 2, (b + d + a - c) / 2) for (a, b), (c, d) in sides]
    return int(sum(square_of_distance(*pair) for pair in combinations(centres, 2)))


def contact_triangle() -> int:
    a, b, c = point(16, 12), point(0, 0), point(51, 0)
    assert [square_of_distance(*side) for side in ((b, c), (c, a), (a, b))] == [51**2, 37**2, 20**2]
    # The tangents from a, b and c are 3, 17 and 34 long.
    d, e, f = between(b, c, Fraction(17, 51)), between(c, a, Fraction(34, 37)), between(a, b, Fraction(3, 20))
    area = abs(turn(d, e, f)) / 2
    return area.numerator + area.denominator


def obtuse_triangles() -> int:
    pairs = ((a, b) for a in range(1, 301) for b in range(a, 301))
    squares = (a * a + a * b + b * b for a, b in pairs)
    return sum(isqrt(square) ** 2 == square <= 300**2 for square in squares)


def balls_on_a_table() -> int:
    # Two that touch: the squares of the distance of the feet and of the difference of the radii give that of the sum.
    feet = {(0, 1): 34, (1, 2): 50, (2, 0): 56}
    radii = [Fraction(17 * 28, 25), Fraction(17 * 25, 28), Fraction(25 * 28, 17)]
    for (one, other), distance in feet.items():
        assert distance**2 + (radii[one] - radii[other]) ** 2 == (radii[one] + radii[other]) ** 2
    return int(radii[0] * radii[1] * radii[2])


def triangle_within_lines() -> int:
    a, b, c = point(0, 0), point(7480, 0), point(0, 1)
    assert turn(a, b, c) / 2 == 3740
    d, e, f = between(b, c, Fraction(1, 3)), between(c, a, Fraction(1, 4)), between(a, b, Fraction(1, 5))
    area = abs(turn(crossing(a, d, b, e), crossing(b, e, c, f), crossing(c, f, a, d))) / 2
    assert area.denominator == 1
    return int(area)


def hexagons() -> int:
    # Each is a regular triangle without three smaller ones at its corners.
    found = set()
    for side in range(3, 37):
        for a, b, c in product(range(1, side), repeat=3):
            sides = (a, side - a - b, b, side - b - c, c, side - c - a)
            if min(sides) > 0 and sum(sides) == 36:
                turned = [each[k:] + each[:k] for each in (sides, sides[::-1]) for k in range(6)]
                found.add(min(turned))
    return len(found)


def diagonals() -> int:
    def square_of_diagonal(a: int, b: int, c: int, d: int) -> Fraction:
        # The law of cosines on both sides of the diagonal, whose opposite angles have opposite cosines.
        cosine = Fraction(a * a + b * b - c * c - d * d, 2 * (a * b + c * d))
        return a * a + b * b - 2 * a * b * cosine

    total = square_of_diagonal(50, 42, 30, 26) + square_of_diagonal(42, 30, 26, 50)
    assert total.denominator == 1
    return int(total)


def billiard() -> int:
    x, y, right, up = 5, 0, 1, 1
    rising: list[tuple[int, int, int]] = []  # the straight pieces: lower x, higher x, and y - x
    falling: list[tuple[int, int, int]] = []  # the same with y + x
    while not (rising and (x, y, right, up) == (5, 0, 1, 1)):
        length = min(36 - x if right > 0 else x, 22 - y if up > 0 else y)
        pieces, line = (rising, y - x) if right == up else (falling, y + x)
        pieces.append((min(x, x + right * length), max(x, x + right * length), line))
        x, y = x + right * length, y + up * length
        right = -right if x in (0, 36) else right
        up = -up if y in (0, 22) else up
    crossings = set()
    for (low, high, difference), (low2, high2, total) in product(rising, falling):
        place = Fraction(total - difference, 2)
        if max(low, low2) < place < min(high, high2):
            crossings.add((place, place + difference))
    return len(crossings)


PROOFS: dict[str, Callable[[], int]] = {
    "practice-15": rectangles,
    "practice-19": points_of_a_triangle,
    "practice-23": right_triangles,
    "practice-28": circles_around_a_point,
    "practice-33": boxes,
    "practice-36": centres_of_squares,
    "practice-40": contact_triangle,
    "practice-45": obtuse_triangles,
    "practice-46": balls_on_a_table,
    "practice-47": triangle_within_lines,
    "practice-52": hexagons,
    "practice-55": diagonals,
    "practice-60": billiard,
}
