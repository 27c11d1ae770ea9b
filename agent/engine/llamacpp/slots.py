"""The slots of a llama.cpp server: which stream uses which, and one evaluated prompt for many of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

_STATE_FILE = "shared-prompt"
_COPY_SECONDS = 10.0  # a copy takes milliseconds


@dataclass(frozen=True, slots=True)
class _Idle:
    """What an idle slot holds; `lane` is the last prompt of the lane that it is kept for, if it is."""

    text: str = ""
    lane: str | None = None


class SlotPool:
    """Gives each stream a slot, a lane that goes on the one that knows its text.

    A lane whose stream was closed before its end may be running its code: its slot is kept for it, and goes to another
    only when there is no other. At most `streams` slots are given at a time.
    """

    def __init__(self, count: int, streams: int | None = None) -> None:
        self._must_idle = count - min(count, streams or count)
        self._idle = dict.fromkeys(range(count), _Idle())  # those that have been idle for longest come first
        self._freed = asyncio.Event()

    async def take(self, prompt: str) -> int:
        """The slot for a stream from this prompt; waits, as long as it takes, until one may be given."""
        while len(self._idle) <= self._must_idle:
            self._freed.clear()
            await self._freed.wait()
        slot = self._choose(prompt)
        del self._idle[slot]
        return slot

    def take_unkept(self) -> list[int]:
        """All idle slots that no lane may come back to, perhaps none."""
        slots = [slot for slot, idle in self._idle.items() if idle.lane is None]
        for slot in slots:
            del self._idle[slot]
        return slots

    def give(self, slot: int, text: str, *, lane: str | None = None) -> None:
        """Give a slot back which now holds `text`; it is kept for the lane of the prompt `lane`, if that is given."""
        self._idle[slot] = _Idle(text, lane)
        self._freed.set()

    def release(self, prompt: str) -> None:
        """Keep no slot any more for lanes that go on from this prompt."""
        for slot, idle in self._idle.items():
            if idle.lane is not None and idle.lane.startswith(prompt):
                self._idle[slot] = replace(idle, lane=None)

    def _choose(self, prompt: str) -> int:
        own = [slot for slot, idle in self._idle.items() if idle.lane is not None and prompt.startswith(idle.lane)]
        unkept = [slot for slot, idle in self._idle.items() if idle.lane is None]
        if not own and not unkept:
            return next(iter(self._idle))
        return max(own or unkept, key=lambda slot: _shared_length(self._idle[slot].text, prompt))


def _shared_length(text: str, other: str) -> int:
    """Characters that both begin with."""
    pairs = zip(text, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(text), len(other)))


async def share_prompt(url: str, prompt: str, scratch: Path, slots: Sequence[int], *, seconds: float) -> None:
    """Evaluate the prompt in the first of these idle slots, and copy the outcome to the others.

    Prompts that begin with this one then cost each slot only the tokens behind it. `url` is the server's root,
    `scratch` its directory of slot states, `seconds` the time for the evaluation. What a slot held before is lost to
    it. Raises aiohttp.ClientError or TimeoutError if the server does not play along.
    """
    source, *others = slots
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True),
        timeout=aiohttp.ClientTimeout(total=_COPY_SECONDS),
        raise_for_status=True,
    ) as session:
        patience = aiohttp.ClientTimeout(total=seconds)
        body = {"prompt": prompt, "n_predict": 0, "id_slot": source}
        async with session.post(f"{url}/completion", json=body, timeout=patience) as response:
            await response.read()
        if not others:
            return
        await _move(session, url, source, "save")
        try:
            for slot in others:
                await _move(session, url, slot, "restore")
        finally:
            (scratch / _STATE_FILE).unlink(missing_ok=True)


async def _move(session: aiohttp.ClientSession, url: str, slot: int, action: str) -> None:
    async with session.post(f"{url}/slots/{slot}?action={action}", json={"filename": _STATE_FILE}) as response:
        await response.read()
