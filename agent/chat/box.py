"""The box in which a model gives its answer: where one is opened, left open and closed."""

from __future__ import annotations

import re

BOX_OPEN = "\\boxed{"
NEAR_END = 200
"""Characters at the end of a text in which a box is looked for: in 845 of 845 samples of QwQ-32B it stood there."""

BOX = re.compile(r"(?:\\boxed|\\fbox|\\framebox|\x08oxed)")
CONTENT = re.compile(r"\A\s*(?:\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|\d+)")
"""What a box holds, at the start of what follows its command."""

_BRACES = re.compile(r"(?<!\\)[{}]")
_OPEN_BOX = re.compile(r"\\boxed\{([^{}\n]{0,40})\Z")


def boxed(content: str) -> str:
    """The content in a box."""
    return f"{BOX_OPEN}{content}}}"


def has_box(text: str) -> bool:
    """Whether a box is opened in the text."""
    return BOX.search(text) is not None


def ends_with_box(text: str) -> bool:
    """Whether nothing of weight follows the last box: at most a few signs, such as a full stop or dollars."""
    boxes = list(BOX.finditer(text, max(0, len(text) - NEAR_END)))
    return bool(boxes) and re.search(r"\w", CONTENT.sub("", text[boxes[-1].end() :], count=1)) is None


def open_box(text: str) -> str | None:
    """The content of the box in which the text breaks off; None if it does not break off in one."""
    found = _OPEN_BOX.search(text)
    return found and found[1]


def breaks_off_in_box(text: str) -> bool:
    """Whether the text ends within a box, whatever that holds so far."""
    boxes = list(BOX.finditer(text, max(0, len(text) - NEAR_END)))
    held = text[boxes[-1].end() :].lstrip() if boxes else "."
    return not held or (held[0] == "{" and BoxCloseScanner().feed(held) is None)


def first_box(text: str) -> str:
    """A text that begins with a box, up to the brace that closes it; the whole text while none does."""
    return text[: BoxCloseScanner().feed(text)]


class BoxCloseScanner:
    """Finds the brace that closes a box in a stream of text, however that is cut into pieces."""

    def __init__(self, begun: str = "") -> None:
        """`begun` is the beginning of the box, which the text continues; the text itself begins it where that is ""."""
        self._depth = 0
        self._before = ""  # the character before what is fed next, which may escape a brace
        self._fed = -len(begun)
        self.feed(begun)

    def feed(self, text: str) -> int | None:
        """The offset behind that brace in all the text fed so far; None while the box is open."""
        window = self._before + text
        start = self._fed - len(self._before)
        for brace in _BRACES.finditer(window, len(self._before)):
            self._depth += 1 if brace.group() == "{" else -1
            if self._depth == 0:
                return start + brace.end()
        self._before = window[-1:]
        self._fed += len(text)
        return None
