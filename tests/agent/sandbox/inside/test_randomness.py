"""Generators of random numbers: all of them are found, and all draw from the seed of the session."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

import pytest

_PREPARE = """
import gc, hashlib, json, pickle, random, sys
class Own(random.Random):
    def seed(self, *arguments, **more): raise RuntimeError("a seed of its own kind")
hidden = [random.Random(1), {"deep": __import__("_random").Random(2)}]
from agent.sandbox.inside import warm
from agent.sandbox.inside.session import randomness
warm.load_libraries()
assert set(randomness.generators().names) >= {"random._inst", "sympy.core.random.rng", "numpy.random.mtrand._rand"}
import numpy
kept = [numpy.random.default_rng(3), numpy.random.RandomState(4), numpy.random.PCG64(5), numpy.random.Philox(6)]
generators = randomness.find()
"""
_EVERY = """
gc.unfreeze()
def state(each):
    get = next(name for name in ("getstate", "get_state", "state") if hasattr(each, name))
    return str(each.state if get == "state" else getattr(each, get)())
kinds = (random.Random, numpy.random.RandomState, numpy.random.BitGenerator)
every = [each for each in gc.get_objects() if issubclass(type(each), kinds)]
every = [each for each in every if not isinstance(each, random.SystemRandom)] + [hidden[1]["deep"]]
def states(): return [hashlib.sha256(repr(state(each)).encode()).hexdigest() for each in every]
seen = {}
for seed in (0, 7, 7, 2**64 - 1, -1):
    generators.seed(seed)
    seen.setdefault(seed, []).append(states())
changed = [len({runs[0][n] for runs in seen.values()}) for n in range(len(every))]
print(json.dumps({
    "names": generators.names, "changed": changed, "same": seen[7][0] == seen[7][1],
    "different": [len(set(runs[0])) for runs in seen.values()], "count": len(every),
}))
"""
_DRAWS = """
generators.seed(int(sys.argv[1]))
import sympy, sympy.core.random, mpmath, networkx, scipy.stats
def draws():
    return [
        random.random(), random.gauss(0, 1), random.Random().random(), random.Random().random(),
        numpy.random.rand(), numpy.random.default_rng().random(), numpy.random.RandomState().rand(),
        numpy.random.PCG64().random_raw(), int(sympy.randprime(1, 10**9)), sympy.core.random.random(),
        float(mpmath.rand()), float(scipy.stats.norm.rvs()),
        sorted(networkx.gnp_random_graph(9, 0.5).edges),
    ]
first = draws()
random.seed(); numpy.random.seed()
print(json.dumps([first, draws(), [random.Random(5).random(), numpy.random.default_rng(5).random()]]))
"""


def _run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", _PREPARE + script, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


_told = cache(_run)


@pytest.mark.process
def test_every_generator_that_exists_is_found_and_seeded() -> None:
    told = json.loads(_told(_EVERY))
    assert told["count"] >= 9, told
    assert told["changed"] == [4] * told["count"], "a generator that is there after the libraries were loaded is missed"
    assert told["same"] and len(set(told["names"])) == len(told["names"])
    assert {"random._inst", "sympy.core.random.rng", "numpy.random.mtrand._rand"} <= set(told["names"])


@pytest.mark.process
def test_no_two_generators_draw_the_same() -> None:
    told = json.loads(_told(_EVERY))
    assert told["different"] == [told["count"]] * 4


@pytest.mark.process
def test_the_same_seed_gives_the_same_draws_in_another_process() -> None:
    assert _told(_DRAWS, "11") == _run(_DRAWS, "11")


@pytest.mark.process
@pytest.mark.parametrize("which", [0, 1])
def test_another_seed_gives_other_draws(which: int) -> None:
    one, two = json.loads(_told(_DRAWS, "11"))[which], json.loads(_told(_DRAWS, "12"))[which]
    assert all(a != b for a, b in zip(one, two, strict=True)), (one, two)


@pytest.mark.process
def test_a_cell_that_gives_a_seed_itself_gets_what_it_gets_elsewhere() -> None:
    assert json.loads(_told(_DRAWS, "11"))[2] == json.loads(_told(_DRAWS, "12"))[2]
    assert json.loads(_told(_DRAWS, "11"))[2][0] == 0.6229016948897019
