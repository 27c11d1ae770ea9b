"""Text, paths and URLs given by users."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit


def utf8(text: str) -> str:
    """Decode a command-line argument as UTF-8 whatever the locale. Raises ValueError if it is not UTF-8."""
    try:
        return os.fsencode(text).decode("utf-8")
    except UnicodeError:
        raise ValueError(f"{text!r} is not UTF-8 text: write it in that encoding") from None


def expand_home(text: str) -> str:
    """Replace a leading `~` or `~user` by that home directory; return any other text unchanged.

    Shells do not expand it within quotes or after an equals sign. Raises ValueError for an unknown home directory.
    """
    if not text.startswith("~"):
        return text
    try:
        return str(Path(text).expanduser())
    except RuntimeError:
        raise ValueError(f"no home directory is known for {text!r}: write the path without ~") from None


def checked_url(text: str) -> str:
    """Return the text if it is the URL of a server or empty. Raises ValueError for any other text."""
    try:
        parts = urlsplit(text)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if text and not right:
        raise ValueError(f"{text!r} is not the URL of a server: write it like http://127.0.0.1:8000")
    return text


def beside(folder: Path, name: str) -> str:
    """The path of the file of this name in the folder; the name itself where there is none."""
    with suppress(OSError):  # a name that is too long, a folder that nobody may enter
        return str(folder / name) if (folder / name).is_file() else name
    return name
