"""One sample: stream -> closed tool call -> tool run -> continue -> answer."""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing
from dataclasses import replace

from agent.chat.format import ToolCall, turn_start
from agent.chat.hints import HintPlace, HintScanner
from agent.chat.task import vote
from agent.chat.thinking import TurnEndScanner
from agent.cost.account import Account
from agent.engine.base import Chunk
from agent.errors import AgentError, EngineError, RequestRefusedError, SandboxError, StreamBrokenError
from agent.events import InsertedKind, ToolRan
from agent.lane.answering import AnswerWatch, own_end
from agent.lane.fitting import ContextFitter
from agent.lane.language import LanguageMixingCounter
from agent.lane.logprobs import LogprobMeter
from agent.lane.outages import OutageCounter
from agent.lane.probe import Prober, read_reply
from agent.lane.runtime import Runtime
from agent.lane.seed import sample_seed
from agent.lane.text_events import TextEmitter
from agent.lane.transcript import Transcript
from agent.lane.turn import TurnWriter
from agent.sandbox.base import Session
from agent.types import Probe, Problem, Sample, SampleEnd, ToolRun, ToolStatus

_THINKING_MARGIN = 64  # for a server that closes the thinking by itself
_OWN_ENDS = (SampleEnd.NO_ANSWER, SampleEnd.INCOMPLETE)
_ENDS = {"length": SampleEnd.TOKEN_LIMIT, "repetition": SampleEnd.REPEATING}
_LAST_RUN = "\n[no more Python from here on: finish without it]"


