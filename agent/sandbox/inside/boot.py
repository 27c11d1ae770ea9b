"""Starts the zygote by its path: `python -s -P -B boot.py ROOT SETTINGS`, where ROOT holds the package."""

from __future__ import annotations

import sys


def main() -> None:
    """Make the package importable for the zygote's own modules only, then become the zygote."""
    root, settings = sys.argv[1:3]
    sys.path.insert(0, root)
    from agent.sandbox.inside import substitutes

    substitutes.replace()  # before anything refers to what is replaced
    from agent.sandbox.inside.zygote import serve_zygote

    sys.path.pop(0)
    serve_zygote(settings)


if __name__ == "__main__":
    main()
