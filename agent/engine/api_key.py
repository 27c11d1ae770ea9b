"""The API key of a server: read from the environment, stored nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.errors import ConfigError

USUAL_VARIABLE = "OPENAI_API_KEY"
VLLM_VARIABLE = "VLLM_API_KEY"


def read_key(name: str, environment: Mapping[str, str], *, usual: str = "") -> str | None:
    """Return the key in the variable `name`, by default in the `usual` one; None if that is not set.

    Surrounding white space, such as the newline of a file that it was read from, is stripped.
    Raises ConfigError if a named variable is not set, or if its value cannot be a key.
    """
    key = environment.get(name or usual, "").strip()
    if name and not key:
        raise ConfigError(
            f"the environment has no {name}: export it with the API key, or name another variable with --api-key-env"
        )
    if not key:
        return None
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(
            f"the value of {name or usual} in the environment cannot be an API key, as it holds a space, a line break "
            "or another character not allowed in an HTTP header: export it again"
        )
    return key


def vllm_key(given: str | None, arguments: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Return the key of a vLLM server with these arguments and environment; `given` overrides the environment.

    Raises ConfigError as `read_key`.
    """
    return _key_in(arguments) or given or read_key("", environment, usual=VLLM_VARIABLE)


def _key_in(arguments: Sequence[str]) -> str | None:
    """Return the first key of `--api-key` in the arguments of a vLLM server, which overrides all others there."""
    for place, word in enumerate(arguments):
        flag, equals, value = word.partition("=")
        if flag.replace("_", "-") == "--api-key":
            following = "".join(arguments[place + 1 : place + 2])
            return value if equals else None if following.startswith("-") else following or None
    return None
