"""The errors raised to users and callers, one type for each boundary.

AgentError
├── InputError      a problem file, a flag, a run directory
├── ConfigError     a profile, a configuration key or value
├── ModelError      a model file that is not available or has the wrong digest
├── EngineError     the server that generates tokens; carries the text received so far
│   ├── EngineUnavailableError  the server does not respond or is not ready: wait for it
│   ├── RequestRefusedError     the server refused the request permanently: report it and stop
│   ├── UnhealthyModelError     the served model failed its check
│   ├── ContextExceededError    prompt and reply exceed the server's context length: the lane ends
│   └── StreamBrokenError       the stream was cut or garbled: continue from the tokens received
├── SandboxError    the machinery that runs Python (never the model's own mistakes)
└── JournalError    the run directory cannot be written

Every message is one line that says what is wrong, where, and how to fix it.
"""

from __future__ import annotations


class AgentError(Exception):
    """An error that ends a command with a one-line message and exit status 2."""


class InputError(AgentError):
    """Input from the user that cannot be used."""


class ConfigError(AgentError):
    """An invalid configuration."""


class ModelError(AgentError):
    """A model file that is missing, cannot be downloaded or has a wrong digest."""


class EngineError(AgentError):
    """The engine failed; `received` is the text that it had sent before.

    `about` holds the server's own words, codes and names of fields, which may be more than the message has; `status` is
    that of its response, None where there was none.
    """

    def __init__(self, message: str, *, received: str = "") -> None:
        super().__init__(message)
        self.received = received
        self.about = ""
        self.status: int | None = None


class EngineUnavailableError(EngineError):
    """The engine does not serve now but may later: it is down, starting, loading its model, or overloaded.

    `retry_after` is how many seconds the server asked to wait, None if it did not. `answered` says that a server
    responded that it is not ready; otherwise there was no response.
    """

    def __init__(
        self, message: str, *, received: str = "", retry_after: float | None = None, answered: bool = False
    ) -> None:
        super().__init__(message, received=received)
        self.retry_after = retry_after
        self.answered = answered


class RequestRefusedError(EngineError):
    """The server refused the request permanently (a wrong key, an unknown model): retrying cannot help."""


class UnhealthyModelError(EngineError):
    """The served model failed its check: it writes nonsense, or answers the easiest problems wrong."""


class ContextExceededError(EngineError):
    """Prompt and reply together exceed the server's context length, `context_tokens` if the server named it."""

    def __init__(self, message: str, *, received: str = "", context_tokens: int | None = None) -> None:
        super().__init__(message, received=received)
        self.context_tokens = context_tokens


class StreamBrokenError(EngineError):
    """The stream was interrupted or garbled. The text received so far is intact and can be continued."""


class SandboxError(AgentError):
    """The sandbox itself failed (a failing cell is a tool run, not an error)."""


class JournalError(AgentError):
    """The run directory cannot be written or read."""
