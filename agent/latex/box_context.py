r"""Detect text next to a box that changes the value of its content, as in `\boxed{5} \times 10^3`."""

from __future__ import annotations

import re

from agent.latex.words import denies, scales

_CONTEXT_CHARS = 200  # on either side of the box

# After the box comes the rest of its formula (up to `$`) and then the rest of its sentence.
_SPACES = r"(?: [ \t}] | \\[,;:!\ ] )*"
_FACTOR = r"(?: \d | [a-zA-Z](?![a-zA-Z]) | [({] | \\(?: d?frac | sqrt | binom | pi | boxed | left ) )"
_ARITHMETIC_BEHIND = re.compile(
    rf"""
    [0-9] | [.,] \d | ! (?! [!?] )
  | [a-zA-Z] (?! [a-zA-Z] ) (?<! [msg] )
  | {_SPACES} (?:
        \^ (?! \s* \{{? \s* (?: \\circ | \\degree | (?: \\(?: text | mathrm | rm ) \s* \{{? )? (?: st | nd | rd | th )
        \b ) )
      | \\!? (?: times | cdot | div | ast | pm | mp | choose | pi | sqrt | [dt]?frac | binom ) (?! [a-zA-Z] )
      | _ (?= [\d{{\\] ) (?! \{{? 10 \b )
      | [-+/\u2212\u00d7\u00b7] [ ]? {_FACTOR} | \* [ ]? \d
    )
    """,
    re.VERBOSE,
)
_ARITHMETIC_BEFORE = re.compile(
    r"""
    (?: [0-9] | (?<! [-\w] ) [-\u2212] | [0-9)}\]=] [ ]? [-\u2212] [ ]? | [=$(\[] [ ]? [-+\u2212] [ ]?
      | [\w)}] [ ]? [+/^] [ ]? | [0-9)}] [ ]? \* [ ]? | \^
      | \\(?: times | cdot | div | pm | mp | sqrt | [dt]?frac | binom | log | ln | sin | cos | tan ) [ ]?
      | \\(?: sqrt (?: \[ [^\]]{0,9} \] )? | [dt]?frac | binom | overline ) \s* \{ \s*
      | [dt]?frac \s* \{ [^{}]{0,40} \} \s* \{ \s*
      | (?: \b (?i: not | never | cannot ) | n['\u2019]t ) (?: \s+ be )? \s+
    ) (?: [${] | \\[(\[] )* \Z
    """,
    re.VERBOSE,
)
_CLOSERS = re.compile(r"(?: [ \t$}*~] | \\[,;:!\ )\]] )*", re.VERBOSE)
_TEXT = re.compile(r"\\(?:text(?:rm|bf|it|normal)?|mathrm|mbox)\s*\{([^{}]*)\}")
_WORD = re.compile(r"[^\W\d_]+")
_DENIAL = re.compile(
    r"""
    [,;(]? \s* (?: (?: but | which | however | though | although | and | yet ) ,? \s+ )?
    (?: (?: that | this | it | which | the \s answer ) \b )?
    \s* (?: ['\u2019]s | is | was | are | seems | looks | must \s be | has \s to \s be ) \b \s*
    (?: (?: clearly | obviously | surely | definitely | just | only | also | still | probably ) \s+ )?
    (?: wrong | incorrect | false | impossible | invalid | unverified | too \s (?: big | small | large | low | high )
      | an? \s (?: mistake | error | guess | (?: lower | upper ) \s bound | wrong )
      | not \s (?: (?: the | my | our | a ) \s )? (?: final \s | valid \s )?
        (?: answer | correct | right | possible | valid | true | it ) \b )
  | [,;(]? \s* (?: but \s+ | which \s+ | that \s+ | it \s+ )* (?: is | was | does ) n['\u2019]t \s
        (?: (?: the | my | our ) \s )? (?: final \s )? (?: answer | correct | right | possible | valid | true | work )
  | (?: (?: is | was ) \s* )? (?: \u4e0d\u662f | \u4e0d\u5bf9 | \u4e0d\u6b63\u786e | \u662f\u9519 | \u9519 )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_BETWEEN = re.compile(
    r"""(?: [\s$,;&*] | \\[,;:!\ ()\[\]\\] | \\q?quad | \\(?: text | mathrm ) \s* \{ \s* (?: and | or ) \s* \}
        | \band\b | \bor\b
        | \\l?(?: or | and ) | [a-zA-Z] (?: _ \{? \w \}? )? \s* = )*""",
    re.VERBOSE,
)


def changed_outside(text: str, start: int, end: int) -> bool:
    """Whether the text directly before or after the box at `start`..`end` changes the value of its content.

    That is arithmetic in the same formula, a following word for a power of ten, or a sentence that denies it.
    """
    before = text[max(start - _CONTEXT_CHARS, 0) : start]
    behind = text[end : end + _CONTEXT_CHARS]
    if _ARITHMETIC_BEFORE.search(before) is not None or _ARITHMETIC_BEHIND.match(behind) is not None:
        return True
    closers = _CLOSERS.match(behind)
    behind = behind[closers.end() :] if closers is not None else behind
    words = _TEXT.match(behind)
    if words is not None:
        return denies(words[1])
    word = _WORD.match(behind)
    return (word is not None and scales(word.group())) or _DENIAL.match(behind) is not None


def side_by_side(text: str, end: int, start: int) -> bool:
    """Whether a box that ends at `end` and one that starts at `start` form a list, or one number in two boxes."""
    return start - end <= _CONTEXT_CHARS and _BETWEEN.fullmatch(text, end, start) is not None
