"""Which known name was probably meant by one that is misspelled."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

_MIN_SIMILARITY = 0.6  # from here on a name counts as a misspelling of another one


def nearest_name(given: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most similar to the one given, whatever their case; None where no single one is."""
    small = given.lower()
    alike = sorted(((SequenceMatcher(None, name.lower(), small).ratio(), name) for name in known), reverse=True)
    near = [name for similarity, name in alike if similarity >= max(_MIN_SIMILARITY, alike[0][0])]
    return near[0] if len(near) == 1 else None


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return what follows an unknown name in a message: " (did you mean NAME?)", or "" where no single one is alike."""
    meant = nearest_name(given, known)
    return f" (did you mean {meant}?)" if meant else ""


def no_such(what: str, given: str, known: Iterable[str]) -> str:
    """Return a message about an unknown name: what it is not, the one that was probably meant, and all that are."""
    names = list(known)
    return f"{what} {given!r}{did_you_mean(given, names)}: give one of {', '.join(names)}"
