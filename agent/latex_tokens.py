"""LaTeX as tokens: numbers, operators in one spelling, and words by what they do to the value beside them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

# What words stand for. Any other word is a variable, or if it stands in `\text` a unit.
UNIT = "<unit>"  # may have a power: cm^2
MARK = "<mark>"  # of degrees or percent
CONDITION = "<condition>"  # what follows says when the value holds
CONGRUENT = "<congruent>"
GIVES = "<gives>"  # what stands before leads to the value
UNREADABLE = "<?>"  # what changes a value in a way that is not computed here, or weakens what is said of it
ORDINALS = ("st", "nd", "rd", "th")

_SPACE = r"[ ~\u00a0\u2009\u202f]"
_COMMON = rf"""
    (?P<number> (?: [1-9]\d{{0,2}}  # thousands, always with the same separator
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
_PHRASE = r"| (?P<phrase> [^\W\d_]+ (?: [\s.,;:'\u2019~-]+ [^\W\d_]+ )* [\s.,;:]* )"
_IN_MATHS = re.compile(_COMMON + _LABELS + _UNITS + _REST, re.VERBOSE)
_IN_TEXT = re.compile(_COMMON + _PHRASE + _REST, re.VERBOSE)

_MEANING = {
    spelling: token
    for token, spellings in {
        "*": "\\times \\cdot \\ast \u00d7 \u00b7 \u22c5",
        "/": "\\div \u00f7",
        "-": "\u2212",
        "=": "is are equals",
        CONGRUENT: "\\equiv \u2261",
        "<": "> <= >= != \\lt \\gt \\le \\leq \\leqslant \\ge \\geq \\geqslant \\ne \\neq \\approx \\sim \\simeq \\pm"
        " \\mp \\mid \\nmid \\in \\notin \\not= \u2264 \u2265 \u2260 \u2248 \u00b1 \u2208",
        "\\frac": r"\dfrac \tfrac \cfrac",
        "\\binom": r"\dbinom \tbinom",
        "mod": r"\mod \bmod \pmod modulo",
        MARK: "% \\% \u00b0 \\degree",
        CONDITION: "for if when where since because",
        # What sets values apart from each other.
        ",": r"; & \\ \quad \qquad \lor \land \vee \wedge or and",
        # What changes the look alone; the lone backslash is that of a control space.
        "": r"$ \$ \( \) \[ \] ~ \ \, \; \: \! \boxed \fbox \framebox \mbox \hbox \left \right \underline \bf \rm \bm"
        r" \text \textbf \textit \textrm \textsf \texttt \mathbf \mathit \mathrm \mathsf \mathtt \mathnormal \pmb \num"
        r" \boldsymbol \displaystyle \textstyle \big \Big \bigg \Bigg \bigl \bigr \large \Large \LARGE \huge \Huge"
        " \u20ac \u00a3 \u200b \u200c \u200d \u2060 \ufeff",
    }.items()
    for spelling in spellings.split()
}

_POINTS = frozenset(["", ".", ",", ":"])
_BEHIND_FACTORIALS = frozenset("+-*/^)}=")
_LETTER_UNITS = frozenset("msghlLJNWVAKCF")
_CHANGING_WORDS = """
    hundred hundreds thousand thousands million millions billion billions trillion trillions dozen dozens gross lakh
    crore bn mn half halves halved third thirds quarter quarters fourth fourths fifth fifths sixth sixths seventh
    sevenths eighth eighths ninth ninths tenth tenths hundredth hundredths thousandth thousandths ths factorial
    minus plus times over choose power mod modulo twice thrice double doubled triple tripled quadrupled increased
    decreased reduced subtracted added rounded inverse reciprocal divided multiplied base binary octal hex
    hexadecimal repeating recurring point pi sqrt log ln sin cos tan exp negative not no never about approximately
    approx roughly around nearly almost least most more less fewer than between up except unless otherwise else but
    respectively none may might could maybe perhaps possibly probably presumably cannot isn aren guess
"""
CHANGING = frozenset(_CHANGING_WORDS.split())
_CHANGING_CHARACTERS = frozenset("百千万亿萬億半倍约約负負非或和当當若")
_CONDITION_WORDS = "for if when where whenever with at as since because given assuming provided while"
_CONDITIONS = frozenset(_CONDITION_WORDS.split())
_VERBS = frozenset({"is", "are", "be", "equals", "get", "obtain", "have"})
_GIVING = frozenset({"gives", "yields", "produces"})

# A backslash that was escaped once too often, or once too rarely (JSON's \b, \f, \t and \r).
_ESCAPES = re.compile(
    r"\\(?=\\(?:[dt]?frac|[dt]?binom|text|math|times|cdot|left|right|sqrt|boxed|pmod|bmod|circ|quad))"
    r"|\x08(?=oxed|inom|mod)|\x0c(?=rac|box)|\t(?=ext|imes|frac|binom)|\r(?=ight)"
)
_UNESCAPED = {"\\": "", "\x08": "\\b", "\x0c": "\\f", "\t": "\\t", "\r": "\\r"}


@dataclass(slots=True)
class _Group:
    """An open brace, at this place among the tokens."""

    place: int
    is_text: bool
    parentheses: int  # that were open then
    has_words: bool = False


def latex_tokens(latex: str) -> list[str]:
    r"""Numbers without separators, operators in one spelling, words as what they stand for; the rest as it stands.

    The braces of a `\text` with words in it are left out, since such a text may hold half a parenthesis.
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
            tokens += ["="] if read == [":"] and tokens[-1:] in ([UNIT], ["="]) else read
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
            return [re.sub(r"[^\d.]", "", token)]
        case "mark":
            return [MARK]
        case "look":
            return []
        case "label" | "equals":
            return ["="]
        case "unit":
            return [UNIT]
        case "phrase":
            return _phrase(token)
    return [_MEANING.get(token, token)]


def _phrase(text: str) -> list[str]:
    """What words of a text stand for; a letter that is no unit is a variable there too."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    first, last = words[0], words[-1]
    if len(words) == 1 and len(first) == 1 and first.isascii():
        letter = text.strip(" .,;:")
        return [UNIT if letter in _LETTER_UNITS else letter]
    if words in (["mod"], ["modulo"]):
        return ["mod"]
    if _changes(words):
        return [UNREADABLE]
    more = [UNIT] if len(words) > 1 else []
    if first in ORDINALS:
        return [first, *more]
    if not {"or", "and"}.isdisjoint((first, last)):
        return [UNREADABLE if more else ","]
    if first in _CONDITIONS:
        return [CONDITION, *more]
    return [_relation(words, colon=text.rstrip().endswith(":"))]


def _relation(words: list[str], *, colon: bool) -> str:
    """`The answer is` and its like say what the value is; all else is a unit."""
    first, last = words[0], words[-1]
    if last in _GIVING:
        return GIVES
    if last in _VERBS or words[-2:] == ["equal", "to"] or last.endswith(("\u662f", "\u4e3a", "\u70ba")):
        return "="
    if first in _VERBS:  # 42 `is the answer`
        return UNIT
    return "=" if colon or last in {"answer", "ans", "result"} else UNIT


def _changes(words: list[str]) -> bool:
    """Whether the words may make another number of the value beside them."""
    if not CHANGING.isdisjoint(words) or not _CHANGING_CHARACTERS.isdisjoint("".join(words)):
        return True
    if words[0] in {"squared", "cubed", "of", "k"}:  # behind a unit they are a part of it: cm squared
        return True
    percentage = "of" in words and not {"percent", "cent"}.isdisjoint(words)
    another = words[0] in _CONDITIONS and not {"remainder", "total", "sum"}.isdisjoint(words)  # of another value
    return percentage or another
