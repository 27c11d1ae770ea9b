r"""Find the boxes of a reply, in every spelling that models use for `\boxed{...}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

# Text that was escaped once too often has several backslashes, unescaped text a backspace or a form feed.
_OPENER = re.compile(
    r"(?:(?<!\\)\\+(?:boxed|fbox|framebox)|\x08oxed|\x0c(?:box|ramebox))(?![A-Za-z])"
    r"|(?:(?<!\\)\\+b(?:o(?:x(?:ed?)?)?)?|\x08oxe?d?)\Z"  # the start of one, cut off
)
_OPTIONS = re.compile(r"\s*(?:\[[^\[\]]*\]\s*)*")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
# What follows a box without braces: a number, or a command with its arguments.
_BARE = re.compile(
    r"\$?([+-]?(?:\d+(?:[.,/]\d+)*|\\(?:[dt]?frac|sqrt)\s*(?:\d\s*\d?|(?:\{[^{}]*\}){1,2})|\\(?:pi|infty)\b))"
)
_NOTHING = re.compile(
    r"(?:[\s.?_$~…]|\\[ ,;:!]|\\(?:[lc]?dots|quad|square|text\w*|mathrm|phantom)(?![A-Za-z])|[{}\[\]<>()]"
    r"|\b(?:your|the|final|answer|here|result|value|placeholder)\b)*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Box:
    """A box, from `start` to `end` in its text; `content` is None if the text ends inside it."""

    start: int
    end: int
    content: str | None


def find_boxes(text: str) -> list[Box]:
    """Find the boxes of a text in order, without nested ones and those that are empty or hold a placeholder."""
    boxes = []
    position = 0
    closings = _closings(text)
    while opener := _OPENER.search(text, position):
        box = _box_at(text, opener, closings)
        position = opener.end()
        if box is not None:
            if box.content is not None:
                position = box.end
            boxes.append(box)
    return boxes


def ends_in_box(text: str) -> bool:
    """Whether a text ends inside its last box, which withdraws the earlier boxes."""
    boxes = find_boxes(text.rstrip())
    return bool(boxes) and boxes[-1].content is None


def _box_at(text: str, opener: re.Match[str], closings: Mapping[int, int]) -> Box | None:
    options = _OPTIONS.match(text, opener.end())
    start = options.end() if options else opener.end()
    if start >= len(text):
        return Box(opener.start(), len(text), None)
    if text[start] == "{":
        end = closings.get(start)
        content = None if end is None else text[start + 1 : end]
        box = Box(opener.start(), len(text) if end is None else end + 1, content)
    else:
        bare = _BARE.match(text, start)
        if bare is None:
            return None
        box = Box(opener.start(), bare.end(), bare[1])
    return None if box.content is not None and _NOTHING.fullmatch(box.content) else box


def _closings(text: str) -> dict[int, int]:
    """Return the position of the closing brace for each opening one."""
    closings: dict[int, int] = {}
    opened: list[int] = []
    for match in _BRACE.finditer(text):
        if match.group() == "{":
            opened.append(match.start())
        elif match.group() == "}" and opened:
            closings[opened.pop()] = match.start()
    return closings
