"""Long texts as a solution has them: cases, games and calculations in words, different for each seed."""

from __future__ import annotations

import math
from itertools import pairwise, permutations, product
from random import Random

from tests.support.texts.long_lists import is_square, lines


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
            steps.append(
                f"Dividing {a} by {b} gives quotient {a // b} and remainder {a % b}, so we continue with {b}.\n"
            )
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
