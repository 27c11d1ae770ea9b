r"""Rewrites LaTeX that means the same to readers, but not to math-verify, into what that reads."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

Rewriting = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]

_SPELLINGS = {
    spelling: command
    for command, spellings in {
        r"\frac": r"\dfrac \tfrac \cfrac \nicefrac \sfrac \flatfrac",
        r"\emptyset": r"\varnothing \O \empty ∅ Ø",
        r"\le ": r"\leq \leqslant ≤ ⩽",
        r"\ge ": r"\geq \geqslant ≥ ⩾",
        r"\ne ": r"\neq ≠",
        r"\infty": r"\infin ∞",
        "=": r"\equiv",
        r"\pi ": "π",
        r"\cdot ": "· ⋅ ∙",
        r"\times ": "\u00d7",
        r"\div ": "÷",
        r"\pm ": "±",
        r"\cup ": "\u222a",
        r"\in ": "∈",
        r"\mathbb{R}": "\\Reals \\reals \\R \u211d",
        r"\setminus ": r"\backslash \smallsetminus",
        r"\{": r"\lbrace",
        r"\}": r"\rbrace",
        "-": "\u2212 \u2013 \u2010 \u2011",
        "(": r"\langle \lparen",
        ")": r"\rangle \rparen",
        "|": r"\vert \lvert \rvert \mid",
        "": r"\displaystyle \textstyle \limits \nolimits \big \Big \bigg \Bigg \bigl \bigr \Bigl \Bigr \biggl \biggr "
        r"\Biggl \Biggr \large \Large \LARGE \huge \Huge \bf \rm \it \hfill \! \/ \strut \dollar \pounds \euro € £ ¥",
        " ": r"\quad \qquad \enspace \thinspace \hspace \nobreakspace",
        "%": r"\%",
    }.items()
    for spelling in spellings.split()
}
_SPELLING = re.compile(r"\\\\|\\[A-Za-z]+|\\[!/%]|[^\x00-\x7f]")
_STYLE = re.compile(
    r"\\(?:math(?:bf|rm|it|sf|tt|normal|cal)|text(?:bf|it|sf|tt|sl|up|sc|normal)|boldsymbol|bm|pmb|underline|emph|ensuremath"
    r"|boxed|fbox|framebox|mbox|hbox|smash|(?:text)?color\s*\{[^{}]*\}|colorbox\s*\{[^{}]*\})\s*(?=\{)"
)
_WORDS = re.compile(
    r"\{\s*[A-Za-z][A-Za-z .,'?()/-]*(?:\^\d)?\}"
)  # in a style these are text, not a product of letters

# Thousands are set apart by one separator throughout. A plain space after a comma belongs to a list.
_SPACE = r"(?:\\[,;:! ]|\\thinspace\b|[~ \u00a0\u2007\u2009\u200a\u202f])"
_SEPARATOR = rf"\{{,\}}(?:\\!)?|,(?:\\!\s*)+|\{{\\[,;:! ]\}}|\s*\\[,;:!]\s*|\s*\\thinspace\s*|{_SPACE}"
_THOUSANDS = re.compile(
    rf"(?<![A-Za-z\d.^_])[1-9]\d{{0,2}}(?P<separator>{_SEPARATOR})\d{{3}}(?:(?P=separator)\d{{3}})*(?!\d)"
)
_COMMAS = re.compile(r"(?<![A-Za-z\d.^_,])[1-9]\d{0,2}(?:,\d{3})+(?![\d,])")
_DECIMALS = re.compile(rf"(?<=\.)\d{{3}}(?:(?:{_SEPARATOR})\d{{3}})*(?:{_SEPARATOR})\d{{1,3}}(?!\d)")

_ROWS: tuple[Rewriting, ...] = (
    (re.compile(r"\\\\\s*\*?\s*(?:\[[^\[\]&]*(?:pt|em|ex|mm|cm|in|sp|pc|mu|\\[A-Za-z]+)\s*\])"), r"\\\\ "),
    (re.compile(r"\\\\\s*\*"), r"\\\\ "),
    (re.compile(r"\\(?:cr(?:cr)?|tabularnewline|newline)(?![A-Za-z])"), r"\\\\ "),
    (re.compile(r"\\(?:hline|midrule|toprule|bottomrule|noalign\s*\{[^{}]*\}|[hv]space\*?\s*\{[^{}]*\})"), " "),
    (re.compile(r"\\(begin|end)\s*\{\s*(?:b|p|small|psmall|bsmall|)matrix\*?\s*\}\s*(?:\[[lcr]\])?"), r"\\\1{pmatrix}"),
    (re.compile(r"\\begin\s*\{\s*(?:array|tabular)\s*\}\s*(?:\[[tcb]\])?\s*\{[^{}]*\}"), r"\\begin{pmatrix}"),
    (re.compile(r"\\end\s*\{\s*(?:array|tabular)\s*\}"), r"\\end{pmatrix}"),
    (re.compile(r"\\pmatrix\s*\{((?:[^{}]|\{[^{}]*\})*)\}"), r"\\begin{pmatrix}\1\\end{pmatrix}"),
    (re.compile(r"(?:\\\\|\s)+(?=\\end\{pmatrix\})"), " "),
    (
        re.compile(
            r"(?:\\left\s*)?[(\[]\s*(\\begin\{pmatrix\}(?:(?!\\begin).)*?\\end\{pmatrix\})\s*(?:\\right\s*)?[)\]]", re.S
        ),
        r"\1",
    ),
)


def _repeating(match: re.Match[str]) -> str:
    """The fraction that a decimal stands for whose last digits repeat for ever."""
    whole, fixed, repeated = match["whole"] or "0", match["fixed"], match["bar"] or match["digit"] or match["paren"]
    value = Fraction(int(whole + fixed + repeated) - int(whole + fixed), 10 ** len(fixed) * (10 ** len(repeated) - 1))
    return rf"\frac{{{value.numerator}}}{{{value.denominator}}}"


def _radians(match: re.Match[str]) -> str:
    """The function of an angle in degrees, with the angle in radians."""
    angle = rf"\frac{{{match[2]}\pi}}{{180}}"
    return match[1] + (angle if match[1].rstrip().endswith("{") else f"{{{angle}}}")


def _residue(match: re.Match[str]) -> str:
    """The least residue alone; one that is not the least stays with its modulus."""
    least = not match["value"] or int(match["value"]) < int(match["modulus"])
    return match["value"] if least else match.group()


_NUMBERS: tuple[Rewriting, ...] = (
    (
        re.compile(
            r"(?<![\d.])(?P<whole>\d*)\.(?P<fixed>\d*)"
            r"(?:\\(?:overline|bar|dot|widebar|overbar)\s*(?:\{\s*(?P<bar>\d+)\s*\}|(?P<digit>\d))|\((?P<paren>\d+)\))"
        ),
        _repeating,
    ),
    (
        re.compile(
            r"(\\(?:sin|cos|tan|cot|sec|csc)(?:\s*\^\s*\{?-?\d+\}?)?\s*(?:\\left)?\s*[({]?\s*)"
            r"(-?\d+(?:\.\d+)?)\s*(?:\^\s*(?:\{\s*\\circ\s*\}|\\circ)|\\degree|°)"
        ),
        _radians,
    ),
    (
        re.compile(
            r"\s*(?:\^\s*(?:\{\s*(?:\\circ|\\degree)\s*\}|\\circ(?![A-Za-z]))|\\degree(?![A-Za-z])|°|º|\^\s*\{\s*o\s*\})"
        ),
        "",
    ),
    (re.compile(r"(?<![\d.A-Za-z}])(\d+)\s+(\d+)\s*/\s*(\d+)(?![\d/.])"), r"\1\\frac{\2}{\3}"),
    (re.compile(r"(?<![\d.])(\d+)(?:\s|\\[,;: ]|~)+(?=\\frac)"), r"\1"),
    (re.compile(r"(?<=\d)\{\s*([:.])\s*\}"), r"\1"),
    (re.compile(r"\\text\s*\{\s*\\text\s*\{([^{}]*)\}\s*\}"), r"\\text{\1}"),
    (re.compile(r"\\text\s*\{\s*(-?\d[\d,.]*)\s*([^{}\d]*)\}"), r"\1\\text{\2}"),
    (re.compile(r"\\text\s*\{\s*(?:the\s+)?empty\s+set\s*\}", re.IGNORECASE), r"\\emptyset"),
    (re.compile(r"\u221a\s*(\d+|[A-Za-z])"), r"\\sqrt{\1}"),
    (re.compile(r"\\mathbb\s+([A-Z])(?![A-Za-z])"), r"\\mathbb{\1}"),
    (re.compile(r"(?<!\d)(?P<value>\d*)\s*\(?\\[pb]?mod\s*\{?\s*(?P<modulus>\d+)\s*\}?\s*\)?\s*$"), _residue),
    (re.compile(r"\\(?:text)?color\s*\{[^{}]*\}"), ""),
    (re.compile(r"\\\{(?:\s|\\[ ,;:])*\\\}"), r"\\emptyset"),
    (re.compile(r"\^\s*\{\s*\\?(?:prime|th|st|nd|rd)\s*\}"), ""),
    (re.compile(r"\\frac\s*\\pi\s*(?=[{\d])"), r"\\frac{\\pi}"),
    (re.compile(r"\](?=[^\[\](){}]*,[^\[\](){}]*[\[\]])"), "("),
    (re.compile(r"(?<=[(\[])([^\[\](){}]*,[^\[\](){}]*)\["), r"\1)"),
)


def rewritten(latex: str) -> str:
    r"""The LaTeX in the spelling that math-verify reads.

    >>> rewritten(r"\dfrac{12\,345}{2}")
    '\\frac{12345}{2}'
    """
    latex = _outer_stripped(_THOUSANDS.sub(_digits, _DECIMALS.sub(_digits, latex)))
    if not re.search(r"[()\[\]{}&]", latex):
        latex = _COMMAS.sub(_digits, latex)
    latex = _SPELLING.sub(lambda match: _SPELLINGS.get(match[0], match[0]), latex)
    latex = _STYLE.sub(_as_text, latex)
    for pattern, replacement in (*_ROWS, *_NUMBERS):
        latex = pattern.sub(replacement, latex)
    return _outer_stripped(latex.replace("~", " "))


def _digits(match: re.Match[str]) -> str:
    return re.sub(r"\D", "", match.group())


def _as_text(match: re.Match[str]) -> str:
    words = _WORDS.match(match.string, match.end())
    return r"\text" if words and len(words.group()) > 3 else ""


def _outer_stripped(latex: str) -> str:
    """The LaTeX without what is around an answer and no part of it: dollars, stars, a full stop, braces of its own."""
    while True:
        before = latex
        latex = latex.strip().strip("`").rstrip(".,;:").removesuffix("\\").strip()
        for first, last in (("$", "$"), ("**", "**"), (r"\(", r"\)"), (r"\[", r"\]")):
            if len(latex) > len(first + last) and latex.startswith(first) and latex.endswith(last):
                latex = latex[len(first) : -len(last)]
        if re.fullmatch(r"\{[^{}]*\}", latex):
            latex = latex[1:-1]
        if latex == before:
            return latex
