"""An engine on the CPU: llama.cpp's server in a child process, used over HTTP."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.engine.http import HttpEngine, api_url, complete_one_token
from agent.engine.llamacpp.slots import SlotPool, share_prompt
from agent.engine.process import ServerProcess, check_port
from agent.errors import EngineError, EngineUnavailableError

# By default a thread of GNU OpenMP spins for milliseconds at a barrier. If other programs need the same cores (cells of
# the sandbox, a second server), it then delays the very thread that it waits for: 3 lanes beside a busy server took
# 18 s with this count, 49 s with 10,000. Without any spinning an engine that runs alone is a third slower.
_ENVIRONMENT = {"GOMP_SPINCOUNT": "1000"}
_UNSHARED = (aiohttp.ClientError, TimeoutError, OSError)


@dataclass(frozen=True, slots=True)
class _Server:
    """A running server, its client, and the directory where it saves the states of slots."""

    process: ServerProcess
    client: HttpEngine
    url: str
    scratch: Path

    async def end(self) -> None:
        await self.client.close()
        await self.process.end()
        shutil.rmtree(self.scratch, ignore_errors=True)


class EmbeddedEngine:
    """Serves the GGUF file at `model_path` to `slots` lanes of `context_tokens` each, on `port` (0: any free one).

    A server that is not up after `start_seconds` has failed; a stream silent for `stall_seconds` is broken. Lanes
    beyond the slots, or beyond `streams` of them, queue here without a time limit. The server appends to `log_path`. It
    ends when this process ends, however that happens.
    """

    def __init__(
        self,
        model_path: Path,
        *,
        slots: int,
        streams: int | None = None,
        context_tokens: int,
        port: int = 0,
        start_seconds: float,
        stall_seconds: float,
        log_path: Path,
    ) -> None:
        self._model_path = model_path
        self._slots = slots
        # The server has a queue too, but a lane that waits there cannot be told from a broken stream.
        self._pool = SlotPool(slots, streams)
        self._context_tokens = context_tokens
        self._port = port
        self._start_seconds = start_seconds
        self._stall_seconds = stall_seconds
        self._log_path = log_path
        self._server: _Server | None = None
        self._starting = asyncio.Lock()
        self._sharing = asyncio.Lock()
        self._shared: str | None = None
        self._was_up = False

    async def ready(self) -> None:
        """Return once the server serves; start it if it does not run, replace it if it does not respond.

        Raises EngineError, quoting the server's log, if it does not start; EngineUnavailableError if it was up before.
        """
        async with self._starting:
            if self._server is not None:
                if await self._answers(self._server):
                    return
                await self._end()
            try:
                self._server = await self._start()
            except EngineError as error:
                if self._was_up:
                    raise EngineUnavailableError(str(error)) from error
                raise
            self._was_up = True
            if self._shared is not None:
                await self._share(self._server, self._shared)

    async def warm(self, prompt: str) -> None:
        """Prefill the prompt once for all idle slots; if the server refuses, each slot will do it for itself.

        Slots reserved for lanes that may be running code are left alone.
        """
        async with self._sharing:
            if self._server is not None and prompt != self._shared:
                await self._share(self._server, prompt)
                self._shared = prompt

    def release(self, prompt: str) -> None:
        """Free the slots that are reserved for lanes of this prompt."""
        self._pool.release(prompt)

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        """Continue the prompt; closing the generator makes the server stop at its next step."""
        start = prompt if isinstance(prompt, str) else ""
        slot = await self._pool.take(start)
        written: list[str] = []
        lane: str | None = None
        try:
            if self._server is None:
                raise EngineUnavailableError("the embedded engine is not running: await ready() first")
            async with aclosing(self._server.client.stream(prompt, params, slot=slot)) as chunks:
                async for chunk in chunks:
                    written.append(chunk.text)
                    yield chunk
        except GeneratorExit:
            lane = start
            raise
        finally:
            self._pool.give(slot, start + "".join(written), lane=lane)

    async def tokenize(self, text: str) -> list[int] | None:
        """Return None: llama.cpp's server streams no token ids, and finds the common prefix of texts by itself."""
        return None

    async def count_tokens(self, text: str) -> int | None:
        """Count the tokens of a text; None while the server is down."""
        return await self._server.client.count_tokens(text) if self._server else None

    @property
    def context_tokens(self) -> int | None:
        """The context length as configured, or less if the server reports less."""
        told = self._server.client.context_tokens if self._server else None
        return min(self._context_tokens, told or self._context_tokens)

    async def close(self) -> None:
        """End the server and wait until it has exited. Idempotent."""
        async with self._starting:
            await self._end()

    async def _start(self) -> _Server:
        if importlib.util.find_spec("xllamacpp") is None:
            raise EngineError("the embedded engine needs xllamacpp: pip install 'aimo-agent[embedded]'")
        if self._port:
            check_port(self._port)
        scratch = Path(tempfile.mkdtemp(prefix="aimo-agent-"))
        try:
            process = await ServerProcess.start(self._command(scratch), log_path=self._log_path, defaults=_ENVIRONMENT)
        except BaseException:
            shutil.rmtree(scratch)
            raise
        try:
            url = await process.announced(self._start_seconds)
        except BaseException:
            await process.end()
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        server = _Server(process, self._client(url), url, scratch)
        try:
            await server.client.ready()
            await complete_one_token(server.client)
        except BaseException:
            await server.end()
            raise
        return server

    async def _answers(self, server: _Server) -> bool:
        probe = self._client(server.url)
        try:
            await probe.ready()
        except EngineError:
            return False
        finally:
            await probe.close()
        return True

    def _client(self, url: str) -> HttpEngine:
        return HttpEngine(api_url(url), stall_seconds=self._stall_seconds)

    def _command(self, scratch: Path) -> list[str]:
        flags = {
            "--slots": self._slots,
            "--context-tokens": self._context_tokens,
            "--port": self._port,
            "--scratch": scratch,
        }
        words = [str(word) for flag in flags.items() for word in flag]
        return [sys.executable, "-m", "agent.engine.llamacpp.embedded_server", str(self._model_path), *words]

    async def _share(self, server: _Server, prompt: str) -> None:
        slots = self._pool.take_unkept()
        try:
            if slots:
                with suppress(*_UNSHARED):
                    sent = server.client.sent(prompt)
                    await share_prompt(server.url, sent, server.scratch, slots, seconds=self._stall_seconds)
        finally:
            for slot in slots:
                self._pool.give(slot, prompt)

    async def _end(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await server.end()
