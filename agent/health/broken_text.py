"""Tells text that a broken model writes from language, whatever it says and however badly."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache

_WHITE_SPACE = "white space"
ONE_CHARACTER = "one character over and over"

_FEWEST_CHARS = 12  # visible ones; a shorter text says nothing
_MAX_SAME_SHARE = 0.6  # that one character has among the visible ones: "????", "!!!!"
_MAX_UNREADABLE_SHARE = 0.1  # that characters have which are no text
_MAX_SCRIPTS = 3  # those of a bilingual text with formulas
_FEWEST_LETTERS = 3  # that make a script count
_SHORTEST_LOOP = 48  # characters
_MAX_PERIOD = 24  # characters
_ONE_SCRIPT = {"HIRAGANA": "CJK", "KATAKANA": "CJK", "MATHEMATICAL": "LATIN", "MODIFIER": "LATIN"}


def broken_text(text: str) -> str:
    """What is wrong with a text as a phrase, "" where it may be language.

    White space, one character over and over, a short piece over and over, bytes that are no characters, and letters of
    many scripts at once are broken. Wrong, foolish and half-finished text is not, nor are the first few characters of
    any.
    """
    visible = [char for char in text if not char.isspace()]
    if not visible:
        return _WHITE_SPACE if len(text) >= _FEWEST_CHARS else ""
    if len(visible) < _FEWEST_CHARS:
        return ""
    if sum(map(_is_unreadable, visible)) > _MAX_UNREADABLE_SHARE * len(visible):
        return "not readable"
    if Counter(visible).most_common(1)[0][1] > _MAX_SAME_SHARE * len(visible):
        return ONE_CHARACTER
    if _ends_in_a_loop("".join(visible)):
        return "one piece over and over"
    scripts = Counter(_script(char) for char in visible if char.isalpha())
    mixed = [name for name, letters in scripts.items() if name and letters >= _FEWEST_LETTERS]
    return f"letters of {len(mixed)} scripts" if len(mixed) > _MAX_SCRIPTS else ""


def _ends_in_a_loop(text: str) -> bool:
    """Whether the second half of a text, at least, is one short piece over and over."""
    size = max(_SHORTEST_LOOP, len(text) // 2)
    tail = text[-size:]
    if len(tail) < size:
        return False
    return any(tail[period:] == tail[:-period] for period in range(1, _MAX_PERIOD + 1))


@lru_cache(maxsize=4_096)
def _is_unreadable(char: str) -> bool:
    return char == "\ufffd" or unicodedata.category(char) in ("Cc", "Cn", "Co", "Cs")


@lru_cache(maxsize=4_096)
def _script(char: str) -> str:
    """The script of a letter, as the first word of its name says; "" where it has none."""
    word = unicodedata.name(char, "").partition(" ")[0]
    return _ONE_SCRIPT.get(word, word)
