r"""Words next to a value that change it, and its units."""

from __future__ import annotations

import re

from agent.latex.words import is_changing

_TEXT = re.compile(r"\\(?:text\w*|math(?:rm|bf|it|sf)|mbox|hbox|operatorname)\s*\{([^{}]*)\}")
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]+")
_POINT = re.compile(r"\bpoints?\b(?=[^A-Za-z]*\()", re.IGNORECASE)  # a point, not the one in a decimal
_DOTS = re.compile(r"\\[lc]?dots[a-z]?(?![A-Za-z])|\.{3}|\u2026")
_FUNCTIONS = frozenset(["sqrt", "log", "sin", "cos", "tan", "exp", "mod"])  # outside of texts, without a backslash
_DENYING = frozenset(["wrong", "incorrect", "false", "untrue", "unknown", "impossible"])
_POWERS = {"squared": "2", "square": "2", "sq": "2", "cubed": "3", "cubic": "3", "cu": "3"}

_UNITS = {
    spelling: unit
    for unit, spellings in {
        "mm": "mm millimeter millimetre",
        "cm": "cm centimeter centimetre",
        "dm": "dm decimeter decimetre",
        "m": "m meter metre",
        "km": "km kilometer kilometre",
        "in": "inch inches",
        "ft": "ft foot feet",
        "yd": "yd yard",
        "mi": "mi mile",
        "s": "s sec second",
        "min": "min minute",
        "h": "h hr hour",
        "day": "day",
        "week": "week",
        "month": "month",
        "year": "year yr",
        "mg": "mg milligram",
        "g": "g gram",
        "kg": "kg kilogram",
        "t": "ton tonne",
        "lb": "lb pound",
        "oz": "oz ounce",
        "ml": "ml mL milliliter millilitre",
        "l": "l L liter litre",
        "gal": "gal gallon",
        "cup": "cup",
        "cent": "cent",
        "dollar": "dollar",
        "euro": "euro",
        "degree": "degree deg",
        "radian": "radian rad",
    }.items()
    for spelling in spellings.split()
}
_SIGNS = {r"\$(?=\s*\d)": "dollar", r"\\dollar": "dollar", "\u20ac": "euro", "\u00a2": "cent"}


def say_otherwise(truth: str, answer: str) -> bool:
    r"""Whether words or dots change the value of only one side, or both have units that differ.

    >>> say_otherwise("5", r"5\text{ hundred}"), say_otherwise("5", r"5\text{ cm}")
    (True, False)
    """
    if _changing(truth) != _changing(answer) or bool(_DOTS.search(truth)) != bool(_DOTS.search(answer)):
        return True
    wanted, given = _units(truth), _units(answer)
    return bool(wanted and given and wanted != given)


def _changing(latex: str) -> list[str]:
    """Return the words that may change the value next to them, sorted."""
    latex = _POINT.sub("", latex)
    inside = [_WORD.findall(match[1].lower()) for match in _TEXT.finditer(latex)]
    outside = [word for word in _WORD.findall(_TEXT.sub(" ", latex).lower()) if len(word) > 2]
    found = [word for words in inside for word in words if _changes(word)]
    found += [word for word in outside if _changes(word) and word not in _FUNCTIONS]
    behind = re.findall(r"\d\s*(?:\\[ ,;:])*\s*\\text\w*\s*\{\s*(squared|cubed|of|k)\b", latex)
    bare = re.findall(r"\d\s+(squared|cubed)\b", latex)
    return sorted([*found, *behind, *bare])


def _changes(word: str) -> bool:
    return word in _DENYING or (word != "respectively" and is_changing(word))


def _units(latex: str) -> list[str]:
    """Return the units, normalized and with their powers, sorted."""
    found = [unit for sign, unit in _SIGNS.items() if re.search(sign, latex)]
    powers = ""
    for match in _TEXT.finditer(latex):
        for word in _WORD.findall(match[1]):
            unit = _unit(word)
            found += [unit] if unit else []
            powers += _POWERS.get(word.lower(), "")
        if match[1].strip() == "in":
            found.append("in")
        if found:
            powers += "".join(re.findall(r"\^\s*\{?(\d)", match[1] + latex[match.end() : match.end() + 6]))
    for word in re.findall(r"\d\s*(?:\\[ ,;:])*\s*([A-Za-z]{2,})(?![A-Za-z{])", _TEXT.sub(" ", latex)):
        found += [unit] if (unit := _unit(word)) else []
    return sorted([*set(found), powers]) if found else []


def _unit(word: str) -> str | None:
    lower = word.lower()
    return _UNITS.get(word) or (len(word) > 1 and (_UNITS.get(lower) or _UNITS.get(lower.removesuffix("s")))) or None
