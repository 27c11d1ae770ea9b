"""Grade mathematical expressions with math-verify, in a process that is killed when it takes too long."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import sys
from pathlib import Path

from agent.errors import InputError
from tools.benchmark.question import BenchmarkQuestion, Grade
from tools.benchmark.reading.statement import stated_answers

COMPARE_SECONDS = 10.0
_START_SECONDS = 60.0
_MOST_CHARS = 10_000  # a longer answer is prose
_ROOT = Path(__file__).parents[3]


class MathGrader:
    """Grades expressions with math-verify; `seconds` limit one comparison."""

    def __init__(self, seconds: float = COMPARE_SECONDS) -> None:
        self._seconds = seconds
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()
        if importlib.util.find_spec("math_verify") is None:
            raise InputError("math500 is graded by math-verify, which is missing: pip install 'aimo-agent[benchmark]'")

    async def grade(self, question: BenchmarkQuestion, text: str) -> Grade:
        """Compare the answer in the text with the truth."""
        answers = stated_answers(text)
        if not answers or len(answers[-1]) > _MOST_CHARS:
            return Grade(None, False, "no answer")
        request = json.dumps({"truth": question.truth, "answers": answers}).encode() + b"\n"
        async with self._lock:
            process = await self._started()
            try:
                async with asyncio.timeout(self._seconds):
                    reply = await _ask(process, request)
            except TimeoutError:
                await self.close()
                return Grade(None, False, f"math-verify took more than {self._seconds:g} s")
            if not reply:
                await self.close()
                return Grade(None, False, "math-verify failed")
        found = json.loads(reply)
        return Grade(found["answer"], found["right"], "" if found["answer"] is not None else "no answer")

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _started(self) -> asyncio.subprocess.Process:
        """Return the process, started if there is none. Raises InputError if it does not start."""
        if self._process is not None:
            return self._process
        command = (sys.executable, "-m", "tools.benchmark.grading.expressions_worker", str(self._seconds))
        pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=nowhere, cwd=_ROOT)
        self._process = process
        try:
            async with asyncio.timeout(_START_SECONDS):
                hello = await _ask(process, b"")
        except TimeoutError:
            hello = b""
        if hello != b"ready\n":
            await self.close()
            raise InputError(f"math-verify does not start: try it by itself, as {' '.join(command)}")
        return process


async def _ask(process: asyncio.subprocess.Process, request: bytes) -> bytes:
    """Send a line and wait for the response; "" if the process has ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(ConnectionError):
        process.stdin.write(request)
        await process.stdin.drain()
    return await process.stdout.readline()
