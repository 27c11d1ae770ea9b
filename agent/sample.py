"""One sample: stream -> closed code block -> tool run -> go on -> answer."""

from __future__ import annotations

import asyncio
import hashlib
import re
from contextlib import aclosing
from dataclasses import replace

from agent.confidence import LogprobMeter
from agent.drift import DriftCounter
from agent.engine.base import Chunk, SamplingParams
from agent.errors import EngineError, RequestRefusedError, SandboxError
from agent.fences import CodeBlock
from agent.probe import Prober
from agent.prompts import BOX_OPEN, END_OF_TURN, answer_nudge, open_box, opening, tool_output
from agent.runtime import Runtime
from agent.sandbox.base import Session
from agent.task import vote
from agent.trail import TokenTrail
from agent.turn import TurnWriter
from agent.types import Probe, Problem, Sample, SampleEnd, ToolRun, ToolStatus, Turn

_CHARS_PER_TOKEN = 3  # of text whose ids are not known; on the low side, because digits are a token each
_NUDGE_TOKENS = 16  # what asks for the answer
_THINKING_SLACK = 64  # for a server that closes the thinking by itself
_PROGRESS_TOKENS = 16  # a stream that has brought so many before it broke does not count as another failure in a row
_INTEGER = re.compile(r"-?\d{1,18}")
_ENDS = {"length": SampleEnd.TOKEN_LIMIT, "repetition": SampleEnd.REPEATING}


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
        self._writer: TurnWriter | None = None
        self._trail = TokenTrail()
        self._logprobs = LogprobMeter()
        self._drift = DriftCounter()
        self._prober = Prober(runtime.config.sample.probe_tokens, self._probe)
        self._thinking_closed = not runtime.family.think_close
        self._session: Session | None = None
        self._failures = 0
        self._failed_runs = 0

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
            await self._prober.close()
            await self._close_session()
        if end is SampleEnd.ANSWERED:
            return self._sample(end, self._own_answer(), forced=False)
        return self.cut(end) if end is SampleEnd.FAILED_CODE else await self.ask(end)

    async def ask(self, end: SampleEnd) -> Sample:
        """Force an answer out of the unfinished sample: close its thinking, open the box, read what is put in."""
        if not self._runtime.config.sample.answer_tokens:
            return self.cut(end)
        nudge, boxed = self._nudge()
        self._insert(nudge)
        mean, tail = self._logprobs.mean, self._logprobs.tail_mean
        try:
            await self._write_turn(self._answer_params(), tools=False)
        except EngineError:
            return self.cut(SampleEnd.ENGINE_ERROR)
        answer = vote(self._runtime.task, boxed + self._turns[-1].text)
        return replace(self._sample(end, answer, forced=True), mean_logprob=mean, tail_logprob=tail)

    def cut(self, end: SampleEnd) -> Sample:
        """The sample as it stands, without a vote."""
        return self._sample(end, None, forced=False)

    def _own_answer(self) -> int | None:
        last = self._turns[-1]
        return vote(self._runtime.task, last.text) if last.tool_run is None else self._printed(last.tool_run)

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
            tool_run = await self._run_code(outcome)
            if limits.printed_answers and self._printed(tool_run) is not None:
                return SampleEnd.ANSWERED
            if limits.failed_runs and self._failed_runs >= limits.failed_runs:
                return SampleEnd.FAILED_CODE
        return SampleEnd.TOKEN_LIMIT

    async def _write_turn(self, params: SamplingParams, *, tools: bool) -> CodeBlock | SampleEnd:
        """Generate one turn: up to a closed code block, or to the sample's end.

        A stream that breaks is taken up again from the tokens that had come, as often as the configuration allows
        without progress between.
        """
        before = "" if self._turns else opening(self._runtime.family, tools=tools)
        writer = self._writer = TurnWriter(tools=tools, before=before)
        started = self._runtime.clock()
        try:
            while True:
                came = writer.tokens
                try:
                    return await self._read(params, writer)
                except EngineError as error:
                    self._failures = 1 if writer.tokens - came >= _PROGRESS_TOKENS else self._failures + 1
                    if isinstance(error, RequestRefusedError) or self._failures > self._runtime.config.engine.retries:
                        raise
                    await self._runtime.engine.ready()
                    writer.resumed()
        finally:
            self._writer = None
            self._turns.append(writer.turn(self._runtime.clock() - started))

    async def _read(self, params: SamplingParams, writer: TurnWriter) -> CodeBlock | SampleEnd:
        """Read one stream into the writer, going on behind what it already holds."""
        engine = self._runtime.engine
        prompt = await self._trail.prompt(self._prompt + self._text, engine.tokenize)
        params = replace(params, max_tokens=max(1, params.max_tokens - writer.tokens))
        length, finish = len(writer.text), ""
        try:
            async with aclosing(engine.stream(prompt, params)) as chunks:
                async for chunk in chunks:
                    length += len(chunk.text)
                    finish = chunk.finish or finish
                    outcome = self._take(chunk, writer)
                    if outcome is not None:
                        return outcome
        finally:
            self._trail.end(length - len(writer.text))
        if finish in _ENDS:
            return _ENDS[finish]
        answered = self._runtime.task.read(writer.text) is not None
        return SampleEnd.ANSWERED if answered else SampleEnd.NO_ANSWER

    def _take(self, chunk: Chunk, writer: TurnWriter) -> CodeBlock | SampleEnd | None:
        """Take one chunk; returns what ends the turn here, if anything does."""
        self._runtime.observer.tokens_received(self._problem.id, self._index, chunk.tokens)
        self._trail.add(chunk)
        self._logprobs.feed(chunk.logprobs)
        self._drift.feed(chunk.text)
        before = writer.length
        outcome = writer.write(chunk)
        self._tell(chunk.text[: writer.length - before], inserted=False)
        tokens = self._tokens
        self._prober.tokens_came(tokens)
        if outcome is None and not self._thinking_closed and 0 < self._thinking_cap <= tokens:
            self._thinking_closed = self._runtime.family.think_close in self._text
            return None if self._thinking_closed else SampleEnd.TOKEN_LIMIT
        return outcome

    async def _probe(self, tokens: int) -> Probe | None:
        """Ask the running sample for its present belief, beside its stream; None if the engine fails."""
        started = self._runtime.clock()
        engine = self._runtime.engine
        nudge, boxed = self._nudge()
        prompt = await self._trail.peek(self._prompt + self._text, nudge, engine.tokenize)
        pieces = [boxed]
        try:
            async with aclosing(engine.stream(prompt, self._answer_params())) as chunks:
                async for chunk in chunks:
                    pieces.append(chunk.text)
        except EngineError:
            return None
        answer = vote(self._runtime.task, "".join(pieces))
        return Probe(tokens, answer, self._runtime.clock() - started)

    async def _run_code(self, block: CodeBlock) -> ToolRun:
        try:
            if self._session is None:
                self._session = await self._runtime.sandbox.session()
            tool_run = await self._session.run(block.code)
            self._failed_runs += tool_run.status is not ToolStatus.OK  # a sandbox that fails is not the code's fault
        except SandboxError as error:
            tool_run = ToolRun(block.code, f"[Python is not available: {error}]", ToolStatus.KILLED, 0.0)
        self._runtime.observer.tool_ran(self._problem.id, self._index, tool_run)
        self._insert(tool_output(tool_run.output), tool_run)
        return tool_run

    def _printed(self, tool_run: ToolRun) -> int | None:
        """The answer that a tool run printed, if it printed nothing else."""
        output = tool_run.output.strip()
        whole = tool_run.status is ToolStatus.OK and _INTEGER.fullmatch(output) is not None
        return vote(self._runtime.task, f"{BOX_OPEN}{output}}}") if whole else None

    def _insert(self, text: str, tool_run: ToolRun | None = None) -> None:
        """Write `text` behind the last turn."""
        last = self._turns.pop() if self._turns else Turn("", 0, 0.0)
        self._turns.append(replace(last, inserted=last.inserted + text, tool_run=tool_run or last.tool_run))
        self._trail.append(text)
        self._tell(text, inserted=True)

    def _tell(self, text: str, *, inserted: bool) -> None:
        if text:
            self._runtime.observer.text_written(self._problem.id, self._index, text, inserted=inserted)

    def _nudge(self) -> tuple[str, str]:
        """What asks for the answer now, and the box that the reply goes on with."""
        config = self._runtime.config
        written = opening(self._runtime.family, tools=config.sample.tools) + self._text
        return answer_nudge(self._runtime.family, written), BOX_OPEN + (open_box(written) or "")

    def _params(self, max_tokens: int) -> SamplingParams:
        sampling = self._runtime.config.sampling
        thinking = max(0, self._runtime.config.sample.max_thinking_tokens - self._tokens)
        return SamplingParams(
            max_tokens=max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            presence_penalty=sampling.presence_penalty,
            seed=self._seed + len(self._turns) if sampling.seeded else None,
            thinking_tokens=thinking if thinking and not self._thinking_closed else None,
        )

    def _answer_params(self) -> SamplingParams:
        config = self._runtime.config
        seed = self._seed if config.sampling.seeded else None  # greedy, but a recording is found by it
        return SamplingParams(
            max_tokens=config.sample.answer_tokens, temperature=0.0, seed=seed, stop=("\n", END_OF_TURN)
        )

    @property
    def _thinking_cap(self) -> int:
        """Tokens at which open thinking is closed, a little after the server would have; 0 for none."""
        cap = self._runtime.config.sample.max_thinking_tokens
        return cap + _THINKING_SLACK if cap else 0

    def _room(self) -> int:
        """Tokens that the next turn may have, under the sample's limit and the context's."""
        config = self._runtime.config
        inserted = sum(len(turn.inserted) for turn in self._turns)
        estimate = (len(self._prompt) + inserted) // _CHARS_PER_TOKEN + self._tokens
        written = (self._trail.tokens or 0) + self._trail.loose // _CHARS_PER_TOKEN if self._trail.tokens else estimate
        in_context = config.engine.context_tokens - written - config.sample.answer_tokens - _NUDGE_TOKENS
        return min(config.sample.max_tokens - self._tokens, in_context)

    @property
    def _tokens(self) -> int:
        return sum(turn.tokens for turn in self._turns) + (self._writer.tokens if self._writer else 0)

    @property
    def _text(self) -> str:
        """All that has been written behind the prompt, the turn that is being written included."""
        written = "".join(turn.text + turn.inserted for turn in self._turns)
        return written + (self._writer.text if self._writer else "")

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
            mean_logprob=self._logprobs.mean,
            tail_logprob=self._logprobs.tail_mean,
            foreign_letters=self._drift.foreign_letters,
            probes=tuple(self._prober.probes),
        )

    async def _close_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()
