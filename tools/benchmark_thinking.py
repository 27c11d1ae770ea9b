"""Finds the reply proper: what stands behind a model's thinking."""

from __future__ import annotations

import re

_TAG = re.compile(r"</?think>")
_CODE = re.compile(r"^ {0,3}(`{3,}|~{3,}).*?^ {0,3}\1[`~]*[ \t]*$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
_OPEN = "<think>"


def behind_thinking(text: str) -> str:
    r"""What stands behind the `</think>` that closes the thinking; the whole text where no thinking is marked.

    The thinking may be opened by the prompt, so the first `</think>` closes it, and each that a `<think>` precedes. Any
    other is a slip and left out, as is one in code and one that only marks the end of a text that is not opened.

    >>> behind_thinking("5? </think> It is 42. </think>")
    ' It is 42. '
    """
    code = [match.span() for match in _CODE.finditer(text)]
    kept, start, opened, closed = [], 0, False, False
    for tag in _TAG.finditer(text):
        if any(first <= tag.start() < last for first, last in code):
            continue
        before = text[start : tag.start()]
        if tag.group() == _OPEN:
            opened = True
        elif opened or (not closed and _TAG.sub("", text[tag.end() :]).strip()):
            kept, before, opened, closed = [], "", False, True
        kept.append(before)
        start = tag.end()
    return "".join((*kept, text[start:]))