class Lane:
    """A sample while it runs. It spends from its `account`; None where no cost is counted.

    `refusal` is set where the server refused a request for good.
    """

    def __init__(
        self, problem: Problem, prompt: str, index: int, runtime: Runtime, account: Account | None = None
    ) -> None:
        self._problem = problem
        self._index = index
        self._runtime = runtime
        self._chat = runtime.chat
        self._seed = sample_seed(runtime.config.seed, problem.id, index)
        self._started = runtime.clock()
        self._transcript = Transcript(prompt, runtime.engine, self._chat.next_prompt)
        self._account = account
        self._fitter = ContextFitter(self._transcript, runtime, self._seed, account)
        self._outages = OutageCounter(runtime.engine, runtime.config.engine.retries)
        self._text_events = TextEmitter(runtime.emit, problem.id, index)
        self._logprobs = LogprobMeter()
        self._mixing = LanguageMixingCounter()
        self._prober = Prober(runtime.config.sample.probe_tokens)
        hint = self._chat.hint
        self._hints = HintScanner(hint, self._chat.think_close, self._chat.opening) if hint else None
        self._session: Session | None = None
        self._failed_runs = 0
        self._watch = AnswerWatch(runtime.task, self._chat, at_close=runtime.config.sample.answer_at_think_close)
        self._forced_end: SampleEnd | None = None  # why its answer is being forced
        self.refusal: RequestRefusedError | None = None

    @property
    def tokens(self) -> int:
        """Tokens that it has generated."""
        return self._transcript.tokens

    async def run(self, most_seconds: float = math.inf) -> Sample:
        """Generate until the sample ends by itself; if it has no answer then, force one.

        Its problem ends after `most_seconds` in any case. It may be cancelled at any moment; `force_answer` or `cut`
        then give the sample. Whatever fails in it is recorded in the sample, but for what the run itself has to know
        (AgentError).
        """
        try:
            end = await self._generate_in_time(most_seconds)
        except Exception as error:  # noqa: BLE001  # one lane is not worth the run
            return self._failed(error)
        return self.cut(end) if end in (SampleEnd.ANSWERED, SampleEnd.FAILED_CODE) else await self.force_answer(end)

    async def force_answer(self, end: SampleEnd) -> Sample:
        """Force the answer of the unfinished sample (budget forcing): close its thinking, open the box, read it."""
        if self._watch.answer is not None:
            return self.cut(end)
        mean, tail = self._logprobs.mean, self._logprobs.tail_mean
        try:
            forced = self._chat.force_answer(self._transcript.said, ended=(self._forced_end or end) in _OWN_ENDS)
            if self._forced_end is None and end is SampleEnd.NO_ANSWER:
                tools = self._runtime.config.sample.tools
                end = own_end(self._chat, self._transcript.turns, forced.closes, tools=tools)
            if not self._runtime.config.sample.answer_tokens:
                return self.cut(end)
            end = self._forced_end = self._forced_end or end
            self._insert(forced.inserted, "forcing")
            self._watch.force()
            await self._write_turn(tools=False, begun_box=forced.begun)
        except Exception as error:  # noqa: BLE001
            return self._failed(error)
        answer = vote(self._runtime.task, forced.answer_text(self._transcript.turns[-1].text))
        return replace(self._sample(end, answer, forced=True), mean_logprob=mean, tail_logprob=tail)

    def cut(self, end: SampleEnd, failure: str = "") -> Sample:
        """Return the sample as it is now: with its answer if that is known already, else without a vote."""
        if self._watch.answer is not None:
            return self._sample(SampleEnd.ANSWERED, self._watch.answer)
        return replace(self._sample(end, None), failure=failure) if failure else self._sample(end, None)

    def _failed(self, error: Exception) -> Sample:
        if isinstance(error, RequestRefusedError):
            self.refusal = error
        if isinstance(error, EngineError):
            return self.cut(SampleEnd.ENGINE_ERROR, str(error))
        if isinstance(error, AgentError) and not isinstance(error, SandboxError):
            raise error
        return self.cut(SampleEnd.INTERNAL_ERROR, f"{type(error).__name__}: {error}")

    async def _generate_in_time(self, most_seconds: float) -> SampleEnd:
        seconds = self._runtime.config.sample.max_seconds
        limit = asyncio.timeout(seconds if seconds < most_seconds else None)  # a timer for each lane costs time
        try:
            async with limit:
                return await self._generate()
        except TimeoutError:
            if not limit.expired():
                raise
            return SampleEnd.DEADLINE
        finally:
            del limit  # it holds the task, and a cancelled task this frame: only the garbage collector would free them
            await self._prober.close()
            await self._close_session()

    async def _generate(self) -> SampleEnd:
        limits, rounds = self._runtime.config.sample, 0
        while True:
            outcome = await self._write_turn(tools=limits.tools and rounds < limits.max_rounds)
            if isinstance(outcome, SampleEnd):
                return outcome
            if isinstance(outcome, HintPlace):
                self._insert(outcome.hint.inserted(self._transcript.turns[-1].text), "hint")
                continue
            rounds += 1
            self._hints = None  # it has run code
            tool_run = await self._run_code(outcome, left=limits.max_rounds - rounds)
            if limits.accept_printed_answer and self._watch.printed(tool_run):
                return SampleEnd.ANSWERED
            if limits.max_failed_tool_runs and self._failed_runs >= limits.max_failed_tool_runs:
                return SampleEnd.FAILED_CODE

    async def _write_turn(self, *, tools: bool, begun_box: str = "") -> ToolCall | HintPlace | SampleEnd:
        """Generate one turn: up to a closed tool call, to the place of a hint, or to the sample's end.

        A forced answer ends behind the box that `begun_box` begins. A stream that breaks is resumed from the tokens
        that had arrived.
        """
        calls = self._chat.call_scanner(has_called=self._session is not None) if tools else None
        hints = self._hints if tools else None
        writer = self._transcript.writer = TurnWriter(calls, turn_start(self._chat, self._transcript.turns), hints)
        self._turn_ends = TurnEndScanner(self._chat.turn_marks, begun_box)
        self._watch.begin_turn()
        started = self._runtime.clock()
        try:
            while True:
                before_stream = writer.tokens
                try:
                    outcome = await self._read(writer, forcing=bool(begun_box))
                    self._outages.reset()
                    return outcome
                except EngineError as error:
                    if self._fitter.learn(error):
                        continue
                    if isinstance(error, StreamBrokenError) and self._watch.is_settled(writer):
                        return SampleEnd.ANSWERED
                    await self._outages.overcome(error, writer.tokens - before_stream)
                    writer.resumed()
        finally:
            self._text_events.end_turn(writer.text)
            self._transcript.end_turn(writer, self._runtime.clock() - started)

    async def _read(self, writer: TurnWriter, *, forcing: bool) -> ToolCall | HintPlace | SampleEnd:
        """Read one stream into the writer, continuing what it already holds."""
        fitter = self._fitter
        request = await (fitter.for_forced_answer(writer) if forcing else fitter.next(thinks=self._watch.thinks))
        if request is None:
            return SampleEnd.TOKEN_LIMIT
        length, finish = len(writer.text), ""
        try:
            async with aclosing(fitter.stream(*request)) as chunks:
                async for chunk in chunks:
                    length += len(chunk.text)
                    finish = chunk.finish or finish
                    outcome = self._take(chunk, writer)
                    if writer.ended:
                        finish = "stop"
                        break
                    if outcome is not None:
                        return outcome
        finally:
            self._transcript.buffer.end(max(0, length - len(writer.text)))
        if finish != "stop" and finish not in _ENDS:
            raise StreamBrokenError(f"the stream ended with {finish or 'no reason'}")
        return _ENDS.get(finish) or self._stopped(writer)

    def _stopped(self, writer: TurnWriter) -> ToolCall | HintPlace | SampleEnd:
        """End a turn that the model ended by itself: for good, or with a tool call, whose mark is left out."""
        mark = writer.end_mark
        self._transcript.buffer.append(mark)
        call = writer.write(Chunk(mark, 0)) if mark else None
        return self._watch.ended(writer) if call is None else call

    def _take(self, chunk: Chunk, writer: TurnWriter) -> ToolCall | HintPlace | SampleEnd | None:
        """Take one chunk; returns what ends the turn here, if anything does."""
        self._text_events.count(chunk.tokens)
        self._transcript.buffer.add(chunk)
        self._logprobs.feed(chunk.logprobs)
        self._mixing.feed(chunk.text)
        turn_end = self._turn_ends.feed(chunk.text)
        outcome = writer.write(chunk)
        if turn_end is not None and (outcome is None or turn_end < writer.length):
            writer.end(turn_end, self._chat.call_scanner(has_called=self._session is not None))
            return None
        if outcome is None:
            self._text_events.grow(chunk.text, max(self._turn_ends.held, writer.held))
            if self._forced_end is None:
                self._prober.tokens_came(self.tokens, self._probe)
            outcome = self._watch.grown(writer, len(chunk.text))
        cap = self._runtime.config.sample.max_thinking_tokens
        if cap and outcome is None and self._watch.thinks and cap <= self.tokens - _THINKING_MARGIN:
            return SampleEnd.TOKEN_LIMIT
        return outcome

    async def _probe(self, tokens: int) -> Probe | None:
        """Force the present answer of the running sample, beside its stream; None without money or engine."""
        started = self._runtime.clock()
        forced = self._chat.force_answer(self._transcript.said)
        stream = self._fitter.probe(await self._transcript.request_with(forced.inserted))
        if stream is None:
            return None
        try:
            reply = await read_reply(stream, TurnEndScanner(self._chat.turn_marks, forced.begun))
        except AgentError:  # the sample itself does not need it
            return None
        return Probe(tokens, vote(self._runtime.task, forced.answer_text(reply)), self._runtime.clock() - started)

    async def _run_code(self, call: ToolCall, *, left: int) -> ToolRun:
        try:
            tool_run = await self._tool_run(call)
            self._failed_runs += tool_run.status is not ToolStatus.OK  # a sandbox that fails is not the code's fault
        except SandboxError as error:
            tool_run = ToolRun(call.code, f"[Python is not available: {error}]", ToolStatus.KILLED, 0.0)
        self._runtime.emit(ToolRan(self._problem.id, self._index, tool_run))
        after = self._chat.after_result(left)
        output = tool_run.output + ("" if left or after else _LAST_RUN)
        self._insert(await self._fitter.output(output, after), "result", tool_run)
        self._watch.result_came()
        return tool_run

    async def _tool_run(self, call: ToolCall) -> ToolRun:
        if call.refusal:
            return ToolRun(call.code, call.refusal, ToolStatus.ERROR, 0.0)
        if self._session is None:
            self._session = await self._runtime.sandbox.session(self._seed)
        return await self._session.run(call.code)

    def _insert(self, text: str, kind: InsertedKind, tool_run: ToolRun | None = None) -> None:
        """Write `text` after the last turn."""
        self._transcript.insert(text, tool_run)
        self._text_events.insert(text, kind)

    def _sample(self, end: SampleEnd, answer: int | None, *, forced: bool = False) -> Sample:
        return Sample(
            problem_id=self._problem.id,
            index=self._index,
            seed=self._seed,
            turns=tuple(self._transcript.turns),
            answer=answer,
            end=end,
            forced=forced,
            started=self._started,
            seconds=self._runtime.clock() - self._started,
            mean_logprob=self._logprobs.mean,
            tail_logprob=self._logprobs.tail_mean,
            language_mixing=self._mixing.letters,
            probes=tuple(self._prober.probes),
            usage=None if self._account is None else self._account.close(),
        )

    async def _close_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()
