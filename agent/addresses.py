"""Paths and URLs as users write them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit


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
