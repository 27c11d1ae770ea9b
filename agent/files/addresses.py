"""Texts, paths and URLs as users write them."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit


def utf8(text: str) -> str:
    """The text of a command line's word, also where the locale is not UTF-8. Raises ValueError if the word is not."""
    try:
        return os.fsencode(text).decode("utf-8")
    except UnicodeError:
        raise ValueError(f"{text!r} is not UTF-8 text: write it in that encoding") from None


def expand_home(text: str) -> str:
    """The path with a leading `~` or `~user` replaced by that home directory; any other text as it is.

    No shell does so within quotes or behind an equals sign. Raises ValueError if no such home directory is known.
    """
    if not text.startswith("~"):
        return text
    try:
        return str(Path(text).expanduser())
    except RuntimeError:
        raise ValueError(f"no home directory is known for {text!r}: write the path without ~") from None


def checked_url(text: str) -> str:
    """The text, which is the URL of a server, or empty. Raises ValueError for any other text."""
    try:
        parts = urlsplit(text)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if text and not right:
        raise ValueError(f"{text!r} is no URL of a server: write it like http://127.0.0.1:8000")
    return text
