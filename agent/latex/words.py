"""Classify words next to a value by their effect: they name it, are its unit, set a condition, or change it."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

# The meanings of words. Any other word is a variable, or within `\text` a unit.
UNIT = "<unit>"  # may have a power: cm^2
MARK = "<mark>"  # stands for degrees or percent
CONDITION = "<condition>"  # what follows says when the value holds
CONGRUENT = "<congruent>"
GIVES = "<gives>"  # what stands before leads to the value
LABEL = "<label>"  # may name a value, but after one it may change it: the minimum
UNREADABLE = "<?>"  # changes a value in a way that is not computed here, or weakens the statement
ORDINALS = ("st", "nd", "rd", "th")

_LETTER_UNITS = frozenset("msghlLJNWVAKCF")
# Words that change the value next to them, or deny, weaken or bound the statement.
_CHANGING_WORDS = """
    hundred hundreds bn mn mio mrd tsd mln mld mil mille gross lakh lakhs dozens half halves halved third thirds quarter
    quarters fourth fourths fifth fifths sixth sixths seventh sevenths eighth eighths ninth ninths tenth tenths
    hundredth hundredths ths tens factorial minus plus times over choose power mod modulo twice thrice double doubled
    triple tripled quadrupled increased decreased reduced subtracted added rounded rounding inverse reciprocal divided
    multiplied base bases basis radix octal oktal repeating recurring point pi sqrt log ln sin cos tan exp negative
    about around ish ca circa almost nearly least most more less fewer than between up under above below beyond
    within until except unless otherwise else but instead rather respectively bound bounds bounded too
    not no non never none neither nor cannot isn aren wasn weren doesn don didn won couldn shouldn wouldn hasn haven
    may might could maybe perhaps possibly probably presumably likely hopefully apparently false fake previous former
    earlier needs need verify recheck pending tbd tbc todo assumed suppose supposed supposedly plausible plausibly
    candidate nicht kein keine keinen oder mehr weniger etwa rund fast mindestens mas menos casi cerca ou moins environ
    pas faux au presque quasi falso falsa falsch errado piu meno mais nao ni entre bis jusqu hasta ate
"""
_CHANGING = frozenset(_CHANGING_WORDS.split())
_CHANGING_STEMS = re.compile(
    r"""(?: thousand | million | billion | trillion | quadrillion | milliard | millon | milh | bilh | bilion | milion
    | miliard | миллион | миллиард | тысяч | dozen | dutzend | docena | douzaine | dizaine | tausend | hundert | crore
    | myriad | umpteen | migliaia | centena | halb
    | wrong | incorrect | impossib | unlikely | fail | contradict | mistak | erron | doubt | disprov | refut | unverif
    | unprov | unconfirm | unchecked | unsure | uncertain | unknown | undefin | nonexist | indetermin | infinit
    | invalid | inaccura | inexact | conjectur | hypothe | tentativ | provisional | speculat | guess | estimat | approx
    | aproxim | approssim | ungefahr | rough | seem | suspect | exceed | equivocad | inkorrekt | unmoglich | imposib
    | hochsten | hexa | sexagesim | septenar | ternar | quaternar | quinar | senar | nonar | duodecim | undecim
    | vigesim | binar | octonar )""",
    re.VERBOSE,
)
# The same in Chinese, Japanese and Korean, whose words have no spaces between them.
_CHANGING_CHARACTERS = re.compile(
    "[百千万亿萬億兆十半倍约約负負非或和当當若不没沒無无未错錯誤误否超余餘几幾第违違勿]|可能|也许|大概|左右|以上|以下|以内|以外"
    "|至少|至多|最多|最少|大于|小于|高于|低于|多于|少于|接近|将近|分之|进制|進制|进位|次方|的平方|假设|如果|上界|下界|上限|下限"
    "|ない|なし|間違|たぶん|만|억|천|백|아니|틀|이상|이하|미만|초과|약|대략"
)
# Words that may name a value (`the minimum is 42`), and elsewhere make it a bound or change it.
_BOUNDING_WORDS = """
    minimum maximum minimal maximal max score larger smaller greater bigger higher lower upper largest
    smallest greatest
