"""The errors that users and callers meet, one type for each boundary.

AgentError
├── InputError      a problem file, a flag, a run directory
├── ConfigError     a profile, a configuration key or value
├── ModelError      a model file that cannot be had or has the wrong digest
├── EngineError     the server that generates tokens; carries what had been received
│   ├── EngineUnavailableError  nobody serves just now: wait for it
│   ├── RequestRefusedError     the server refused the request for good: say why and stop
│   ├── ContextExceededError    prompt and reply are longer than the server's context: the lane's own end
│   └── StreamBrokenError       the stream was cut or garbled: continue from the tokens that came
├── SandboxError    the machinery that runs Python (never the model's own mistakes)
└── JournalError    the run directory cannot be written

Every message is one sentence that says what is wrong, where, and how to mend it.
"""

from __future__ import annotations


class AgentError(Exception):
    """Anything that ends a command with one sentence and exit status 2."""


class InputError(AgentError):
    """Input from the user that cannot be used."""


class ConfigError(AgentError):
    """A configuration that is not valid."""


class ModelError(AgentError):
    """A model file that is missing, cannot be fetched or is not what it should be."""


class EngineError(AgentError):
    """The engine failed; `received` is the text that had come before it did."""

    def __init__(self, message: str, *, received: str = "") -> None:
        super().__init__(message)
        self.received = received


class EngineUnavailableError(EngineError):
    """The engine does not serve now but may later: it is down, starting, loading its model, or has too much to do.

    `retry_after` is how many seconds the server asked to wait, None where it did not say. `answered` tells that a
    server was reached, which said "not yet"; else nothing answered.
    """

    def __init__(
        self, message: str, *, received: str = "", retry_after: float | None = None, answered: bool = False
    ) -> None:
        super().__init__(message, received=received)
        self.retry_after = retry_after
        self.answered = answered


class RequestRefusedError(EngineError):
    """The server refused the request for good (a wrong key, an unknown model): asking the same again cannot help."""


class ContextExceededError(EngineError):
    """Prompt and reply together are longer than the server's context, of `context_tokens` where the server named it."""

    def __init__(self, message: str, *, received: str = "", context_tokens: int | None = None) -> None:
        super().__init__(message, received=received)
        self.context_tokens = context_tokens


class StreamBrokenError(EngineError):
    """The stream broke off or was garbled. What had come is whole, and can be continued."""


class SandboxError(AgentError):
    """The sandbox itself failed (a failing cell is a tool run, not an error)."""


class JournalError(AgentError):
    """The run directory cannot be written or read."""
