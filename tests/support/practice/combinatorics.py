"""The answers of the practice set's combinatorics, computed anew by search or by a second method."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from itertools import combinations, permutations, product
from math import comb

from sympy import Matrix, Rational  # type: ignore[import-untyped]

Corner = tuple[int, int, int]

CORNERS: list[Corner] = list(product((0, 1), (0, 1), (0, 1)))


def joined(one: Corner, other: Corner) -> bool:
    """Whether two corners of the cube share an edge."""
    return sum(a != b for a, b in zip(one, other, strict=True)) == 1


def sums_of_three() -> int:
    draws = list(permutations(range(1, 16), 3))
    chance = Fraction(sum(sum(draw) % 4 == 0 for draw in draws), len(draws))
    return chance.numerator + chance.denominator


def words() -> int:
    texts = ("".join(letters) for letters in product("ABC", repeat=7))
    return sum("A" in text and "AB" not in text for text in texts)


def take_away() -> int:
    wins: list[bool] = []
    for size in range(501):
        wins.append(any(take <= size and not wins[size - take] for take in (2, 5, 6)))
    return sum(wins[1:])


def paths_of_a_token() -> int:
    # With d diagonal steps, order the other steps, then put the diagonals into different gaps between them.
    return sum(comb(12 - 2 * d, 6 - d) * comb(13 - 2 * d, d) for d in range(7))


def walks_of_an_ant() -> int:
    start = (0, 0, 0)
    walks = [(start, corner) for corner in CORNERS if joined(start, corner)]
    for _ in range(11):
        walks = [(here, there) for last, here in walks for there in CORNERS if joined(here, there) and there != last]
    return sum(end == start for _, end in walks)


def rolls_of_a_die() -> int:
    # E(r) = 1 + the sum of E(s) / 6 over the rolls s that do not end it, where r was the last roll.
    onward = Matrix(6, 6, lambda r, s: Rational(int((int(r) + 1) * (int(s) + 1) % 6 > 0), 6))
    expected = (Matrix.eye(6) - onward).solve(Matrix.ones(6, 1))
    rolls = 1 + sum(expected) / 6
    return int(rolls.p + rolls.q)


def coloured_board() -> int:
    columns = list(permutations(range(4), 3))
    beside = Matrix(24, 24, lambda i, j: int(all(a != b for a, b in zip(columns[i], columns[j], strict=True))))
    return int(sum(beside**3))


def take_away_without_echo() -> int:
    @cache
    def wins(size: int, barred: int) -> bool:
        return any(take != barred and take <= size and not wins(size - take, take) for take in (1, 4, 6))

    return sum(wins(size, 0) for size in range(1, 1001))


def handshakes() -> int:
    # Any handshakes among the first six are completed by the seventh in one way: with those who have an odd number.
    # The seventh's own number is then even too.
    pairs = list(combinations(range(6), 2))
    found = 0
    for chosen in product((False, True), repeat=len(pairs)):
        shaken = {pair for pair, shake in zip(pairs, chosen, strict=True) if shake}
        odd = [person for person in range(6) if sum(person in pair for pair in shaken) % 2]
        shaken |= {(person, 6) for person in odd}
        found += not any(shaken.issuperset(combinations(three, 2)) for three in combinations(range(7), 3))
    return found


def functions_thrice() -> int:
    numbers = range(7)
    return sum(all(f[f[f[x]]] == f[x] for x in numbers) for f in product(numbers, repeat=7))


def coloured_cube() -> int:
    edges = [pair for pair in combinations(CORNERS, 2) if joined(*pair)]
    # Two quarter turns, which together give all rotations.
    turns: list[Callable[[Corner], Corner]] = [lambda c: (c[1], 1 - c[0], c[2]), lambda c: (c[0], c[2], 1 - c[1])]
    places = {frozenset(edge): place for place, edge in enumerate(edges)}
    moves = [[places[frozenset(map(turn, edge))] for edge in edges] for turn in turns]
    unseen = {
        "".join("R" if edge in red else "G" if edge in green else "B" for edge in range(12))
        for red in combinations(range(12), 4)
        for green in combinations([edge for edge in range(12) if edge not in red], 4)
    }
    classes = 0
    while unseen:
        classes += 1
        owed = [unseen.pop()]
        while owed:
            colours = owed.pop()
            turned = {"".join(colours[edge] for edge in move) for move in moves} & unseen
            unseen -= turned
            owed += turned
    return classes


def squares_and_dominoes() -> int:
    # The cells are bits, column by column of four.
    @cache
    def domino_coverings(taken: int) -> int:
        if taken == 2**32 - 1:
            return 1
        free = (~taken & (taken + 1)).bit_length() - 1
        coverings = 0
        if free % 4 < 3 and not taken >> free + 1 & 1:
            coverings += domino_coverings(taken | 0b11 << free)
        if free < 28 and not taken >> free + 4 & 1:
            coverings += domino_coverings(taken | 0b10001 << free)
        return coverings

    squares = [0b110011 << 4 * column + row for column in range(7) for row in range(3)]
    return sum(domino_coverings(one | other) for one, other in combinations(squares, 2) if not one & other)


PROOFS: dict[str, Callable[[], int]] = {
    "practice-16": sums_of_three,
    "practice-20": words,
    "practice-25": take_away,
    "practice-29": paths_of_a_token,
    "practice-32": walks_of_an_ant,
    "practice-37": rolls_of_a_die,
    "practice-41": coloured_board,
    "practice-42": take_away_without_echo,
    "practice-49": handshakes,
    "practice-50": functions_thrice,
    "practice-54": coloured_cube,
    "practice-57": squares_and_dominoes,
}
