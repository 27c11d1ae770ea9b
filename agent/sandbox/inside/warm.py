"""Loads and exercises libraries in the zygote before the first session, so that no session pays for it."""

from __future__ import annotations

import gc
import importlib
from typing import Any

from agent.sandbox.inside.session.randomness import generators
from agent.sandbox.inside.session.snapshot import snapshot

_STANDARD = (
    "array ast asyncio base64 bisect calendar cmath collections contextlib copy ctypes dataclasses "
    "datetime decimal enum fractions functools gc heapq io itertools json linecache math numbers "
    "operator os pathlib pickle pprint queue random re secrets statistics string struct sys "
    "tempfile textwrap threading time timeit traceback typing unicodedata warnings "
    "concurrent.futures.thread "
)
LIBRARIES = ("sympy", "numpy", "mpmath", "scipy", "networkx")
"""What cells may use besides the standard library."""

_PARTS = ("numpy.random", "numpy.linalg", "numpy.polynomial")


def load_libraries() -> list[str]:
    """Import the libraries, run what is slow the first time, and return the names of the missing ones."""
    for name in _STANDARD.split():
        importlib.import_module(name)
    missing = []
    for name in (*LIBRARIES, *_PARTS):
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
    if "sympy" not in missing:
        _exercise_sympy()
    gc.collect()
    snapshot()
    generators()
    gc.freeze()
    return missing


def _exercise_sympy() -> None:
    sympy: Any = importlib.import_module("sympy")

    x, y = sympy.symbols("x y")
    n = sympy.Symbol("n", integer=True, positive=True)
    sympy.solve([x + y - 3, x - y - 1], [x, y])
    sympy.solve(x**3 - 2 * x + 1, x)
    sympy.simplify(sympy.sin(x) ** 2 + sympy.cos(x) ** 2)
    sympy.integrate(x * sympy.exp(x), x)
    sympy.summation(n**2, (n, 1, y))
    sympy.factor(x**4 - 1)
    sympy.factorint(2**40 - 1)
    sympy.Matrix([[1, 2], [3, 5]]).inv()
    sympy.limit(sympy.sin(x) / x, x, 0)
    sympy.N(sympy.sqrt(2), 30)
    sympy.lambdify(x, x**2)(3)
    str(sympy.sympify("x**2 + 1/3"))
