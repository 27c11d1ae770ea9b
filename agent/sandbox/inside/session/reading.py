"""Reads a cell's source. A typing slip that keeps it from compiling is corrected where that is certain, with a note."""

from __future__ import annotations

import re
import unicodedata
from ast import Module, Pass, PyCF_ALLOW_TOP_LEVEL_AWAIT, PyCF_ONLY_AST
from collections.abc import Iterator

from agent.sandbox.inside.session.private import BUILTINS

__builtins__ = BUILTINS  # type: ignore[assignment] # the interpreter takes a dictionary, too

FLAGS = PyCF_ALLOW_TOP_LEVEL_AWAIT  # for compiling cells

_STRINGS = (
    r'"""(?:\\.|[^\\])*?"""' + r"|'''(?:\\.|[^\\])*?'''" + r'|"(?:\\.|[^"\\\n])*"' + r"|'(?:\\.|[^'\\\n])*'|\#[^\n]*"
)
_SPACES = "\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_NO_WIDTH = (
    "\xad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064\ufeff"
)
_DOUBLE, _SINGLE = "\u201c\u201d\u201e\u201f\uff02", "\u2018\u2019\u201a\u201b\uff07"
_STAND_INS = {
    " ": _SPACES,
    "": _NO_WIDTH,
    "\n": "\x85\u2028\u2029",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63",
    "*": "\xb7\xd7\u2217\u2219\u22c5",
    "/": "\xf7\u2044\u2215",
    "<=": "\u2264\u2a7d",
    ">=": "\u2265\u2a7e",
    "!=": "\u2260",
    "->": "\u2192",
    ",": "\u3001",
}
_WIDER = 0xFF01 - 0x21  # the forms of ASCII that are as wide as Chinese characters
_PLAIN = {character: plain for plain, odd in _STAND_INS.items() for character in odd}
_PLAIN |= {chr(code + _WIDER): chr(code) for code in range(0x21, 0x7F)}
_SUPERSCRIPTS = str.maketrans("\u2070\xb9\xb2\xb3\u2074\u2075\u2076\u2077\u2078\u2079", "0123456789")
_TYPED = re.compile(
    rf"(?P<kept>{_STRINGS})"
    rf"|(?P<double>[{_DOUBLE}](?:\\.|[^{_DOUBLE}\"\\\n])*[{_DOUBLE}\"]|\"(?:\\.|[^\"\\\n{_DOUBLE}])*[{_DOUBLE}])"
    rf"|(?P<single>[{_SINGLE}](?:\\.|(?<=\w)\u2019(?=\w)|[^{_SINGLE}'\\\n])*[{_SINGLE}']|'(?:\\.|[^'\\\n{_SINGLE}])*[{_SINGLE}])"
    rf"|(?P<power>[{''.join(map(chr, _SUPERSCRIPTS))}]+)|(?P<odd>[{re.escape(''.join(_PLAIN))}])",
    re.DOTALL,
)
_FIELD = re.compile(r"\{[^{}]*\}")  # in a formatted string
_CONTINUED = r"\\\n[ \t]*[%!]"  # a line that is the rest of another
_BRACKETS = r"(?P<open>[(\[{])|(?P<close>[)\]}])"
_INSIDE = re.compile(rf"(?P<kept>{_STRINGS})|{_BRACKETS}", re.DOTALL)  # inside brackets no line is a magic
_MAGIC = re.compile(
    rf"(?P<kept>{_STRINGS}|{_CONTINUED})|{_BRACKETS}|^(?P<margin>[ \t]*)"
    r"(?P<magic>(?:%%(?:time|timeit|capture|prun|python3?)\b|%[A-Za-z]|![ \t]*[\w./~]"
    r"|(?:pip3?|conda|apt(?:-get)?|python3? -m pip)[ \t]+install\b)(?:\\\n|[^\n])*)",
    re.DOTALL | re.MULTILINE,
)
_LIKE_MAGIC = re.compile(
    rf"(?P<kept>{_STRINGS}|{_CONTINUED})|{_BRACKETS}"
    r"|(?P<magic>^[ \t]*(?:%{1,2}[A-Za-z]|![ \t]*[\w./~]|\?{1,2}\w)|=[ \t]*[%!][ \t]*[A-Za-z]|\w\?{1,2}[ \t]*$"
    r"|^[ \t]*(?:pip3?|conda|apt(?:-get)?|python3? -m pip)[ \t]+install\b)",
    re.DOTALL | re.MULTILINE,
)
_FENCES = re.compile(r"\A\s*```[ \t]*(?:python3?|py)?[ \t]*\n|\n[ \t]*```\s*\Z", re.IGNORECASE)
_MARGIN = re.compile(r"[ \t]*")
_TIMED = re.compile(r"%time[ \t]+(?P<code>[^\n]+)")
_BYTE_ORDER = "\ufeff"  # what some editors begin a file with
_PROMPT = re.compile(r"[ \t]*(?:>>>|\.\.\.)(?: |$)")
_name = unicodedata.name
_TOLD = 4  # characters that a note names


