"""Grade programs by running their tests in the sandbox."""

from __future__ import annotations

from agent.errors import InputError
from agent.sandbox.base import Limits
from agent.sandbox.forkserver import ForkServerSandbox
from agent.types import ToolRun, ToolStatus
from tools.benchmark.grading.program_cells import call_cell, program_cell, same_output, same_result
from tools.benchmark.question import BenchmarkQuestion, Grade, ProgramTest, ProgramTests
from tools.benchmark.reading.blocks import read_program
from tools.benchmark.sets.program_tests import hidden_tests

TEST_SECONDS = 6.0  # for each test, as LiveCodeBench has it
_LIMITS = Limits(memory_bytes=4 << 30, output_chars=8 << 20, source_bytes=256 << 20, file_bytes=128 << 20)


class ProgramGrader:
    """A program is right if it passes all its tests, each in a fresh interpreter within `seconds`.

    Time counts as the sandbox counts it: a test gets back, within limits, what it had to wait for a processor.
    """

    def __init__(self, seconds: float = TEST_SECONDS) -> None:
        self._seconds = seconds
        self._sandbox = ForkServerSandbox(_LIMITS)

    async def grade(self, question: BenchmarkQuestion, text: str) -> Grade:
        """Run the tests until one fails. Raises InputError for tests that cannot be read, SandboxError."""
        tests = question.tests
        if tests is None:
            raise InputError(f"question {question.id} has no tests: give a set of programs")
        source = read_program(text, tests.function)
        if source is None:
            return Grade(None, False, "no program")
        every = (*tests.shown, *hidden_tests(f"question {question.id}", tests))
        for number, test in enumerate(every, start=1):
            fault = await self._fault(question, source, tests, test)
            if fault:
                return Grade(None, False, f"test {number} of {len(every)}: {fault}")
        return Grade(None, True)

    async def close(self) -> None:
        """End the sandbox."""
        await self._sandbox.close()

    async def _fault(self, question: BenchmarkQuestion, source: str, tests: ProgramTests, test: ProgramTest) -> str:
        """Return why the program fails this test; "" if it passes."""
        function = tests.function
        cell = call_cell(source, function, test.given) if function else program_cell(source, test.given)
        session = await self._sandbox.session()
        try:
            run = await session.run(cell, self._seconds)
        finally:
            await session.close()
        if run.status is not ToolStatus.OK:
            return _failure(run)
        try:
            right = same_result(run.output, test) if function else same_output(run.output, test)
        except ValueError as error:
            raise InputError(f"question {question.id} has a test whose output is not JSON: {error}") from error
        return "" if right else "wrong output"


def _failure(run: ToolRun) -> str:
    if run.status is ToolStatus.TIMEOUT:
        return "time limit"
    last = run.output.strip().rpartition("\n")[2][:120]
    return f"{run.status}: {last}" if last else str(run.status)
