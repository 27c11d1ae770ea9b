r"""What code has printed, as a model is shown it: as in a notebook, and with nothing in it that is more than output.

A text that a program prints may hold whatever steers a terminal, a chat template or the readers of a model's reply.
`rendered` leaves what a notebook shows, and spells out what nobody sees. `defused` breaks the marks that stand for
something: fences, control tokens and tags of all families, boxes, and names of roles. Neither changes a digit.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

# Colours, movements of the cursor, titles and character sets, as of ECMA-48, and only after an escape: the controls of
# 8 bits that could stand for its pairs are mostly text in a wrong encoding, and no notebook follows them.
_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b[]PX^_][^\x07\x1b\x80-\x9f\r\n]*(?:\x07|\x1b\\)"
    r"|\x1b[()*+][0AB]|\x1b[=>cDEM]"
)
_ERASED = re.compile(r"\x1b\[[02]?K")
_LINE_ERASED = "\x1b[2K"
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_STYLES = "\ufe0e\ufe0f"  # tell whether the sign before them is a picture

_PYTHONS_OWN = "module|lambda|genexpr|listcomp|dictcomp|setcomp|string|stdin|stdout|stderr|unknown|locals"
_BRACKETED = (
    r"inst|sys(?:tem(?:_prompt)?)?|tool_(?:calls?|results?|content)|available_tools|think|args|call_id|prefix|suffix"
    r"|middle|pad|unk|bos|eos|eo[tdm]|cls|sep|[gs]?mask|end|user|assistant|human"
)
# Tags of models, whatever follows their names; those that Python has too (<function f at 0x1>) only with a `=`.
_TAGS = (
    r"think(?:ing)?|thought|reasoning|reflection|answer|tools?|tool_(?:calls?|responses?|results?|outputs?|code)|invoke"
    r"|function_(?:calls?|results?)|(?:start|end)_of_\w{1,40}|im_(?:start|end)|system|user|assistant|human|sys|inst"
)
_ROLES = (
    "user|assistant|human|system|developer|tool|ai|bot|model|ipython|function|observation|instruction|response"
    "|\u7528\u6237|\u52a9\u624b|\u7cfb\u7edf"
)


def rendered(text: str) -> str:
    r"""The text as a notebook shows it, with what nobody would see spelled out as Python does.

    What follows a carriage return is written over the line, as far as it goes; a backspace takes back a
    character, and sequences that set colours or move the cursor are left out, but those that erase a line are followed.
    All that is left are line breaks, tabs and characters that can be seen: a zero-width space is `\u200b`.
    """
    return _HIDDEN.sub(_spelled, overwritten(text))


def overwritten(text: str) -> str:
    """The text as it stands once its control sequences, carriage returns and backspaces have been followed."""
    if "\r" in text or "\b" in text or _ERASED.search(text):
        return "\n".join(map(_overwritten, text.split("\n")))
    return _SEQUENCE.sub("", text)


def defused(text: str) -> str:
    """The text with every mark in it broken by a space, and every line that names a role quoted.

    Marks are fences, control tokens, tags, boxes and names of roles at the start of a line, of all families of models,
    and what a tokenizer that normalizes its text (NFKC) makes one of them. What has been defused is left as it is.
    """
    text = _UNDERLINE.sub(_underlined, text)
    plain = text if text.isascii() else text.translate(_PLAIN)
    for mark, broken in _BREAKS:
        places = [0, *(found.end() for found in mark.finditer(plain)), None]
        if len(places) > 2:
            text, plain = (broken.join(whole[start:end] for start, end in pairwise(places)) for whole in (text, plain))
    return text


class _PlainCharacters(dict[int, str | int]):
    """What a character is in ASCII once it is normalized: the wide ones, those of mathematics, blanks of all widths."""

    def __missing__(self, code: int) -> str | int:
        normal = unicodedata.normalize("NFKC", chr(code))
        self[code] = normal if len(normal) == 1 and normal.isascii() else code
        return self[code]


def _overwritten(line: str) -> str:
    """What is left of a line: of each of its versions what no later one covers or erases."""
    kept: list[str] = []
    width = 0
    for version in reversed(line.split("\r")):
        written = _taken_back(_SEQUENCE.sub("", version.rpartition(_LINE_ERASED)[2]))
        kept.append(written[width:])
        width = max(width, len(written))
        if _ERASED.search(version):
            break
    return "".join(kept)


def _taken_back(text: str) -> str:
    if "\b" not in text:
        return text
    kept: list[str] = []
    for character in text:
        if character != "\b":
            kept.append(character)
        elif kept:
            kept.pop()
    return "".join(kept)


def _spelled(found: re.Match[str]) -> str:
    character = found.group()
    return "" if character in _STYLES else ascii(character)[1:-1]


def _underlined(found: re.Match[str]) -> str:
    """The line below the code of a traceback, in its width."""
    line = found.group()
    return line.replace("~", "-") if "~~~" in line else line


_PLAIN = _PlainCharacters()
_UNDERLINE = re.compile(r"^ *(?=~*\^)[~^]+$", re.MULTILINE)
# Where each ends, its text is put in. None finds anything in what it or another has left; names of roles come first, as
# what quotes them closes a tag.
_BREAKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            rf"^(?=[ \t]{{0,40}}[#*_(]{{0,4}}[ \t]{{0,4}}(?:{_ROLES})(?:[*_)]{{0,4}}[ \t]{{0,8}}:|[ \t]*$))",
            re.MULTILINE | re.IGNORECASE,
        ),
        "> ",
    ),
    (re.compile(r"<(?=\|)"), " "),
    (
        re.compile(
            rf"<(?=/?(?!(?:{_PYTHONS_OWN})>)[^\W\d_][\w:.-]{{0,80}}"
            "(?:[ \t]{0,8}/?>|=|[ \t]{1,8}[\\w:-]{1,80}=[\"']))"
        ),
        " ",
    ),
    (
        re.compile(
            rf"<(?=(?:/\s{{0,8}})?(?:(?:{_TAGS})(?![\w.])[^<>]{{0,200}}>|(?:function|parameter)\s{{0,8}}=)"
            r"|/\s{1,8}\w{1,80}>)",
            re.IGNORECASE,
        ),
        " ",
    ),
    (re.compile(rf"\[(?=\||(?:/\s{{0,8}})?(?:{_BRACKETED})\s{{0,8}}\])", re.IGNORECASE), " "),
    (re.compile(r"[\u25c1\u25c0](?=/?[^\W\d]\w{0,80}[\u25b7\u25b6])|\](?=~!?b[\[\]])|\[(?=e~\[)"), " "),
    (re.compile(r"\\(?=[a-z]{0,8}box)", re.IGNORECASE), " "),
    (re.compile("``(?=`)"), " "),
    (re.compile("~~(?=~)"), " "),
)