def parse_source(source: str, name: str) -> Module:
    """Parse as `ast.parse` does; raises what that raises."""
    tree: Module = compile(source, name, "exec", FLAGS | PyCF_ONLY_AST, dont_inherit=True)
    return tree


def read(source: str, name: str) -> tuple[Module, str, str]:
    """The cell's tree, the source that it is of, and a note on how that differs from what was given; mostly empty.

    Raises what `ast.parse` raises for the source itself, if it is not certain what was meant.
    """
    source = source.removeprefix(_BYTE_ORDER)
    try:
        return parse_source(source, name), source, ""
    except SyntaxError as error:
        bare = _without_frame(source)
        typed, characters = _retyped(bare)
        others = (_without_magics(bare), _without_magics(typed, characters), _without_prompts(bare))
        for text, notes in ((bare, [""]), (typed, [characters]), *others):
            try:
                tree = parse_source(text, name)
            except SyntaxError:
                continue
            if text != source and not all(isinstance(statement, Pass) for statement in tree.body):
                return tree, text, "".join(f"({note})\n" for note in notes if note)
        raise error


def _without_frame(source: str) -> str:
    """The source without fences around it and without an indentation of all of it, which a notebook ignores, too."""
    text = _FENCES.sub("", source)
    lines = text.splitlines(keepends=True)
    margin = next((_MARGIN.match(line)[0] for line in lines if line.strip()), "")  # type: ignore[index] # it matches
    if margin and all(line.startswith(margin) for line in lines if line.strip() and line.lstrip()[0] != "#"):
        return "".join(line.removeprefix(margin) for line in lines)
    return text


def _retyped(source: str) -> tuple[str, str]:
    """The source with plain characters outside of strings, and what was replaced."""
    replaced: dict[str, str] = {}

    def plain(match: re.Match[str]) -> str:
        text, kind = match.group(), match.lastgroup
        if kind == "kept":
            formatted = match.string[max(0, match.start() - 2) : match.start()].lower().endswith(("f", "fr"))
            return _FIELD.sub(lambda field: _TYPED.sub(plain, field.group()), text) if formatted else text
        if kind == "power":
            new = f"**{text.translate(_SUPERSCRIPTS)}"
        elif kind == "odd":
            new = _PLAIN[text]
        else:
            quote = '"' if kind == "double" else "'"
            replaced.update({mark: quote for mark in (text[0], text[-1]) if mark != quote})
            return f"{quote}{text[1:-1]}{quote}"
        replaced[text] = new
        return new

    text = _TYPED.sub(plain, source)
    told = ", ".join(_told(old, new) for old, new in list(replaced.items())[:_TOLD])
    more = ", and others" if len(replaced) > _TOLD else ""
    return text, f"This is not Python as it was typed. It was run with {told}{more}." if replaced else ""


def _told(old: str, new: str) -> str:
    names = " ".join(_name(character, "") for character in old)
    return f"U+{ord(old[0]):04X} {names} " + (f"as {new!r}" if new else "left out")


def _without_magics(source: str, *notes: str) -> tuple[str, list[str]]:
    """The source without lines that are IPython's or the shell's, and what to say of them."""
    lines: list[str] = []

    def nothing(match: re.Match[str]) -> str:
        timed = _TIMED.fullmatch(match["magic"])
        if timed:
            return f"{match['margin']}{timed['code']}"
        lines.append(match["magic"].strip())
        return f"{match['margin']}pass"

    text, end = "", 0
    for match in _magics(source, _MAGIC):
        text += source[end : match.start()] + nothing(match)
        end = match.end()
    text += source[end:]
    if lines:
        left_out = "; ".join(lines[:_TOLD])
        notes += (f"Left out, as this is Python without IPython's magics, a shell or pip: {left_out[:200]}",)
    elif text != source:
        notes += ("This is Python without IPython's magics: what stands behind %time was run, but not timed.",)
    return text, [*notes]


def has_magic(source: str) -> bool:
    """Whether a source that is no Python has something in it that looks like IPython's magics or a shell's lines."""
    return any(True for _ in _magics(source, _LIKE_MAGIC))


def _magics(source: str, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
    """Where a pattern finds a magic outside of strings, comments and brackets."""
    depth, end = 0, 0
    while match := (_INSIDE if depth else pattern).search(source, end):
        end, kind = match.end(), match.lastgroup
        if kind == "magic":
            yield match
        depth = max(0, depth + (kind == "open") - (kind == "close"))


def _without_prompts(source: str) -> tuple[str, list[str]]:
    """The code of a session of Python's own prompt, and what to say of it; the source itself if it is none."""
    if not source.lstrip().startswith(">>>"):
        return source, []
    prompts = [(match, line) for line in source.splitlines() if (match := _PROMPT.match(line))]
    text = "".join(f"{line[match.end() :]}\n" for match, line in prompts)
    return text, ["Only the lines behind the prompts >>> and ... were run, without these."]
