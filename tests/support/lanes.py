"""Lanes on scripted doubles, run in virtual time."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.lane.lane import Lane
from agent.types import Sample
from tests.support.doubles import PROBLEM, Recorder, ScriptedEngine, ScriptedSandbox, config_with, runtime
from tests.support.virtual_time import run_virtual

CODE = "Let us compute.\n```python\nprint(6 * 7)\n```"
OWN_TOKENS = 0x110000  # ids from here on are the server's own, one for each of its tokens


@dataclass
class EngineWithIds(ScriptedEngine):
    """Reports an id for each word that it streams; the ids of other texts are those of their characters."""

    spelled: list[str] = field(default_factory=list)
    sent: list[Prompt] = field(default_factory=list)
    tokenized: list[str] = field(default_factory=list)

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        self.sent.append(prompt)
        prompt_ids: tuple[int, ...] = tuple(map(ord, prompt)) if isinstance(prompt, str) else tuple(prompt)
        async for chunk in super().stream(self.text_of(prompt_ids), params):
            ids = (OWN_TOKENS + len(self.spelled),) if chunk.text else ()
            self.spelled += [chunk.text] if chunk.text else []
            yield Chunk(chunk.text, chunk.tokens, chunk.finish, ids, aligned=True, prompt_ids=prompt_ids)
            prompt_ids = ()

    async def tokenize(self, text: str) -> list[int] | None:
        self.tokenized.append(text)
        return list(map(ord, text))

    def text_of(self, ids: tuple[int, ...]) -> str:
        return "".join(chr(token) if token < OWN_TOKENS else self.spelled[token - OWN_TOKENS] for token in ids)


def run_lane(
    engine: ScriptedEngine,
    *,
    sandbox: ScriptedSandbox | None = None,
    emit: Recorder | None = None,
    **keys: object,
) -> Sample:
    async def main() -> Sample:
        lane = Lane(PROBLEM, "PROMPT", 3, runtime(engine, config_with(**keys), sandbox=sandbox, emit=emit))
        return await lane.run()

    return run_virtual(main())


def always(text: str) -> ScriptedEngine:
    return ScriptedEngine(lambda prompt, params: text)


def with_code(prompt: str, params: SamplingParams) -> str:
    return "So it is \\boxed{42}." if "```output\n42\n```" in prompt else CODE + "output\nmade up 17\n```\n \\boxed{17}"


def forced_to(answer: str, before: str) -> ScriptedEngine:
    return ScriptedEngine(lambda prompt, params: answer if prompt.endswith("\\boxed{") else before)
