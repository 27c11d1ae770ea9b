"""Every pseudo-random generator that a session is born with, seeded from one number; those made later as well.

What asks the system for random bytes (`secrets`, `os.urandom`, `uuid`) stays as it is.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import itertools
import random
import sys
from collections.abc import Iterator, Mapping
from typing import Any

_LIBRARY = "numpy.random"
_PARTS = ("RandomState", "BitGenerator")  # a numpy Generator has no state beside its BitGenerator's
_DRAWS = "numpy.random.bit_generator"  # the module that draws the seeds of numpy's unseeded generators

_seed_random: Any = random.Random.seed


class Generators:
    """Generators by names that are the same in every process."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self._found = dict(found)

    @property
    def names(self) -> list[str]:
        """The module and attribute that hold each generator; a class and a number where no module does."""
        return list(self._found)

    def seed(self, seed: int) -> None:
        """Start each generator on a stream of its own, and those made from now on without a seed as well."""
        for name, generator in self._found.items():
            _restart(generator, _derived(seed, name))
        _seed_later_ones(seed)


@functools.cache
def generators() -> Generators:
    """Those that were there at the first call."""
    return find()


def seed_all(seed: int) -> None:
    """Start everything that draws random numbers in this session from one number."""
    generators().seed(seed)


def find() -> Generators:
    """All generators of this process, whoever made them. Freezes what is there for the garbage collector."""
    gc.unfreeze()
    kinds: tuple[type, ...] = (_base(), *_numpy_kinds())
    found = {id(each): each for each in _reachable() if issubclass(type(each), kinds)}
    owned = {id(getattr(each, "_bit_generator", None)) for each in found.values()}  # restarted with their owners
    stateless = random.SystemRandom
    found = {key: each for key, each in found.items() if key not in owned and not isinstance(each, stateless)}
    gc.freeze()
    return Generators(dict(_named(found)))


def _reachable() -> Iterator[object]:
    """What the garbage collector tracks and what that holds, also in dictionaries and tuples that are not tracked."""
    tracked = gc.get_objects()
    held = gc.get_referents(*tracked)
    inner = gc.get_referents(*(each for each in held if type(each) in (dict, tuple) and not gc.is_tracked(each)))
    return itertools.chain(tracked, held, inner)


def _base() -> type:
    """The class behind `random.Random`, which holds the state."""
    return random.Random.__base__ or random.Random


def _numpy_kinds() -> Iterator[type]:
    library = sys.modules.get(_LIBRARY)
    return (getattr(library, part) for part in _PARTS if library is not None)


def _named(found: Mapping[int, object]) -> Iterator[tuple[str, object]]:
    places: dict[int, str] = {}
    for module_name, module in sorted(sys.modules.items()):
        for attribute, value in sorted(getattr(module, "__dict__", {}).items()):
            if id(value) in found:
                places.setdefault(id(value), f"{module_name}.{attribute}")
    numbers = itertools.count(1)
    for key, generator in found.items():
        yield places.get(key) or f"{type(generator).__name__} {next(numbers)}", generator


def _derived(seed: int, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest(), "big")


def _restart(generator: Any, number: int) -> None:
    if isinstance(generator, random.Random):
        _seed_random(generator, number)
    elif isinstance(generator, _base()):
        generator.seed(number)  # type: ignore[attr-defined]
    elif hasattr(generator, "seed"):  # a RandomState
        generator.seed([number >> shift & 0xFFFF_FFFF for shift in range(0, 256, 32)])
    else:
        generator.state = type(generator)(number).state


def _seed_later_ones(seed: int) -> None:
    """Let generators that are made without a seed draw theirs from the session's."""
    drawn = itertools.count()

    def draw() -> int:
        return _derived(seed, f"unseeded {next(drawn)}")

    def seed_one(self: random.Random, a: Any = None, version: int = 2) -> None:
        _seed_random(self, draw() if a is None else a, version)

    random.Random.seed = seed_one  # type: ignore[method-assign]
    random.seed = random.random.__self__.seed  # type: ignore[attr-defined]
    if bits := sys.modules.get(_DRAWS):
        bits.randbits = lambda size: draw() % (1 << size)  # type: ignore[attr-defined]
