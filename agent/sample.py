"""One sample: stream -> closed code block -> tool run -> go on -> answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

from agent.answers import extract_answer
from agent.config import Config
from agent.engine.base import Engine, SamplingParams
from agent.errors import EngineError, SandboxError
from agent.fences import CodeBlock
from agent.observer import Observer
from agent.prompts import BOX_OPEN, END_OF_TURN, FAMILIES, Family, answer_nudge, opening, tool_output
from agent.sandbox.base import Sandbox, Session
from agent.turn import TurnWriter
from agent.types import Problem, Sample, SampleEnd, ToolRun, ToolStatus, Turn

_CHARS_PER_TOKEN = 3  # of text that we insert; on the low side, because digits are a token each


@dataclass(frozen=True, slots=True)
class Runtime:
    """What samples work with; `clock` gives seconds since the run began."""

    config: Config
    engine: Engine
    sandbox: Sandbox
    observer: Observer
    clock: Callable[[], float]

    @property
    def family(self) -> Family:
        """The model family spoken to."""
        return FAMILIES[self.config.sample.family]


def sample_seed(run_seed: int, problem_id: str, index: int) -> int:
    """The seed of one sample (31 bits): from the run, the problem and the index, never from the order of things."""
    digest = hashlib.sha256(f"{run_seed}\0{problem_id}\0{index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


class Lane:
    """A running sample: what it has written so far, and how it goes on."""

    def __init__(self, problem: Problem, prompt: str, index: int, runtime: Runtime) -> None:
        self._problem = problem
        self._prompt = prompt
        self._index = index
        self._runtime = runtime
        self._seed = sample_seed(runtime.config.seed, problem.id, index)
        self._started = runtime.clock()
        self._turns: list[Turn] = []
        self._session: Session | None = None
        self._failures = 0

    async def run(self) -> Sample:
        """Generate until the sample ends by itself; one that has no answer then is asked for it.

        May be cancelled at any moment; `ask` or `cut` then give the sample.
        """
        try:
            async with asyncio.timeout(self._runtime.config.sample.max_seconds):
                end = await self._generate()
        except TimeoutError:
            end = SampleEnd.DEADLINE
        except EngineError:
            return self.cut(SampleEnd.ENGINE_ERROR)
        finally:
            await self._close_session()
        if end is SampleEnd.ANSWERED:
            return self._sample(end, self._answer(), forced=False)
        return await self.ask(end)

    async def ask(self, end: SampleEnd) -> Sample:
        """Force an answer out of the unfinished sample: close its thinking, open the box, read what is put in."""
        config = self._runtime.config
        written = opening(self._runtime.family, tools=config.sample.tools) + self._text
        self._insert(answer_nudge(self._runtime.family, written))
        params = SamplingParams(
            max_tokens=config.sample.answer_tokens, temperature=0.0, seed=self._seed, stop=("\n", END_OF_TURN)
        )
        try:
            await self._write_turn(params, tools=False)
        except EngineError:
            return self.cut(SampleEnd.ENGINE_ERROR)
        answer = extract_answer(BOX_OPEN + self._turns[-1].text, config.rules)
        return self._sample(end, answer, forced=True)

    def cut(self, end: SampleEnd) -> Sample:
        """The sample as it stands, without a vote."""
        return self._sample(end, None, forced=False)

    async def _generate(self) -> SampleEnd:
        limits = self._runtime.config.sample
        rounds = 0
        while (room := self._room()) > 0:
            outcome = await self._write_turn(self._params(room), tools=limits.tools)
            if isinstance(outcome, SampleEnd):
                return outcome
            if rounds == limits.max_rounds:
                return SampleEnd.ROUND_LIMIT
            rounds += 1
            await self._run_code(outcome)
        return SampleEnd.TOKEN_LIMIT

    async def _write_turn(self, params: SamplingParams, *, tools: bool) -> CodeBlock | SampleEnd:
        """Generate one turn: up to a closed code block, or to the sample's end.

        A stream that breaks is taken up again from the text that had come, as often as the configuration allows.
        """
        before = "" if self._turns else opening(self._runtime.family, tools=tools)
        writer = TurnWriter(tools=tools, before=before)
        started = self._runtime.clock()
        try:
            while True:
                try:
                    return await self._read(params, writer)
                except EngineError:
                    self._failures += 1
                    if self._failures > self._runtime.config.engine.retries:
                        raise
                    await self._runtime.engine.ready()
        finally:
            self._turns.append(Turn(writer.text, writer.tokens, self._runtime.clock() - started))

    async def _read(self, params: SamplingParams, writer: TurnWriter) -> CodeBlock | SampleEnd:
        """Read one stream into the writer, going on behind what it already holds."""
        prompt = self._prompt + self._text + writer.text
        params = replace(params, max_tokens=max(1, params.max_tokens - writer.tokens))
        length = False
        async with aclosing(self._runtime.engine.stream(prompt, params)) as chunks:
            async for chunk in chunks:
                self._runtime.observer.tokens_received(self._problem.id, self._index, chunk.tokens)
                outcome = writer.write(chunk.text, chunk.tokens)
                if outcome is not None:
                    return outcome
                length = length or chunk.finish == "length"
        if length:
            return SampleEnd.TOKEN_LIMIT
        answered = extract_answer(writer.text, self._runtime.config.rules) is not None
        return SampleEnd.ANSWERED if answered else SampleEnd.NO_ANSWER

    async def _run_code(self, block: CodeBlock) -> None:
        try:
            if self._session is None:
                self._session = await self._runtime.sandbox.session()
            tool_run = await self._session.run(block.code)
        except SandboxError as error:
            tool_run = ToolRun(block.code, f"[Python is not available: {error}]", ToolStatus.KILLED, 0.0)
        self._runtime.observer.tool_ran(self._problem.id, self._index, tool_run)
        self._insert(tool_output(tool_run.output), tool_run)

    def _insert(self, text: str, tool_run: ToolRun | None = None) -> None:
        """Write `text` behind the last turn."""
        last = self._turns.pop() if self._turns else Turn("", 0, 0.0)
        self._turns.append(replace(last, inserted=last.inserted + text, tool_run=tool_run or last.tool_run))

    def _params(self, max_tokens: int) -> SamplingParams:
        sampling = self._runtime.config.sampling
        return SamplingParams(
            max_tokens=max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            presence_penalty=sampling.presence_penalty,
            seed=self._seed + len(self._turns),
            stop=(END_OF_TURN,),
        )

    def _room(self) -> int:
        """Tokens that the next turn may have, under the sample's limit and the context's."""
        config = self._runtime.config
        used = sum(turn.tokens for turn in self._turns)
        written = len(self._prompt) + sum(len(turn.inserted) for turn in self._turns)
        in_context = config.engine.context_tokens - written // _CHARS_PER_TOKEN - config.sample.answer_tokens
        return min(config.sample.max_tokens, in_context) - used

    @property
    def _text(self) -> str:
        return "".join(turn.text + turn.inserted for turn in self._turns)

    def _answer(self) -> int | None:
        return extract_answer(self._turns[-1].text, self._runtime.config.rules)

    def _sample(self, end: SampleEnd, answer: int | None, *, forced: bool) -> Sample:
        return Sample(
            problem_id=self._problem.id,
            index=self._index,
            seed=self._seed,
            turns=tuple(self._turns),
            answer=answer,
            end=end,
            forced=forced,
            started=self._started,
            seconds=self._runtime.clock() - self._started,
        )

    async def _close_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()
