"""Shares one evaluated prompt among all slots of a llama.cpp server, which does not do so by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp

_STATE_FILE = "shared-prompt"
_COPY_SECONDS = 10.0  # a copy takes milliseconds, unless the slot has become busy since


async def share_prompt(url: str, prompt: str, scratch: Path, *, seconds: float) -> None:
    """Evaluate the prompt in the slot that knows most of it, and copy the outcome to all other idle slots.

    Prompts that begin with this one then cost each slot only the tokens behind it. `url` is the server's root,
    `scratch` its directory of slot states, `seconds` the time for the evaluation. What a slot held before is lost to
    it. Raises aiohttp.ClientError, TimeoutError or KeyError if the server does not play along.
    """
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True),
        timeout=aiohttp.ClientTimeout(total=_COPY_SECONDS),
        raise_for_status=True,
    ) as session:
        patience = aiohttp.ClientTimeout(total=seconds)
        body = {"prompt": prompt, "n_predict": 0}
        async with session.post(f"{url}/completion", json=body, timeout=patience) as response:
            source = int((await response.json())["id_slot"])
        others = [slot for slot in await _idle_slots(session, url) if slot != source]
        if not others:
            return
        await _move(session, url, source, "save")
        try:
            for slot in others:
                await _move(session, url, slot, "restore")
        finally:
            (scratch / _STATE_FILE).unlink(missing_ok=True)


async def _idle_slots(session: aiohttp.ClientSession, url: str) -> list[int]:
    async with session.get(f"{url}/slots") as response:
        slots: list[dict[str, Any]] = await response.json()
    return [int(slot["id"]) for slot in slots if not slot["is_processing"]]


async def _move(session: aiohttp.ClientSession, url: str, slot: int, action: str) -> None:
    async with session.post(f"{url}/slots/{slot}?action={action}", json={"filename": _STATE_FILE}) as response:
        await response.read()
