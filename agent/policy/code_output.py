"""The integer that a program's output states as its result."""

from __future__ import annotations

import re
from functools import lru_cache

from agent.latex.integer import MAX_CHARS, parse_integer
from agent.latex.words import changes_value

_CUT = re.compile(r"\[\.\.\. .{0,80}\bcut\b")
_NO_RESULT = re.compile(
    r"""(?: error | exception | warning | interrupt | stopiteration | exit ) s? \b
      | \b (?: kill | skip | abort | timed\b | timeout | try\b | trying | tried | testing | tested | checking | checked
        | attempt | expect (?! ed\s+(?:value|number) ) | seed | using\b | elapsed | took\b | runtime | partial | so\sfar
        | whether | what\b | debug )
      | ^ (?: max\w* \W )? (?: lines? | steps? | iter\w* | limit | time | code | status | input | default | start )
        \W* $""",
    re.VERBOSE | re.IGNORECASE,
)
_STATED = re.compile(
    r"""
    (?: (?P<label> .*? )
        (?P<sign> (?<!\d) [:\uff1a] | : (?=\s) | (?<![!<>=:~^*/+|%&-]) = (?!=) | -> | \u2192
          | (?P<word> (?<=\W) (?: is | are | equals ) \b | (?<=.) [\u662f\u4e3a\u70ba]
              | \b (?: answer | ans | result | total | count | sum | maximum | max | minimum | min | so | thus | hence
                | therefore ) \b )
        ) \s* )?
    (?P<open> [\[({'"`$] | \*\* | \\boxed\{ )? (?P<number> [-+\u2212]? (?: \d{1,3} (?: ,\d{3} )+ | \d+ ) (?: \.0* )? )
    (?P<close> [\])}'"`$] | \*\* )? (?P<counted> \s [^\W\d_]+ )? (?P<end> [.\u3002]? | !* )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_CLOSING = {None: None, "[": "]", "(": ")", "{": "}", "\\boxed{": "}"}  # all others close themselves
_MODULUS = re.compile(r"\(?\b(?:mod(?:ulo|ulus)?)\s*(?:\d+|10\^\d+|10\*\*\d+)\b\)?", re.IGNORECASE)
_BRACKETED = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_RELATION = re.compile("[<>~\u2248\u2243\u2245\u223c\u2260\u2264\u2265\u2261\xb1?]|!=|==")
_ANOTHER = re.compile(r"(?:[:\uff1a]|\b(?:is|are|equals)\b)\s*[-+]?\d", re.IGNORECASE)
_ANOTHER_SIDE = re.compile(r"[=:\uff1a]\s*[-+]?\d")
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]{2,}|(?<=['\u2019])t\b")  # a single letter is a variable


def printed_integer(output: str) -> int | None:
    """The integer that the last line of an output states: `42`, `12,345`, `[42]`, `n = 42`, `The count for N=5 is 42`.

    It stands alone at the end of that line, a whole number as in a box, after nothing or after what is said to have
    this value and a colon, `=`, `->`, `is`, `are` or a word such as `answer`; but `There are 42 ways` states it, too.
    None where the line states anything else: a bound or an estimate, more numbers than one, a fraction, a formula, a
    float such as `1e5`, an error, what was tried, skipped or expected, or the rest of a line that was cut.
    """
    before, line = ["", *output.rstrip().rsplit("\n", 2)][-2:]
    return None if _CUT.search(before) or len(line) > MAX_CHARS else _stated(line.strip())


@lru_cache(maxsize=4_096)  # a vote is counted many times
def _stated(line: str) -> int | None:
    stated = _STATED.fullmatch(line)
    if stated is None or stated["close"] != _CLOSING.get(stated["open"], stated["open"]):
        return None
    label, sign, counted = stated["label"] or "", stated["sign"], stated["counted"] or ""
    if stated["end"].startswith("!") and not stated["word"]:
        return None  # a factorial
    if counted and not label.lower().endswith("there "):
        return None
    if label and not _LETTER.search(label):
        return parse_integer(line) if sign == "=" else None  # 6*7 = 42, but no row of a table (5: 42)
    return parse_integer(stated["number"]) if _is_settled(label, sign or "", counted) else None


def _is_settled(label: str, sign: str, counted: str) -> bool:
    """Whether what stands before a number only says whose value it is: in no doubt, and with no other value in it."""
    bare = _BRACKETED.sub("", label)
    another = _ANOTHER_SIDE if sign == "=" else _ANOTHER
    if _NO_RESULT.search(label + counted) or _RELATION.search(bare.replace("->", "")) or another.search(bare):
        return False
    words = _WORD.findall(_MODULUS.sub("", label + counted).lower())
    return not changes_value(["it", *words])  # as words inside a sentence are read
