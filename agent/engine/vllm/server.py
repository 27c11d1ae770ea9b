"""A vLLM server that we start, watch, restart and end."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent.config import EngineConfig, VllmConfig
from agent.engine.api_key import VLLM_VARIABLE, vllm_key
from agent.engine.base import Chunk, OnEvent, Prompt, SamplingParams
from agent.engine.http import HttpEngine, complete_one_token
from agent.engine.process import ServerProcess, check_port, free_port
from agent.engine.vllm.command import SERVED_NAME, VLLM_ENVIRONMENT, LaunchSettings, launch_settings, server_command
from agent.engine.vllm.memory import server_memory
from agent.engine.vllm.startup import start_text, startup_parts, whole_start
from agent.engine.vllm.weights import Preread
from agent.errors import EngineError, EngineUnavailableError, RequestRefusedError
from agent.events import EngineStarted

_POLL_SECONDS = 0.25
_STABLE_AFTER_SECONDS = 120.0  # a server that has been up this long is restarted with the same settings
_MAX_EARLY_CRASHES = 2  # consecutive ones, after which smaller settings are tried
_RETRY_COOLDOWN_SECONDS = 30.0  # before the next attempt, once all settings have failed
# One stream may be silent for long while the server works on others; silence of all streams is watched separately.
_STREAM_SECONDS = 3_600.0
_MEMORY_WORDS = ("out of memory", "No available memory", "OutOfMemoryError", "larger than the available KV cache")


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
    """Serves the configured model; `on_event` is called when its server comes up, dies or gets other settings.

    A server that dies, or from which no lane gets a token for `hang_seconds`, is killed with all its processes; the
    streams break, and the next `ready()` starts it again. If it runs out of memory, or dies twice in a row within two
    minutes, it is started with the smaller settings of `launch_settings` from then on. Without `restarts` it is started
    once, with just the settings given, and once it is down `ready()` raises RequestRefusedError: for measurements. The
    server requires the `api_key` if one is given, or else the one in its arguments or environment. Times are read from
    the event loop.
    """

    def __init__(
        self,
        engine: EngineConfig,
        settings: VllmConfig,
        *,
        log_path: Path,
        on_event: OnEvent,
        api_key: str | None = None,
        restarts: bool = True,
    ) -> None:
        self._engine = engine
        self._key = vllm_key(api_key, settings.extra_args, {**settings.environment, **os.environ})
        self._launches = launch_settings(settings) if restarts else launch_settings(settings)[:1]
        self._restarts = restarts
        self._launch_index = 0
        self._worked = 0  # index of the last launch with which the server was up
        self._settings = settings
        self._log_path = log_path
        self._on_event = on_event
        self._server: _Server | None = None
        self._starting = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None
        self._streams = 0
        self._last_token = 0.0
        self._early_crashes = 0
        self._reported: _Server | None = None
        self._was_up = False
        self._failed_start: tuple[float, EngineError] | None = None
        self._closed = False
        self.started: EngineStarted | None = None
        """How the last start went, the seconds of its parts in their order; None before it."""

    async def ready(self) -> None:
        """Return once the server has completed a prompt; start it if it does not run.

        Raises EngineUnavailableError, quoting the log, when it failed to start with all settings; the next attempt is
        made half a minute later at the earliest.
        """
        loop = asyncio.get_running_loop()
        async with self._starting:
            if self._closed:
                raise EngineError("the engine is closed")
            if self._failed_start is not None and loop.time() - self._failed_start[0] < _RETRY_COOLDOWN_SECONDS:
                raise self._failed_start[1]
            if self._server is not None and await self._server.healthy():
                return
            if self._was_up and not self._restarts:
                complaint = self._server.process.complaint() if self._server else "it was ended"
                raise RequestRefusedError(f"the vLLM server is down: {complaint}")
            await self._end_server()
            try:
                self._server = await self._start()
            except EngineError as error:
                self._failed_start = (loop.time(), error)
                raise
            self._was_up = True
            self._watch = asyncio.create_task(self._watch_over(self._server))

    async def warm(self, prompt: str) -> None:
        """Do nothing: vLLM caches prefixes by itself."""

    def release(self, prompt: str) -> None:
        """Do nothing: vLLM manages its own cache."""

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
        """Return the token ids of a text that continues others; None while the server is down."""
        return await self._server.client.tokenize(text) if self._server else None

    async def count_tokens(self, text: str) -> int | None:
        """Count the tokens of a text; None while the server is down."""
        return await self._server.client.count_tokens(text) if self._server else None

    @property
    def context_tokens(self) -> int | None:
        """The context length as reported by the server; None while it is down."""
        return self._server.client.context_tokens if self._server else None

    async def close(self) -> None:
        """End the server and wait until all its processes have exited. Idempotent."""
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
            self._report(server, f"is unhealthy: {server.process.complaint()}")
        lived = asyncio.get_running_loop().time() - server.started
        self._early_crashes = self._early_crashes + 1 if lived < _STABLE_AFTER_SECONDS else 0
        if not self._closed and (
            self._early_crashes >= _MAX_EARLY_CRASHES
            or _short_of_memory(server.process.complaint(), *server.process.errors())
        ):
            self._fall_back()
        await server.end()

    def _report(self, server: _Server, fate: str) -> None:
        """Report once for each server how it ended."""
        if self._reported is not server:
            self._reported = server
            self._on_event(f"the vLLM server {fate}")

    async def _watch_over(self, server: _Server) -> None:
        """Kill the server when it hangs; report when it has died."""
        loop = asyncio.get_running_loop()
        died = asyncio.create_task(server.process.wait())
        try:
            while not died.done():
                await asyncio.wait([died], timeout=_POLL_SECONDS)
                silence = loop.time() - self._last_token
                if not died.done() and self._streams and silence > self._settings.hang_seconds:
                    try:
                        self._report(server, f"hangs: {self._streams} streams without a token for {silence:.0f} s")
                    finally:
                        await server.process.end()
                    return
            self._report(server, f"died: {server.process.complaint()}")
        finally:
            died.cancel()

    async def _start(self) -> _Server:
        """Start it with the current settings or the remaining smaller ones."""
        if self._engine.port:
            check_port(self._engine.port)
        while True:
            launch = self._launches[self._launch_index]
            try:
                server = await self._start_once(launch)
                self._worked = self._launch_index
                return server
            except EngineError as error:
                if "No module named 'vllm" in str(error):
                    python = self._settings.python or sys.executable
                    raise EngineError(
                        f"{python} has no vLLM: pip install 'aimo-agent[vllm]', or set vllm.python to an interpreter "
                        "that has it"
                    ) from error
                last = self._launch_index == len(self._launches) - 1
                self._on_event(f"the vLLM server did not start {launch.name}: {error}")
                if last or not (self._was_up or _short_of_memory(str(error))):
                    self._launch_index = self._worked
                    raise EngineUnavailableError(str(error)) from error
                self._fall_back()

    def _fall_back(self) -> None:
        if self._launch_index + 1 < len(self._launches):
            self._launch_index += 1
            self._early_crashes = 0
            self._on_event(f"the vLLM server will be started {self._launches[self._launch_index].name} from now on")

    async def _start_once(self, launch: LaunchSettings) -> _Server:
        loop = asyncio.get_running_loop()
        began, began_at = loop.time(), datetime.now()
        port = self._engine.port or free_port()
        process = await ServerProcess.start(
            server_command(self._engine, launch.settings, port),
            log_path=self._log_path,
            defaults={**VLLM_ENVIRONMENT, **launch.settings.environment},
            secrets={VLLM_VARIABLE: self._key} if self._key else None,
            guarded=True,
        )
        client = HttpEngine(
            f"http://127.0.0.1:{port}/v1",
            model=SERVED_NAME,
            stall_seconds=_STREAM_SECONDS,
            thinking_budget=bool(launch.settings.reasoning_parser),
            api_key=self._key,
            on_event=self._on_event,
        )
        preread = asyncio.create_task(Preread(Path(self._engine.model), self._report_read).run())
        try:
            async with asyncio.timeout(self._engine.start_seconds):
                answered = await _serving(process, client)
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
        up = loop.time()
        written = await asyncio.to_thread(process.written)
        parts = whole_start(startup_parts(written, began_at), up - began, up - answered)
        self.started = EngineStarted(parts, await asyncio.to_thread(server_memory, written, self._settings.gpu))
        told = start_text(parts)
        self._on_event(f"the vLLM server is up after {up - began:.0f} s, {launch.name}{f' ({told})' if told else ''}")
        return _Server(process, client, loop.time())

    def _report_read(self, read: int, total: int) -> None:
        self._on_event(f"reading the weights: {read / 1e9:.1f} of {total / 1e9:.1f} GB")


async def _serving(process: ServerProcess, client: HttpEngine) -> float:
    """Return once the server has generated a token: when it answered, before that, on the loop's clock.

    Raises EngineError if its process exits or refuses to.
    """
    while True:
        if not process.running:
            raise process.died("at its start")
        with suppress(EngineUnavailableError):
            await client.ready()
            break
        await asyncio.sleep(_POLL_SECONDS)
    answered = asyncio.get_running_loop().time()
    try:
        await complete_one_token(client)
    except EngineError as error:
        raise EngineError(f"the vLLM server completes nothing ({error}): {process.complaint()}") from error
    return answered


def _short_of_memory(*errors: str) -> bool:
    return any(word.lower() in error.lower() for error in errors for word in _MEMORY_WORDS)
