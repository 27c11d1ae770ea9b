"""Tokenize LaTeX: numbers, normalized operators, and words by their effect on the value next to them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from agent.latex.words import CONDITION, CONGRUENT, GIVES, LABEL, MARK, UNIT, UNREADABLE, phrase_tokens

_SPACE = r"[ ~\u00a0\u2009\u202f]"
_COMMON = rf"""
    (?P<number> (?: [1-9]\d{{0,2}}  # thousands, with a consistent separator
                    (?P<separator> , | \{{,\}} | ,\\! | \{{?\\,\}}? | \\[;:! ] | {_SPACE} )
                    \d{{3}} (?: (?P=separator) \d{{3}} )* (?!\d)
                  | \d+ )
                (?: \. \d* )? )
  | (?P<text> \\(?: text(?:rm|bf|it|sf|tt|normal)? | mathrm | mbox | hbox | operatorname\*? ) \s* \{{ )
  | (?P<mark> \^ \s* (?: \\circ | \\degree | \{{\s*\\circ\s*\}} ) )
  | (?P<look> \\(?: (?: text )? color (?: box )? | hspace\*? ) \s* \{{ [^{{}}]* \}}
            | \\(?: begin | end ) \s* \{{ (?: align(?:ed)? | gather(?:ed)? | split | equation | center ) \*? \}} )
  | (?P<equals> (?: \\\\ \s* )? & \s* = )
  | (?: [<>!] | \\not\s* ) =
  | \*\*
"""
_REST = r"| \\[A-Za-z]+ | \\\S | [A-Za-z]+ | \S"
_LABELS = r"| (?P<label> (?i: answer | result | total ) \s* : )"
_UNITS = r"| (?P<unit> (?: [ckm]m | kg | units? | degrees? | dollars? | cents? | inch(?:es)? | feet ) \b )"
_HAN = r"| (?P<han> [\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]+ [\s:\uff1a]* )"
_PHRASE = r"| (?P<phrase> [^\W\d_]+ (?: [\s.,;:'\u2019~-]+ [^\W\d_]+ )* [\s.,;:\uff1a]* )"
_IN_MATHS = re.compile(_COMMON + _LABELS + _UNITS + _HAN + _REST, re.VERBOSE)
_IN_TEXT = re.compile(_COMMON + _PHRASE + _REST, re.VERBOSE)

_MEANING = {
    spelling: token
    for token, spellings in {
        "*": "\\times \\cdot \\ast \u00d7 \u00b7 \u22c5",
        "/": "\\div \u00f7",
        "-": "\u2212",
        ".": "\u3002",
        "=": "is are equals",
        GIVES: r"\implies \Rightarrow \Longrightarrow \therefore \rArr" " \u21d2 \u27f9 \u2234",
        CONGRUENT: "\\equiv \u2261",
        "<": "> <= >= != \\lt \\gt \\le \\leq \\leqslant \\ge \\geq \\geqslant \\ne \\neq \\approx \\sim \\simeq \\pm"
        " \\mp \\mid \\nmid \\in \\notin \\not= \u2264 \u2265 \u2260 \u2248 \u00b1 \u2208",
        "\\frac": r"\dfrac \tfrac \cfrac",
        "\\binom": r"\dbinom \tbinom",
        "mod": r"\mod \bmod \pmod modulo",
        MARK: "% \\% \u00b0 \\degree",
        CONDITION: "for if when where since because",
        # Separators of values.
        ",": r"; & \\ \quad \qquad \lor \land \vee \wedge or and",
        # Formatting only; the lone backslash is that of a control space.
        "": r"$ \$ \( \) \[ \] ~ \ \, \; \: \! \boxed \fbox \framebox \mbox \hbox \left \right \underline \bf \rm \bm"
        r" \text \textbf \textit \textrm \textsf \texttt \mathbf \mathit \mathrm \mathsf \mathtt \mathnormal \pmb \num"
        r" \boldsymbol \displaystyle \textstyle \big \Big \bigg \Bigg \bigl \bigr \large \Large \LARGE \huge \Huge"
        " \u20ac \u00a3 \u200b \u200c \u200d \u2060 \ufeff",
    }.items()
    for spelling in spellings.split()
}

_AMBIGUOUS = re.compile(r"[1-9]\d{0,2}\.000")  # 10.000 is ten, or ten thousand in many countries
_POINTS = frozenset(["", ".", ",", ":"])
_BEHIND_FACTORIALS = frozenset("+-*/^)}=")
# A backslash that was escaped once too often, or not at all (JSON's \b, \f, \t and \r).
_ESCAPES = re.compile(
    r"\\(?=\\(?:[dt]?frac|[dt]?binom|text|math|times|cdot|left|right|sqrt|boxed|pmod|bmod|circ|quad))"
    r"|\x08(?=oxed|inom|mod)|\x0c(?=rac|box)|\t(?=ext|imes|frac|binom)|\r(?=ight)"
)
_UNESCAPED = {"\\": "", "\x08": "\\b", "\x0c": "\\f", "\t": "\\t", "\r": "\\r"}


@dataclass(slots=True)
class _Group:
    """An open brace at this index of the tokens."""

    place: int
    is_text: bool
    parentheses: int  # that were open then
    has_words: bool = False


def latex_tokens(latex: str) -> list[str]:
    r"""Return numbers without separators, normalized operators, words as what they mean, and the rest verbatim.

    The braces of a `\text` with words in it are dropped, since such a text may contain an unbalanced parenthesis.
    """
    latex = _ESCAPES.sub(lambda match: _UNESCAPED[match.group()], latex)
    tokens: list[str] = []
    groups: list[_Group] = []
    position = parentheses = 0
    while match := (_IN_TEXT if groups and groups[-1].is_text else _IN_MATHS).search(latex, position):
        position = match.end()
        token = match.group()
        parentheses += (token == "(") - (token == ")")
        if match["text"] is not None or token == "{":
            is_text = token != "{" or bool(groups and groups[-1].is_text)
            groups.append(_Group(len(tokens), is_text, parentheses))
            tokens.append("{")
        elif token == "}" and groups:
            _close(groups, tokens, parentheses)
        else:
            read = _read(match)
            if match.lastgroup == "phrase" and not (len(read[0]) == 1 and read[0].isalpha()):
                groups[-1].has_words = True
            tokens += ["="] if read == [":"] and tokens[-1:] in ([UNIT], [LABEL], ["="]) else read
    return [token for token in tokens if token]


def _close(groups: list[_Group], tokens: list[str], parentheses: int) -> None:
    group = groups.pop()
    if group.is_text and _POINTS.issuperset(tokens[group.place + 1 :]):
        tokens[group.place :] = [token for token in tokens[group.place + 1 :] if token != "."]
        return
    if not group.has_words and group.parentheses == parentheses:
        tokens.append("}")
        return
    tokens[group.place] = ""
    for place, (token, following) in enumerate(pairwise([*tokens[group.place :], ""]), group.place):
        if token == "!" and following not in _BEHIND_FACTORIALS:  # an exclamation, perhaps
            tokens[place] = UNREADABLE
    if groups and groups[-1].is_text:
        groups[-1].has_words = True


def _read(match: re.Match[str]) -> list[str]:
    token = match.group()
    match match.lastgroup:
        case "number":
            return [UNREADABLE if _AMBIGUOUS.fullmatch(token) else re.sub(r"[^\d.]", "", token)]
        case "mark":
            return [MARK]
        case "look":
            return []
        case "label" | "equals":
            return ["="]
        case "unit":
            return [UNIT]
        case "phrase" | "han":
            return phrase_tokens(token)
    return [_MEANING.get(token, token)]
