"""A vLLM server of ours: started, watched, restarted, ended."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path

from agent.config import EngineConfig, VllmConfig
from agent.engine.api_key import VLLM_VARIABLE, vllm_key
from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.engine.http import HttpEngine, complete_one_token
from agent.engine.process import ServerProcess, check_port, free_port
from agent.engine.vllm.command import ENVIRONMENT, SERVED_NAME, Step, server_command, steps
from agent.engine.vllm.weights import Preread
from agent.errors import EngineError, EngineUnavailableError

_POLL_SECONDS = 0.25
_PROVEN_SECONDS = 120.0  # a server that has lived for so long is started again as it was
_SHORT_LIVES = 2  # in a row, after which a smaller server is tried
_GIVEN_UP_SECONDS = 30.0  # until another attempt, once every way to start has failed
# A stream may be silent for long while the server works on others; silence of all of them is watched for apart.
_STREAM_SECONDS = 3_600.0
_MEMORY_WORDS = ("out of memory", "No available memory", "OutOfMemoryError", "larger than the available KV cache")

Notice = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Server:
    process: ServerProcess
    client: HttpEngine
    started: float  # by the loop's clock

    async def healthy(self) -> bool:
        return self.process.running and await self.client.healthy()

    async def end(self) -> None:
        await self.client.close()
        await self.process.end()


class VllmEngine:
    """Serves the configured model; `notice` is told when its server comes up, dies or is started in another way.

    A server that dies, or from which no lane gets a token for `hang_seconds`, is ended with all its processes; the
    streams break, and the next `ready()` starts it again. One that runs out of memory, or twice in a row does not live
    for two minutes, is started in the smaller ways of `steps` from then on. Its server wants the `api_key`, if one is
    given, or the one that its arguments or environment hold. Times are read from the event loop.
    """

    def __init__(
        self,
        engine: EngineConfig,
        settings: VllmConfig,
        *,
        log_path: Path,
        notice: Notice,
        api_key: str | None = None,
    ) -> None:
        self._engine = engine
        self._key = vllm_key(api_key, settings.extra_args, {**settings.environment, **os.environ})
        self._steps = steps(settings)
        self._step = 0
        self._worked = 0  # the last step in which the server was up
        self._settings = settings
        self._log_path = log_path
        self._notice = notice
        self._server: _Server | None = None
        self._starting = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None
        self._streams = 0
        self._last_token = 0.0
        self._short_lives = 0
        self._reported: _Server | None = None
        self._was_up = False
        self._gave_up: tuple[float, EngineError] | None = None
        self._closed = False

    async def ready(self) -> None:
        """Return once the server has answered a completion; starts it if it does not run.

        Raises EngineUnavailableError, quoting the log, when every way to start it has failed; another attempt is made
        half a minute later at the earliest.
        """
        loop = asyncio.get_running_loop()
        async with self._starting:
            if self._closed:
                raise EngineError("the engine is closed")
            if self._gave_up is not None and loop.time() - self._gave_up[0] < _GIVEN_UP_SECONDS:
                raise self._gave_up[1]
            if self._server is not None and await self._server.healthy():
                return
            await self._end_server()
            try:
                self._server = await self._start()
            except EngineError as error:
                self._gave_up = (loop.time(), error)
                raise
            self._was_up = True
            self._watch = asyncio.create_task(self._watch_over(self._server))

    async def warm(self, prompt: str) -> None:
        """Nothing to do: vLLM shares prefixes by itself."""

    def release(self, prompt: str) -> None:
        """Nothing to do: vLLM decides what it keeps."""

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        """Continue the prompt; closing the generator makes the server stop at its next step."""
        server = self._server
        if server is None:
            raise EngineUnavailableError("the vLLM server is not running: await ready() first")
        loop = asyncio.get_running_loop()
        if self._streams == 0:
            self._last_token = loop.time()
        self._streams += 1
        try:
            async with aclosing(server.client.stream(prompt, params)) as chunks:
                async for chunk in chunks:
                    self._last_token = loop.time()
                    yield chunk
        finally:
            self._streams -= 1

    async def tokenize(self, text: str) -> list[int] | None:
        """The ids of a text that goes on from others; None while the server is down."""
        return await self._server.client.tokenize(text) if self._server else None

    async def count_tokens(self, text: str) -> int | None:
        """How many tokens a text is; None while the server is down."""
        return await self._server.client.count_tokens(text) if self._server else None

    @property
    def context_tokens(self) -> int | None:
        """As the server tells."""
        return self._server.client.context_tokens if self._server else None

    async def close(self) -> None:
        """End the server and wait until all its processes are gone. May be called twice."""
        self._closed = True
        async with self._starting:
            await self._end_server()

    async def _end_server(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        server, self._server = self._server, None
        if server is None:
            return
        if not self._closed:
            self._report(server, f"is not well: {server.process.complaint()}")
        lived = asyncio.get_running_loop().time() - server.started
        self._short_lives = self._short_lives + 1 if lived < _PROVEN_SECONDS else 0
        if not self._closed and (self._short_lives >= _SHORT_LIVES or _short_of_memory(server.process.complaint())):
            self._take_smaller_step()
        await server.end()

    def _report(self, server: _Server, fate: str) -> None:
        """Tell once of each server how it ended."""
        if self._reported is not server:
            self._reported = server
            self._notice(f"the vLLM server {fate}")

    async def _watch_over(self, server: _Server) -> None:
        """End the server when it hangs; say so when it has died."""
        loop = asyncio.get_running_loop()
        died = asyncio.create_task(server.process.wait())
        try:
            while not died.done():
                await asyncio.wait([died], timeout=_POLL_SECONDS)
                silent = loop.time() - self._last_token
                if not died.done() and self._streams and silent > self._settings.hang_seconds:
                    try:
                        self._report(server, f"hangs: {self._streams} streams without a token for {silent:.0f} s")
                    finally:
                        await server.process.end()
                    return
            self._report(server, f"died: {server.process.complaint()}")
        finally:
            died.cancel()

    async def _start(self) -> _Server:
        """Start it in the present way or in the smaller ones that are left."""
        if self._engine.port:
            check_port(self._engine.port)
        while True:
            step = self._steps[self._step]
            try:
                server = await self._start_once(step)
                self._worked = self._step
                return server
            except EngineError as error:
                if "No module named 'vllm" in str(error):
                    python = self._settings.python or sys.executable
                    raise EngineError(
                        f"{python} has no vLLM: pip install 'aimo-agent[vllm]', or set vllm.python to an interpreter "
                        "that has it"
                    ) from error
                last = self._step == len(self._steps) - 1
                self._notice(f"the vLLM server did not start {step.name}: {error}")
                if last or not (self._was_up or _short_of_memory(str(error))):
                    self._step = self._worked
                    raise EngineUnavailableError(str(error)) from error
                self._take_smaller_step()

    def _take_smaller_step(self) -> None:
        if self._step + 1 < len(self._steps):
            self._step += 1
            self._short_lives = 0
            self._notice(f"the vLLM server is started {self._steps[self._step].name} from now on")

    async def _start_once(self, step: Step) -> _Server:
        loop = asyncio.get_running_loop()
        began = loop.time()
        port = self._engine.port or free_port()
        process = await ServerProcess.start(
            server_command(self._engine, step.settings, port),
            log_path=self._log_path,
            defaults={**ENVIRONMENT, **step.settings.environment},
            secrets={VLLM_VARIABLE: self._key} if self._key else None,
            guarded=True,
        )
        client = HttpEngine(
            f"http://127.0.0.1:{port}/v1",
            model=SERVED_NAME,
            stall_seconds=_STREAM_SECONDS,
            thinking_budget=bool(step.settings.reasoning_parser),
            api_key=self._key,
        )
        preread = asyncio.create_task(Preread(Path(self._engine.model), self._say_read).run())
        try:
            async with asyncio.timeout(self._engine.start_seconds):
                await _serving(process, client)
        except TimeoutError:
            await _Server(process, client, began).end()
            raise EngineError(
                f"the vLLM server was not up after {self._engine.start_seconds:g} s: {process.complaint()}"
            ) from None
        except BaseException:
            await _Server(process, client, began).end()
            raise
        finally:
            preread.cancel()
            await asyncio.gather(preread, return_exceptions=True)
        self._notice(f"the vLLM server is up after {loop.time() - began:.0f} s, {step.name}")
        return _Server(process, client, loop.time())

    def _say_read(self, read: int, total: int) -> None:
        self._notice(f"reading the weights: {read / 1e9:.1f} of {total / 1e9:.1f} GB")


async def _serving(process: ServerProcess, client: HttpEngine) -> None:
    """Return once the server has completed a token. Raises EngineError if its process ends or refuses to."""
    while True:
        if not process.running:
            raise process.died("at its start")
        with suppress(EngineUnavailableError):
            await client.ready()
            break
        await asyncio.sleep(_POLL_SECONDS)
    try:
        await complete_one_token(client)
    except EngineError as error:
        raise EngineError(f"the vLLM server completes nothing ({error}): {process.complaint()}") from error


def _short_of_memory(complaint: str) -> bool:
    return any(word.lower() in complaint.lower() for word in _MEMORY_WORDS)
