"""Which family a model belongs to, by its chat template; its name decides among families with the same one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from agent.chat.family import Family, family_names, load_family
from agent.errors import ConfigError

_MAX_CHARS = 1 << 20  # the longest genuine templates have some twenty thousand
_MAX_NAME = 120  # characters of a name in a message
_TOKENS_SHOWN = 4
_CONTROL_TOKEN = re.compile(r"<[^<>\s{}'\"]{1,40}>")
_ESCAPES = (("\\n", "\n"), ('\\"', '"'), ("\\'", "'"))


def recognized_family(template: str, name: str = "", own: Sequence[str] = ()) -> str:
    """The family of a model that has this chat template, "" where it is not known: one of `own`, else a bundled one.

    `name` is whatever the model is called, paths included. It decides among families with the same template, and where
    the template is not known. `own` are the paths of TOML files. Raises ConfigError, saying what was found and what to
    set, where nothing is certain.
    """
    text = _unescaped(template[:_MAX_CHARS]).strip()
    fitting: list[str] = []
    for names in (own, family_names()):
        families = {each: load_family(each) for each in names}
        fits = {each: family for each, family in families.items() if not text or _fits(family, text)}
        alone = {each: family for each, family in fits.items() if text and not family.template.shared}
        found = next(iter(alone)) if len(alone) == 1 else _named(alone or fits, _letters(name))
        if found is not None:
            return found
        fitting += alone or fits
    known = ", ".join([*own, *family_names()])
    raise ConfigError(
        f"{_finding(text, name, fitting)}: set sample.family to one of {known} or the path of a TOML file"
    )


def _fits(family: Family, text: str) -> bool:
    marks = family.template
    return bool(marks.has) and all(mark in text for mark in marks.has) and not any(mark in text for mark in marks.lacks)


def _named(families: Mapping[str, Family], letters: str) -> str | None:
    """The family with the longest of its names in the model's; None where no family is named."""
    found = {
        each: max((len(own) for own in map(_letters, family.template.names) if own in letters), default=0)
        for each, family in families.items()
    }
    most = max(found, key=found.__getitem__, default=None)
    return most if most is not None and found[most] else None


def _letters(name: str) -> str:
    """The name's letters and digits, as it is written with dashes, dots, spaces or none."""
    return "".join(filter(str.isalnum, name.lower()))


def _unescaped(template: str) -> str:
    """The template with what the escapes in its string literals stand for: templates write a line break either way."""
    for escape, char in _ESCAPES:
        template = template.replace(escape, char)
    return template


def _finding(text: str, name: str, fitting: list[str]) -> str:
    shown = f"its name {name[:_MAX_NAME]!a}" if name.strip() else "its name, an empty one,"
    if not text:
        return f"the model's chat template is not known, and {shown} is no family's"
    if fitting:
        which = " or ".join(fitting)
        return f"the model's chat template fits {which}, but models of other kinds too, and {shown} does not decide"
    tokens = list(dict.fromkeys(_CONTROL_TOKEN.findall(text)))[:_TOKENS_SHOWN]
    marks = f", with {', '.join(map(ascii, tokens))}," if tokens else ""
    return f"the model's chat template{marks} is no known family's"
