"""Agents of scripted parts that answer each problem with its own number."""

from __future__ import annotations

import re
from typing import Any

from agent import Agent, Problem
from agent.config import Config
from agent.engine.base import SamplingParams
from tests.support.doubles import ScriptedEngine, ScriptedSandbox, config_with
from tests.support.servers.scripted_server import ScriptedServer

PROBLEMS = [Problem(f"p{n}", f"Problem {n}?", n) for n in range(1, 4)]


def number_in(prompt: str) -> str:
    return f"so it is \\boxed{{{re.findall(r'Problem ([0-9])', prompt)[-1]}}}"


def own_number(prompt: str, params: SamplingParams) -> str:
    return number_in(prompt)


def scripted(engine: ScriptedEngine, *, sandbox: ScriptedSandbox | None = None, **keys: Any) -> Agent:
    config = config_with(**{"sample__count": 2, "stopping__margin": 9, **keys})
    return Agent(config, engine, sandbox or ScriptedSandbox())


def config_for(server: ScriptedServer, **keys: object) -> Config:
    """Two samples a problem from the server, all of which are drawn."""
    return config_with(
        engine__kind="http", engine__url=server.url, engine__model="", sample__count=2, stopping__margin=9, **keys
    )
