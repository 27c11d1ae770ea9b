"""One problem: start its samples, tally them, stop when the vote is settled, force answers at the deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from agent.cost.account import Account
from agent.cost.ledger import CostLedger
from agent.errors import EngineError, RequestRefusedError
from agent.events import ProblemSolved, ProblemStarted, RequestCharged, RunWarning, SampleEnded
from agent.lane.lane import Lane
from agent.lane.running import RunningLanes
from agent.lane.runtime import Runtime
from agent.lane.transcript import most_tokens
from agent.policy.planning.learnt import learnt_of
from agent.policy.state import Progress, Verdict
from agent.policy.stopping import judge
from agent.policy.voting import BallotBox, largest_weight, mark_copy
from agent.types import Allowance, Problem, Sample, SampleEnd, Solution, StopReason, Tally, is_kept

# The vote is not settled then: unfinished samples are forced to answer.
_FORCE_ANSWERS_AFTER = (StopReason.DEADLINE, StopReason.SCATTERED, StopReason.REQUESTED)
_OUTAGE_POLL_SECONDS = 0.25  # between two looks at the time while the engine is down
_MONEY_POLL_SECONDS = 0.25  # between two looks at what other problems have reserved
_MIN_WAIT_SECONDS = 1e-3  # less may be lost in the clock's rounding


async def solve_problem(
    problem: Problem,
    runtime: Runtime,
    allowance: Allowance,
    prior: Sequence[Sample] = (),
    *,
    answer_now: asyncio.Event | None = None,
) -> Solution:
    """Solve one problem within its allowance, in a single `Attempt`."""
    return await Attempt(problem, runtime, allowance, prior).solve(answer_now)


class Attempt:
    """One try at a problem, within an allowance.

    `prior` are samples of it that an earlier try had finished: they vote, and are not drawn again. `refusal` is set
    where the server refused all requests for good.
    """

    def __init__(self, problem: Problem, runtime: Runtime, allowance: Allowance, prior: Sequence[Sample]) -> None:
        self._problem = problem
        self._runtime = runtime
        self._allowance = allowance
        self._started = runtime.clock()
        self._downtime = runtime.engine.downtime  # before this problem
        self._samples = list(prior)
        self._prior = len(prior)
        self._failure = ""  # why the engine failed
        self._awaits_engine = False  # missing samples start once it is ready
        self._refusals = 0
        config = runtime.config
        self._prompt = runtime.chat.prompt(runtime.task, problem)
        done = {sample.index for sample in prior}
        lanes = config.sample.count if allowance.lanes is None else allowance.lanes
        missing = [index for index in range(config.sample.count) if index not in done]
        first = max(0, lanes - len(done))
        self._missing, self._spare = missing[:first], missing[first:]
        self._batch = max(1, lanes)  # samples that are started at a time where the first decide nothing
        self._running = RunningLanes()
        self._box = BallotBox(config.voting, config.rules, prior)
        self.refusal: RequestRefusedError | None = None

    @property
    def reusable(self) -> list[Sample]:
        """The samples that another attempt need not draw again."""
        return [sample for sample in self._samples if is_kept(sample)]

    async def solve(self, answer_now: asyncio.Event | None = None) -> Solution:
        """Solve the problem; the solution says so where the engine failed: that is not raised.

        Never takes longer than the allowance, with its extension if the engine was down. When `answer_now` is set, the
        problem is closed as at its deadline.
        """
        allowed = self._allowance.seconds
        self._runtime.emit(ProblemStarted(self._problem, self._prompt, allowed, len(self._missing)))
        try:
            stop = await self._sample_in_time(answer_now)
            if stop in _FORCE_ANSWERS_AFTER:
                await self._force_answers()
            else:
                for lane in await self._halt():
                    self._end(lane.cut(SampleEnd.CANCELLED))
        finally:
            for lane in await self._halt():  # it was cancelled: they are not recorded, but give back their money
                lane.cut(SampleEnd.CANCELLED)
            self._runtime.engine.release(self._prompt)
        solution = self._solution(stop)
        self._runtime.emit(ProblemSolved(solution))
        return solution

    async def _sample_in_time(self, answer_now: asyncio.Event | None) -> StopReason:
        """Sample until the vote is settled, the time is over or `answer_now` is set; lanes may be running then."""
        if self._left(self._allowance.reasoning_seconds) <= 0:
            self._failure = self._runtime.engine.failure  # the time went into waiting for it
            return StopReason.ENGINE_ERROR if self._failure else StopReason.OUT_OF_TIME
        sampling = asyncio.create_task(self._sample_until_settled())
        requested = [asyncio.create_task(answer_now.wait())] if answer_now else []
        watched = [sampling, *requested]
        try:
            while not any(task.done() for task in watched):
                left = self._left(self._allowance.reasoning_seconds)
                if left <= 0:
                    return StopReason.DEADLINE
                # Time in which the engine is down is given back while it passes, so the deadline is looked at in steps.
                most = self._left(self._allowance.reasoning_seconds, down=self._allowance.extension_seconds)
                pause = max(left, min(_OUTAGE_POLL_SECONDS, most))
                await asyncio.wait(watched, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            return sampling.result() if sampling.done() else StopReason.REQUESTED
        finally:
            if waiting := [task for task in watched if task.cancel()]:
                await asyncio.gather(*waiting, return_exceptions=True)

    async def _sample_until_settled(self) -> StopReason:
        try:
            await self._ready_engine()
            return await self._sample()
        except EngineError as error:
            self._failure = str(error)
            if isinstance(error, RequestRefusedError):
                self.refusal = error
            return StopReason.ENGINE_ERROR

    async def _ready_engine(self) -> None:
        engine = self._runtime.engine
        if self._missing:
            self._awaits_engine = True
            await engine.ready()
            await engine.warm(self._prompt)
            self._awaits_engine = False

    def _start_affordable(self) -> None:
        """Start the missing samples, or as many of them as there is money for; the others wait for more."""
        most = self._left(self._allowance.seconds, down=self._allowance.extension_seconds)
        while self._missing:
            account = self._account(self._missing[0])
            if account is None and self._runtime.ledger is not None:
                return
            lane = Lane(self._problem, self._prompt, self._missing.pop(0), self._runtime, account)
            self._running.start(lane, lane.run(most))

    def _account(self, index: int) -> Account | None:
        """The money of another sample; None where no cost is counted, or too little is left."""
        ledger = self._runtime.ledger
        if ledger is None or not ledger.take(needed := ledger.needed(most_tokens(self._prompt))):
            return None

        def charged(cost: float) -> None:
            event = RequestCharged(self._problem.id, index, cost, ledger.spent, ledger.price.currency)
            self._runtime.emit(event)

        return Account(ledger, needed, charged)

    async def _sample(self) -> StopReason:
        while True:
            verdict = self._verdict()
            if verdict.stop is StopReason.ALL_DONE and self._votes.lead == 0 and self._spare:
                self._missing, self._spare = self._spare[: self._batch], self._spare[self._batch :]
                await self._ready_engine()
                continue
            if verdict.stop is not None:
                return verdict.stop
            self._start_affordable()
            ledger = self._runtime.ledger
            if ledger is not None and not self._running:
                if ledger.open_accounts and self._votes.leader is None:  # by other problems, which may give it back
                    await asyncio.sleep(_MONEY_POLL_SECONDS)
                    continue
                self._tell_cost_limit(ledger)
                return StopReason.COST_LIMIT
            await self._running.wait(max(_MIN_WAIT_SECONDS, self._left(verdict.until)))
            self._take_ended()

    def _take_ended(self) -> None:
        """Take the samples that have ended, in the order of their start. Raises their refusal if all were refused."""
        refusal = None
        for lane, sample in self._running.take_ended():
            self._end(sample)
            self._refusals += lane.refusal is not None
            refusal = lane.refusal or refusal
        drawn = self._samples[self._prior :]
        if refusal and self._refusals == len(drawn) and not self._running and not any(s.tokens for s in drawn):
            raise refusal

    def _tell_cost_limit(self, ledger: CostLedger) -> None:
        """Warn, once in a run, that no more samples are started."""
        if not ledger.reached:
            ledger.reached = True
            self._runtime.emit(RunWarning(ledger.stop_text(most_tokens(self._prompt)), self._runtime.clock()))

    def _verdict(self) -> Verdict:
        config = self._runtime.config
        progress = Progress(
            tally=self._votes,
            answers=tuple(sample.answer for sample in self._samples),
            running=len(self._running) + len(self._missing),  # those that wait for money may still vote
            largest_weight=largest_weight(config.voting),
            elapsed=-self._left(0.0),
            first_vote=self._first_vote(),
            share=self._allowance.share,
            price=self._allowance.price,
        )
        return judge(progress, config.stopping)

    def _first_vote(self) -> float | None:
        return min((sample.seconds for sample in self._samples if sample.answer is not None), default=None)

    async def _force_answers(self) -> None:
        """Force an answer out of each unfinished lane, if that can change ours; cut those that give none in time."""
        reserve = self._allowance.seconds - self._allowance.reasoning_seconds
        lanes = await self._halt()
        weight = len(lanes) * largest_weight(self._runtime.config.voting, forced=True)
        if lanes and reserve > 0 and self._votes.lead <= weight:
            for lane in lanes:
                self._running.start(lane, lane.force_answer(SampleEnd.DEADLINE))
            await self._running.wait_for_all(max(0.0, min(reserve, self._left(self._allowance.seconds))))
            lanes = await self._halt()
        engine = self._runtime.engine
        for lane in lanes:
            away = engine.unavailable if lane.tokens else engine.failure
            self._end(lane.cut(SampleEnd.ENGINE_ERROR if away else SampleEnd.DEADLINE, away))

    async def _halt(self) -> list[Lane]:
        """Cancel what runs and wait until it has ended. What finished all the same counts; returns the other lanes."""
        finished, unfinished = await self._running.halt()
        for sample in finished:
            self._end(sample)
        return unfinished

    def _end(self, ended: Sample) -> None:
        sample = mark_copy(ended, self._runtime.config.rules, self._runtime.config.sample.example_answers)
        self._samples.append(sample)
        self._box.add(sample)
        if sample.end is SampleEnd.ENGINE_ERROR:
            self._failure = sample.failure
        self._runtime.emit(SampleEnded(sample))

    def _engine_cost_most(self) -> bool:
        """Whether most samples were lost to the engine: what the others say is not the problem's solution."""
        waiting = len(self._missing) if self._awaits_engine else 0
        if waiting:
            self._failure = self._failure or self._runtime.engine.failure
        if not self._samples:
            return bool(self._failure)
        lost = sum(sample.end is SampleEnd.ENGINE_ERROR for sample in self._samples) + (waiting if self._failure else 0)
        if self._votes.leader is None and self._not_given_back() > self._allowance.seconds / 2:
            self._failure = self._failure or "the engine was down for most of the time"
            return True
        return 2 * lost > len(self._samples) + waiting

    def _not_given_back(self) -> float:
        """Seconds in which the engine was down and the problem got no others for them."""
        return self._runtime.engine.downtime - self._downtime - self._allowance.extension_seconds

    @property
    def _votes(self) -> Tally:
        return self._box.tally

    def _left(self, seconds: float, *, down: float | None = None) -> float:
        """Time left of so many seconds since the start, those in which the engine was `down` not counted."""
        if down is None:
            down = min(self._runtime.engine.downtime - self._downtime, self._allowance.extension_seconds)
        return self._started + seconds + down - self._runtime.clock()

    def _solution(self, stop: StopReason) -> Solution:
        if self._engine_cost_most():
            stop = StopReason.ENGINE_ERROR
        return Solution(
            problem_id=self._problem.id,
            answer=self._votes.leader.answer if self._votes.leader else None,
            tally=self._votes,
            stop=stop,
            samples_started=len(self._samples),
            samples_finished=sum(s.end is not SampleEnd.CANCELLED for s in self._samples),
            tokens=sum(s.tokens for s in self._samples),
            tool_runs=sum(len(s.tool_runs) for s in self._samples),
            seconds=self._runtime.clock() - self._started,
            allowance=self._allowance.seconds,
            at=self._runtime.clock(),
            first_vote=self._first_vote(),
            failure=self._failure if stop is StopReason.ENGINE_ERROR else "",
            learnt=learnt_of(self._samples, self._prior, was_down=self._runtime.engine.downtime > self._downtime),
        )
