"""The errors that users and callers meet, one type for each boundary.

AgentError
├── InputError      a problem file, a flag, a run directory
├── ConfigError     a profile, a configuration key or value
├── ModelError      a model file that cannot be had or has the wrong digest
├── EngineError     the server that generates tokens; carries what had been received
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
    """The engine failed; `received` is the text that had come before it did.

    `lasting` says that asking the same again cannot help: the server has refused the request itself.
    """

    def __init__(self, message: str, *, received: str = "", lasting: bool = False) -> None:
        super().__init__(message)
        self.received = received
        self.lasting = lasting


class SandboxError(AgentError):
    """The sandbox itself failed (a failing cell is a tool run, not an error)."""


class JournalError(AgentError):
    """The run directory cannot be written or read."""
