"""How two notebooks differ, in lines of words, by section: what is set, asked, run, attached and written."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from pathlib import PurePosixPath

from submission.build.embedded_files import OWN_FOLDER
from submission.built_notebook import BuiltNotebook

_PROFILES, _FAMILIES, _OWN = "agent/profiles/", "agent/chat/families/", f"{OWN_FOLDER}/"
_KINDS = {_PROFILES: "profile", _FAMILIES: "family", _OWN: "your"}
_FILE_SECTIONS = ("prompts", "profiles", "modules")
_SHOWN_CHARS = 120  # characters that are shown

ChangedSection = tuple[str, list[str]]
"""A title and its lines."""


def notebook_differences(first: BuiltNotebook, second: BuiltNotebook) -> list[ChangedSection]:
    """The differences between the notebooks alone, by section; sections without any are left out."""
    files: dict[str, list[str]] = {title: [] for title in _FILE_SECTIONS}
    for path in dict.fromkeys([*first.files, *second.files]):
        one, other = first.files.get(path), second.files.get(path)
        if one != other:
            files[_section_of(path, (other or one or ""))] += _file_lines(path, one, other)
    sections = (
        ("settings", list(value_lines(flat_values(first.settings), flat_values(second.settings)))),
        ("samples", list(_sample_lines(first, second))),
        *files.items(),
        ("cells of the notebook", list(_cell_lines(first.texts, second.texts))),
    )
    return [section for section in sections if section[1]]


def flat_values(tree: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """The values of nested tables by their dotted keys."""
    found: dict[str, object] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found |= flat_values(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def value_lines(before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[str]:
    """A line for each key whose values differ."""
    for key in dict.fromkeys([*before, *after]):
        one, other = before.get(key), after.get(key)
        if key not in before:
            yield f"{key}: {_shown(other)}, was not set"
        elif key not in after:
            yield f"{key}: not set any more, was {_shown(one)}"
        elif one != other or type(one) is not type(other):
            yield from _changed_value(key, one, other)


def _shown(value: object) -> str:
    """A value as a reader knows it, in one line of some length at most."""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else str(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def _line_counts(before: str, after: str) -> tuple[int, int]:
    """How many lines were added to a text, and how many removed from it."""
    one, other = before.splitlines(), after.splitlines()
    added = removed = 0
    for kind, begin, end, start, stop in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if kind != "equal":
            added, removed = added + stop - start, removed + end - begin
    return added, removed


def _changed_value(key: str, one: object, other: object) -> Iterator[str]:
    """Words of a text from where it changes; of a list what came and went; of anything else both values."""
    if isinstance(one, list) and isinstance(other, list):
        gone, come = [x for x in one if x not in other], [x for x in other if x not in one]
        parts = [f"added {_shown(x)}" for x in come] + [f"removed {_shown(x)}" for x in gone]
        yield f"{key}: {', '.join(parts) or f'{_shown(other)}, was {_shown(one)}'}"
        return
    if isinstance(one, str) and isinstance(other, str) and max(len(one), len(other)) > _SHOWN_CHARS:
        same = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
        at = max(0, (min(len(one), len(other)) if same is None else same) - _SHOWN_CHARS // 3)
        head = "…" if at else ""
        yield f"{key}: {_shown(head + other[at:])}, was {_shown(head + one[at:])}"
        return
    yield f"{key}: {_shown(other)}, was {_shown(one)}"


def _sample_lines(first: BuiltNotebook, second: BuiltNotebook) -> Iterator[str]:
    """The lanes of a problem, by the notebook's profile and the keys on top, where either decides them otherwise."""
    before, after = _samples(first), _samples(second)
    if before != after:
        yield f"{after} for each problem, was {before}"


def _samples(notebook: BuiltNotebook) -> str:
    keys = {**flat_values(notebook.profile()), **notebook.setting("SETTINGS", dict)}
    count = keys.get("sample.count")
    return "as many as the notebook finds to fit" if count is None else str(count)


def _section_of(path: str, text: str) -> str:
    """The section of a file: families are what the model is asked with, the user's own ones too."""
    if path.startswith(_FAMILIES) or (path.startswith(_OWN) and "dialect" in (_keys(text) or {})):
        return "prompts"
    return "profiles" if path.startswith((_PROFILES, _OWN)) else "modules"


def _file_lines(path: str, one: str | None, other: str | None) -> list[str]:
    """What changed in a file: of a TOML file the keys, of any other how many lines."""
    kind = next((kind for folder, kind in _KINDS.items() if path.startswith(folder)), "")
    name = f"{kind} {PurePosixPath(path).stem}" if kind else path
    if one is None or other is None:
        return [f"{name}: {'added' if one is None else 'removed'}"]
    before, after = (_keys(one), _keys(other)) if path.endswith(".toml") else (None, None)
    lines = list(value_lines(before, after)) if before is not None and after is not None else []
    return [f"{name}: {line}" for line in lines or [_count_text(one, other)]]


def _keys(text: str) -> dict[str, object] | None:
    """The dotted keys of a TOML text; None where it is none, as an edited file may be."""
    try:
        return flat_values(tomllib.loads(text))
    except tomllib.TOMLDecodeError:
        return None


def _cell_lines(before: tuple[str, ...], after: tuple[str, ...]) -> Iterator[str]:
    """What changed in the notebook's own cells, prose and code, each by its first line."""
    for kind, begin, end, start, stop in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "replace" and end - begin == stop - start:
            for one, other in zip(before[begin:end], after[start:stop], strict=True):
                yield f"{_title(other)}: {_count_text(one, other)}"
        elif kind != "equal":
            yield from (f"{_title(cell)}: removed" for cell in before[begin:end])
            yield from (f"{_title(cell)}: added" for cell in after[start:stop])


def _title(cell: str) -> str:
    return _shown(next((line.strip() for line in cell.splitlines() if line.strip()), "an empty cell"))


def _count_text(before: str, after: str) -> str:
    added, removed = _line_counts(before, after)
    if not (added or removed):
        return "other line ends"
    return f"{added} {'line' if added == 1 else 'lines'} added, {removed} removed"
