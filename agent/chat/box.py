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
_OPEN_BOX = re.compile(r"\\boxed\{([^{}\n]{0,40})$")


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


def first_box(text: str) -> str:
    """A text that begins with a box, up to the brace that closes it; the whole text while none does."""
    depth = 0
    for brace in _BRACES.finditer(text):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return text[: brace.end()]
    return text
