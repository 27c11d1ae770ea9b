"""The key that a server wants with each request: read from the environment, kept nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.errors import ConfigError

USUAL_VARIABLE = "OPENAI_API_KEY"
VLLM_VARIABLE = "VLLM_API_KEY"


def read_key(name: str, environment: Mapping[str, str], *, usual: str = "") -> str | None:
    """The key in the variable `name`, or in the `usual` one where none is named; None if that is not set.

    White space around it, such as the line end of a file that it was read from, is no part of it.
    Raises ConfigError if a named variable is not set, or if what a variable holds cannot be a key.
    """
    key = environment.get(name or usual, "").strip()
    if name and not key:
        raise ConfigError(
            f"the environment has no {name}: export it with the API key, or name another variable by --api-key-env"
        )
    if not key:
        return None
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(
            f"the value of {name or usual} in the environment cannot be an API key, as it holds a blank, a line end or "
            "another character that no HTTP header takes: export it anew"
        )
    return key


def vllm_key(given: str | None, arguments: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """The key of a vLLM server with these arguments and environment, `given` one counting before the latter.

    Raises ConfigError as `read_key`.
    """
    return _key_in(arguments) or given or read_key("", environment, usual=VLLM_VARIABLE)


def _key_in(arguments: Sequence[str]) -> str | None:
    """The first key of `--api-key` in the arguments of a vLLM server, which counts before all others there."""
    for place, word in enumerate(arguments):
        flag, equals, value = word.partition("=")
        if flag.replace("_", "-") == "--api-key":
            following = "".join(arguments[place + 1 : place + 2])
            return value if equals else None if following.startswith("-") else following or None
    return None
