"""Long texts as a solution has them: tables, lists and searches, different for each seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from random import Random


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
    return (short + long) * 2 + long + short


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
    return f"{block[:2_500]}\n```\nLet me write it again with the bound corrected.\n{block[:2_500]}\n```\n"


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
