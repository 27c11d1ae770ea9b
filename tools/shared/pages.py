"""Pages of HTML that need nothing else: the environment of their templates, and the beginning of their style."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tools.shared.markup import printable


def page_environment(folder: Path) -> Environment:
    """Return the environment of the templates in a folder: what is not markup is escaped and made printable.

    A name that a template uses and is not given is an error.
    """
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )


def page_style(path: Path) -> Markup:
    """Return the style of a page: what all have, colours in light and dark and the body, then what the file says."""
    shared = Path(__file__).with_suffix(".css")
    return Markup("".join(each.read_text(encoding="utf-8") for each in (shared, path)))
