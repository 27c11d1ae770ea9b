"""Which known name was probably meant by one that is misspelled."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MIN_SIMILARITY = 0.7  # from here on a name counts as a misspelling of another one


def nearest_name(given: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most similar to the one given, whatever their case; None where none is alike."""
    by_small = {name.lower(): name for name in known}
    found = difflib.get_close_matches(given.lower(), by_small, 1, _MIN_SIMILARITY)
    return by_small[found[0]] if found else None


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: "; did you mean NAME?", or "" where no known one is alike."""
    meant = nearest_name(given, known)
    return f"; did you mean {meant}?" if meant else ""
