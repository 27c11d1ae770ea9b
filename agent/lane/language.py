"""Language mixing: an incremental count of the letters of scripts that mathematics in English does not use."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_WORD_LETTERS = 2
"""Latin or Greek letters in a row that are a word and so end a stretch; a single one is a variable."""


class LanguageMixingCounter:
    """Counts the letters in a stream that are neither Latin nor Greek, and the stretches they come in.

    Chinese, Japanese, Korean, Cyrillic, Arabic, Hebrew, Indic and all other scripts count. Digits of any script,
    marks, punctuation, symbols and the letters of mathematical notation (double-struck, italic, raised, full-width,
    aleph) do not. The counts do not depend on how the stream is cut into pieces.
    """

    def __init__(self) -> None:
        self._letters = 0
        self._stretches = 0
        self._inside = False
        self._run = 0  # Latin or Greek letters in a row, inside a stretch

    @property
    def letters(self) -> int:
        """Letters of other scripts so far."""
        return self._letters

    @property
    def stretches(self) -> int:
        """How often the stream has switched to other scripts.

        A stretch lasts until the next word of at least two Latin or Greek letters: variables, digits and punctuation
        do not part it.
        """
        return self._stretches

    def feed(self, text: str) -> None:
        """Take the next piece of the stream."""
        if text.isascii() and not self._inside:
            return
        for char in text:
            if _is_of_another_script(char):
                self._letters += 1
                self._stretches += not self._inside
                self._inside, self._run = True, 0
            elif self._inside:
                self._run = self._run + 1 if char.isalpha() else 0
                self._inside = self._run < _WORD_LETTERS


@lru_cache(maxsize=4_096)
def _is_of_another_script(char: str) -> bool:
    """Whether it is a letter of a script other than Latin and Greek.

    Python knows no scripts, but the names of characters reveal them. Letters below U+0400 are Latin, phonetic or
    Greek. From U+2000 to U+2BFF lie only letters that are used as symbols.
    """
    if char < "\u0400" or "\u2000" <= char <= "\u2bff" or not char.isalpha():
        return False
    return {"LATIN", "GREEK", "MATHEMATICAL", "MODIFIER"}.isdisjoint(unicodedata.name(char, "").split())
