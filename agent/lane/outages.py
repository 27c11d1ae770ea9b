"""Decides for one sample what a failure of the engine means: wait, continue, or give the sample up."""

from __future__ import annotations

from agent.engine.persistent import PersistentEngine
from agent.errors import EngineError, EngineUnavailableError, RequestRefusedError

_PROGRESS_TOKENS = 16  # a stream that has brought so many before it broke does not count as another failure in a row
_MUCH_PROGRESS_TOKENS = 512  # after so many, the next failure is a new one, which is answered at once


class OutageCounter:
    """Counts a sample's failures in a row: broken streams, of which `retries` are allowed, and waits, without limit."""

    def __init__(self, engine: PersistentEngine, retries: int) -> None:
        self._engine = engine
        self._retries = retries
        self._broken = 0
        self._waits = 0
        self._restarts = 0  # in a row, whether they brought a little or nothing

    def reset(self) -> None:
        """Start anew: a stream has ended as it should."""
        self._broken = self._waits = self._restarts = 0

    async def overcome(self, error: EngineError, arrived: int) -> None:
        """Return when the stream, which had brought `arrived` tokens, can continue. Raises the error if it cannot."""
        if isinstance(error, RequestRefusedError):
            raise error
        if arrived >= _PROGRESS_TOKENS:
            self._broken = 0
        if arrived >= _MUCH_PROGRESS_TOKENS:
            self._restarts = 0
        if arrived:
            self._waits = 0
        if not isinstance(error, EngineUnavailableError):
            self._broken += 1
            if self._broken > self._retries:
                raise error
        # One that breaks each time after a few words must not be requested again without a pause.
        await self._engine.recover(error, max(self._waits, self._restarts - 1))
        self._waits += 1
        self._restarts += 1
