"""Find the text of a reply after the model's thinking."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TAG = re.compile(r"</?think>")
_OPEN = "<think>"
_FENCE = re.compile(r"(?:^|(?<=think>)) {0,3}(`{3,}|~{3,})([^`\n<]*)(?:$|(?=</?think>))", re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`[^`\n]+`(?!`)")


def behind_thinking(text: str) -> str:
    r"""Return the text after the `</think>` that closes the thinking; the full text if no thinking is marked.

    The thinking may be opened by the prompt, so the first `</think>` closes it, and each that a `<think>` precedes. Any
    other is a slip and left out, as is one in code and one that only marks the end of a text that is not opened.
    Thinking that is not closed is no reply.

    >>> behind_thinking("5? </think> It is 42. </think>")
    ' It is 42. '
    """
    tags = list(_tags(text))
    last_word = max((tag.start() for tag in re.finditer(r"\S+", _TAG.sub(_blank, text))), default=-1)
    kept: list[str] = []
    start, opened, closed = 0, False, False
    for tag in tags:
        before = text[start : tag.start()]
        start = tag.end()
        if tag.group() == _OPEN:
            opened = True
        elif opened or (not closed and start <= last_word):
            kept, before, opened, closed = [], "", False, True
        kept.append(before)
    return "".join((*kept, "" if opened else text[start:]))


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())


def _tags(text: str) -> Iterator[re.Match[str]]:
    """Return the tags outside code."""
    code = sorted(_code(text))
    index = 0
    for tag in _TAG.finditer(text):
        while index < len(code) and code[index][1] <= tag.start():
            index += 1
        if index == len(code) or tag.start() < code[index][0]:
            yield tag


def _code(text: str) -> Iterator[tuple[int, int]]:
    """Return the spans of fenced and inline code. A fence that is not closed before the next one does not count."""
    for match in _INLINE.finditer(text):
        yield match.span()
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        marks, label = fence[1], fence[2].strip()
        if opening is None or (label and marks[0] == opening[1][0]):
            opening = fence
        elif not label and marks.startswith(opening[1]):
            yield opening.start(), fence.end()
            opening = None
