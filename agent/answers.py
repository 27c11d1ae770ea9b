r"""The integer that a model's text gives as its answer: its last `\boxed{...}`, read by an edition's rule."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from agent.types import Edition

MAX_CHARS = 10_000  # of a box: whatever is longer is prose, not an integer
MAX_TOKENS = 64  # of an expression; bounds the work and the recursion of the reader
MAX_DIGITS = 640  # the longest number that Python converts whatever its limit on digits is set to
_LIMIT = 10**MAX_DIGITS

# A doubled backslash is a model's slip (text escaped twice), so it opens a box too.
_BRACE = re.compile(r"\\{1,2}(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)

_UNIT = "<unit>"
_NOT_UNITS = {"mod", "hundred", "thousand", "million", "billion", "trillion", "dozen"}
_TOKEN = re.compile(
    r"""
    (?P<number> (?: [1-9]\d{0,2}  # thousands, always with the same separator
                    (?P<separator> , | \{,\} | ,\\! | \{?\\,\}? | \\[;:! ] | [ ~\u00a0\u2009\u202f] )
                    \d{3} (?: (?P=separator) \d{3} )* (?!\d)
                  | \d+ )
                (?: \. \d* )? )
  | (?P<unit> (?: \\(?: text(?:rm|bf|it)? | mathrm | mbox ) \s* \{ (?P<words> [^{}\d]* ) \}
                | (?: [ckm]m | kg | units? | degrees? | dollars? | cents? | inch(?:es)? | feet ) \b )
              (?: \s* \^ \s* (?: \d | \{\d\} ) )?
            | \^ \s* (?: \\circ | \\degree | \{\s*\\circ\s*\} ) )
  | (?P<colour> \\(?: text )? color \s* \{ [^{}]* \} )
  | (?: [<>!] | \\not\s* ) =
  | \\[A-Za-z]+ | \\\S | [A-Za-z]+ | \S
    """,
    re.VERBOSE,
)
_MEANING = {
    spelling: token
    for token, spellings in {
        "*": "\\times \\cdot \\ast \u00d7 \u00b7 \u22c5",
        "/": "\\div \u00f7",
        "-": "\u2212",
        "=": "\\equiv \u2261",
        "\\frac": r"\dfrac \tfrac \cfrac",
        "mod": r"\mod \bmod \pmod",
        _UNIT: "% \\% \u00b0 \\degree",
        # What sets values apart from each other.
        ",": r"; & \\ \quad \qquad \lor \land \vee \wedge or and",
        # What changes the look alone; the lone backslash is that of a control space.
        "": r"$ \$ \( \) \[ \] ~ \ \, \; \: \! \boxed \fbox \mbox \hbox \left \right \underline \bf \rm \bm \pmb"
        r" \text \textbf \textit \textrm \textsf \texttt \mathbf \mathit \mathrm \mathsf \mathtt \mathnormal"
        r" \boldsymbol \displaystyle \textstyle \big \Big \bigg \Bigg \bigl \bigr \large \Large \LARGE \huge \Huge",
    }.items()
    for spelling in spellings.split()
}


def last_boxed(text: str) -> str | None:
    r"""What the last complete `\boxed{...}` or `\fbox{...}` holds; None where there is none.

    Braces nest and may be escaped. A box that is still open where the text ends does not count, and hides
    neither those before it nor those within it. Of nested boxes the outer one is the last.
    """
    open_braces: list[int | None] = []  # where the content starts if the brace is a box's, else None
    last: tuple[int, int] | None = None
    for match in _BRACE.finditer(text):
        token = match.group()
        if token == "}":
            start = open_braces.pop() if open_braces else None
            if start is not None:
                last = start, match.start()
        elif token.endswith("{") and token != "\\{":
            open_braces.append(None if token == "{" else match.end())
    return None if last is None else text[slice(*last)]


def parse_integer(latex: str) -> int | None:
    r"""The integer that a piece of LaTeX stands for; None if it stands for anything else.

    Read are: thousands separators, signs, leading zeros, whole decimals (`42.0`), styles, colours and wrappers, units
    behind the number (`\text{ cm}`, `^\circ`, `\%`), the right-hand side of an equation (`x = 42`), and
    arithmetic with a whole result: + - * / ^ !, `\frac`, parentheses, and a modulus behind it all
    (`-1 \pmod{7}` is 6). A letter outside `\text` is a variable, so `42x` is None
    (a few usual units such as `cm` excepted). So is any expression with a
    number of more than `MAX_DIGITS` digits on the way.
    """
    if len(latex) > MAX_CHARS:
        return None
    try:
        value = _Reader(_right_hand_side(_unwrapped(_tokens(latex)))).read()
    except _NotAnIntegerError:
        return None
    return value.numerator if value.denominator == 1 else None


def extract_answer(text: str, edition: Edition) -> int | None:
    """The answer that a model's text gives: the integer in its last box, if the edition allows it.

    It is reduced by the edition's modulus, to a residue that is never negative (-900 is 100 modulo 1000), and
    must then lie in 0..`max_answer`. Prose outside a box is never an answer. None is no answer, and not 0.
    """
    boxed = last_boxed(text)
    value = None if boxed is None else parse_integer(boxed)
    if value is None:
        return None
    if edition.modulus is not None:
        value %= edition.modulus
    return value if 0 <= value <= edition.max_answer else None


class _NotAnIntegerError(Exception):
    """The LaTeX at hand does not stand for an integer."""


def _tokens(latex: str) -> list[str]:
    """Numbers without separators, operators in one spelling, units as `_UNIT`; anything else as it stands."""
    tokens = []
    for match in _TOKEN.finditer(latex):
        token = match.group()
        if match["number"] is not None:
            token = re.sub(r"[^\d.]", "", token)
        elif match["unit"] is not None:
            words = (match["words"] or "").strip()
            token = words if words in _NOT_UNITS else _UNIT
        elif match["colour"] is not None:
            token = ""
        tokens.append(_MEANING.get(token, token))
    return [token for token in tokens if token]


def _unwrapped(tokens: list[str]) -> list[str]:
    """The tokens without the pairs of braces that enclose all of them, and without separators at the ends."""
    partner: dict[int, int] = {}
    open_braces: list[int] = []
    for index, token in enumerate(tokens):
        if token == "{":
            open_braces.append(index)
        elif token == "}" and open_braces:
            partner[open_braces.pop()] = index
    first, last = 0, len(tokens) - 1
    while first <= last:
        if partner.get(first) == last:
            first, last = first + 1, last - 1
        elif tokens[last] == ",":
            last -= 1
        elif tokens[first] == ",":
            first += 1
        else:
            break
    return tokens[first : last + 1]


def _right_hand_side(tokens: list[str]) -> list[str]:
    """What stands behind the last equals sign; one equation alone, not a list such as `x = 3, y = 5`."""
    if "=" not in tokens:
        return tokens
    first = tokens.index("=")
    last = len(tokens) - 1 - tokens[::-1].index("=")
    if not {",", _UNIT}.isdisjoint(tokens[first:last]):
        raise _NotAnIntegerError
    return tokens[last + 1 :]


class _Reader:
    """A recursive-descent reader of integer arithmetic; each method reads what its name says, or raises."""

    def __init__(self, tokens: list[str]) -> None:
        if len(tokens) > MAX_TOKENS:
            raise _NotAnIntegerError
        self._tokens = tokens
        self._next = 0

    def read(self) -> Fraction:
        """The value of all tokens."""
        value = self._value()
        if self._next < len(self._tokens):
            raise _NotAnIntegerError
        return value

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self, *wanted: str) -> str:
        """Move past the next token and return it if it is one of those wanted; else return ""."""
        token = self._peek()
        if token not in wanted:
            return ""
        self._next += 1
        return token

    def _expect(self, wanted: str) -> None:
        if not self._take(wanted):
            raise _NotAnIntegerError

    def _value(self) -> Fraction:
        value = self._sum()
        if self._take("mod"):
            value = _residue(value, self._sum())
        elif self._take("("):  # no product without a sign is read, so this can only be `(mod m)`
            self._expect("mod")
            value = _residue(value, self._sum())
            self._expect(")")
        while self._take(_UNIT):
            pass
        return value

    def _sum(self) -> Fraction:
        total = self._term()
        while self._peek() in {"+", "-"}:
            total = _bounded(total + self._term())
        return total

    def _term(self) -> Fraction:
        sign = 1
        while operator := self._take("+", "-"):
            sign = -sign if operator == "-" else sign
        return sign * self._product()

    def _product(self) -> Fraction:
        value = self._factor()
        while operator := self._take("*", "/"):
            factor = self._factor()
            value = _bounded(value * factor) if operator == "*" else _quotient(value, factor)
        return value

    def _factor(self) -> Fraction:
        value = self._atom()
        if self._take("!"):
            value = _factorial(value)
        if self._take("^"):
            value = _power(value, self._atom())
        return value

    def _atom(self) -> Fraction:
        if self._take("\\frac"):
            numerator = self._argument()
            return _quotient(numerator, self._argument())
        if opening := self._take("{", "("):
            value = self._value()
            self._expect("}" if opening == "{" else ")")
            return value
        token = self._peek()
        if not token[:1].isdecimal() or len(token) > MAX_DIGITS:
            raise _NotAnIntegerError
        self._next += 1
        return Fraction(token.removesuffix("."))

    def _argument(self) -> Fraction:
        r"""A group, or one digit as in TeX: `\frac84`."""
        token = self._peek()
        if len(token) > 1 and token.isdecimal():
            self._tokens[self._next] = token[1:]
            return Fraction(token[0])
        return self._atom()


def _bounded(value: Fraction) -> Fraction:
    if max(abs(value.numerator), value.denominator) >= _LIMIT:
        raise _NotAnIntegerError
    return value


def _whole(value: Fraction) -> int:
    if value.denominator != 1:
        raise _NotAnIntegerError
    return value.numerator


def _quotient(dividend: Fraction, divisor: Fraction) -> Fraction:
    if divisor == 0:
        raise _NotAnIntegerError
    return _bounded(dividend / divisor)


def _residue(value: Fraction, modulus: Fraction) -> Fraction:
    if modulus <= 0:
        raise _NotAnIntegerError
    return Fraction(_whole(value) % _whole(modulus))


def _factorial(value: Fraction) -> Fraction:
    if not 0 <= value <= MAX_DIGITS:  # more than enough: 400! is beyond the limit already
        raise _NotAnIntegerError
    return _bounded(Fraction(math.factorial(_whole(value))))


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    whole, times = _whole(base), _whole(exponent)
    # A number of b bits is at least 2^(b-1): powers far beyond the limit are never computed.
    if times < 0 or (whole.bit_length() - 1) * times > _LIMIT.bit_length():
        raise _NotAnIntegerError
    return _bounded(Fraction(whole**times))
