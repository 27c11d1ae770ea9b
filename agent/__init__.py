"""A solving agent for the AI Mathematical Olympiad: self-consistency with Python tools under a time budget.

    from agent import Agent

    async with Agent.open("cpu") as agent:
        solution = await agent.solve("What is 2^100 modulo 1000?")

`BlockingAgent` does the same where nothing is asynchronous, as in a notebook. Nothing is imported before it is used:
this package is also that of the sandbox's Python, which must hold nothing else.
"""

__version__ = "0.1.0"

__all__ = ["Agent", "AgentError", "BlockingAgent", "Config", "Problem", "Solution", "load_config"]

TYPE_CHECKING = False  # as that of `typing`, which takes longer to import than the rest
if TYPE_CHECKING:
    from agent.agent import Agent
    from agent.config import Config, load_config
    from agent.errors import AgentError
    from agent.jupyter.blocking_agent import BlockingAgent
    from agent.types import Problem, Solution

_HOMES = {
    "Agent": "agent.agent",
    "AgentError": "agent.errors",
    "BlockingAgent": "agent.jupyter.blocking_agent",
    "Config": "agent.config",
    "Problem": "agent.types",
    "Solution": "agent.types",
    "load_config": "agent.config",
}


def __getattr__(name: str) -> object:
    """The public name, imported from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