"""
_BOUNDING = frozenset(_BOUNDING_WORDS.split())
_ANSWERS = frozenset({"answer", "ans", "result"})
_FOREIGN_ANSWERS = frozenset({"reponse", "losung", "solucion", "solucao", "ответ"})
_NUMBERS = frozenset(
    {"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"}
)
_SCALING = frozenset(
    {"squared", "cubed", "factorial", "hundred", "lakh", "mil", "mille", "mio", "mrd", "tsd", "mln", "bn", "mn"}
)
_BASE_TEN = (["base", "ten"], ["in", "base", "ten"])
_CONDITION_WORDS = "for if when where whenever with at as since because given assuming provided while"
_CONDITIONS = frozenset(_CONDITION_WORDS.split())
_VERBS = frozenset({"is", "are", "be", "equals", "get", "obtain", "have"})
_GIVING = frozenset({"gives", "yields", "produces"})


def phrase_tokens(text: str) -> list[str]:
    """Return the meaning of words in a text; a letter that is not a unit is a variable there too."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    first, last = words[0], words[-1]
    if len(words) == 1 and len(first) == 1 and first.isascii():
        letter = text.strip(" .,;:")
        return [UNIT if letter in _LETTER_UNITS else letter]
    if words in (["mod"], ["modulo"]):
        return ["mod"]
    if words in _BASE_TEN:
        return [UNIT]
    if changes_value(words):
        return [UNREADABLE]
    more = [UNIT] if len(words) > 1 else []
    if first in ORDINALS:
        return [first, *more]
    if not {"or", "and"}.isdisjoint((first, last)):
        return [UNREADABLE if more else ","]
    if first in _CONDITIONS:
        return [CONDITION, *more]
    return [_relation(words, colon=text.rstrip().endswith((":", "\uff1a")))]


def _relation(words: list[str], *, colon: bool) -> str:
    """Classify words as an equals sign (`The answer is`), a unit, or a label that can only name a value."""
    first, last = words[0], words[-1]
    if last in _GIVING:
        return GIVES
    if last in _VERBS or words[-2:] == ["equal", "to"] or last.endswith(("\u662f", "\u4e3a", "\u70ba")):
        return "="
    bounding = not _BOUNDING.isdisjoint(words)
    if first in _VERBS:  # 42 `is the answer`, 42 `is the minimum`, but not 42 `is smaller`
        return UNREADABLE if bounding and words[1:2] != ["the"] else UNIT
    foreign = not all(map(_is_common, words))
    if foreign and colon:
        return UNREADABLE if _FOREIGN_ANSWERS.isdisjoint(map(_unaccented, words)) else "="
    if colon or last in _ANSWERS or last.endswith("\u7b54\u6848"):
        return "="
    return LABEL if bounding or foreign else UNIT


def is_changing(word: str) -> bool:
    """Whether the word, in lower case and without accents, changes the value next to it in any position."""
    return word in _CHANGING or _CHANGING_STEMS.match(word) is not None


def changes_value(words: list[str]) -> bool:
    """Whether the words, in lower case, may change the value next to them, or weaken or deny it."""
    plain = [_unaccented(word) for word in words]
    if any(map(is_changing, plain)):
        return True
    if _CHANGING_CHARACTERS.search("".join(words)):
        return True
    if "t" in words[1:]:  # can't, doesn't
        return True
    if words[0] in {"squared", "cubed", "of", "k"}:  # after a unit they are part of it: cm squared
        return True
    if len(words) == 1 and words[0] in _NUMBERS:
        return True
    percentage = "of" in words and not {"percent", "cent"}.isdisjoint(words)
    another = words[0] in _CONDITIONS and not {"remainder", "total", "sum"}.isdisjoint(
        words
    )  # the condition is on another value
    open_ = any(pair == ("to", "be") for pair in pairwise(words[:-1]))  # to be checked; but: turns out to be
    return percentage or another or open_


def denies(text: str) -> bool:
    """Whether words after a box change, weaken or deny its value; a condition or a reason does not."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    return bool(words) and words[0] not in _CONDITIONS and changes_value(words)


def scales(word: str) -> bool:
    """Whether a word directly after a box changes its value, or says that it is wrong."""
    plain = _unaccented(word.lower())
    if not plain.isascii():
        return _CHANGING_CHARACTERS.match(plain) is not None or _CHANGING_STEMS.match(plain) is not None
    return plain in _SCALING or _CHANGING_STEMS.match(plain) is not None


def _unaccented(word: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFKD", word) if not unicodedata.combining(sign))


def _is_common(word: str) -> bool:
    """Whether this is English or Chinese; unknown words of other languages must not pass for units."""
    return word.isascii() or all("\u4e00" <= sign <= "\u9fff" for sign in word)
