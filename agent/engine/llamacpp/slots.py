"""The slots of a llama.cpp server: which stream uses which, and one prefilled prompt copied to many of them."""

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
    """The text in an idle slot; `lane` is the last prompt of the lane that it is reserved for, None if it is not."""

    text: str = ""
    lane: str | None = None


class SlotPool:
    """Assigns a slot to each stream: to a continued lane the one whose cache holds its text.

    A lane whose stream was closed before its end may be running code: its slot stays reserved for it, and goes to
    another lane only when no other slot is idle. At most `streams` slots are in use at a time.
    """

    def __init__(self, count: int, streams: int | None = None) -> None:
        self._must_idle = count - min(count, streams or count)
        self._idle = dict.fromkeys(range(count), _Idle())  # the longest idle first
        self._freed = asyncio.Event()

    async def take(self, prompt: str) -> int:
        """Take a slot for a stream of this prompt, waiting without a time limit until one is idle."""
        while len(self._idle) <= self._must_idle:
            self._freed.clear()
            await self._freed.wait()
        slot = self._choose(prompt)
        del self._idle[slot]
        return slot

    def take_unkept(self) -> list[int]:
        """Take all idle slots that are not reserved for a lane, perhaps none."""
        slots = [slot for slot, idle in self._idle.items() if idle.lane is None]
        for slot in slots:
            del self._idle[slot]
        return slots

    def give(self, slot: int, text: str, *, lane: str | None = None) -> None:
        """Return a slot that now holds `text`, reserved for the lane of the prompt `lane` if that is given."""
        self._idle[slot] = _Idle(text, lane)
        self._freed.set()

    def release(self, prompt: str) -> None:
        """Drop the reservations for lanes that continue this prompt."""
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
    """Return the length of the common prefix."""
    pairs = zip(text, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(text), len(other)))


async def share_prompt(url: str, prompt: str, scratch: Path, slots: Sequence[int], *, seconds: float) -> None:
    """Prefill the prompt in the first of these idle slots, and copy its KV cache to the others.

    Prompts that begin with this one then cost each slot only the remaining tokens. `url` is the server's root,
    `scratch` its directory of slot states, `seconds` the time limit of the prefill. The previous contents of the slots
    are lost. Raises aiohttp.ClientError or TimeoutError if the server fails.
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
