"""Which sessions use more than they may: a look at each every tenth of a second.

The kernel's own limits hold one process's address space; this sees what they do not: threads, the scratch
directory where it has no mount of its own, and what all sessions hold together.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from agent.sandbox.inside import scratch
from agent.sandbox.inside.layers import Layers
from agent.sandbox.inside.settings import Settings

PERIOD = 0.1  # seconds
_PAGE = os.sysconf("SC_PAGE_SIZE")
_RESERVE = 0.04  # of the host's memory that sessions leave free
_DISK_RESERVE = 256 << 20  # bytes of the scratch directories' file system that sessions leave free
_DONE, _THREADS, _RESIDENT = (7, 11, 12), 17, 21  # fields of /proc/PID/stat behind the command's name


@dataclass(frozen=True, slots=True)
class Usage:
    """What one session holds, in bytes and threads, and the page faults and ticks that it has had so far."""

    memory: int
    threads: int
    done: tuple[bytes, ...]


class Watch:
    """Looks at sessions, given as slot -> process id."""

    def __init__(self, settings: Settings, layers: Layers) -> None:
        self._settings = settings
        self._layers = layers
        self._done: dict[int, tuple[bytes, ...]] = {}
        self._born_with = _usage(layers, os.getpid())

    def offenders(self, sessions: dict[int, int]) -> dict[int, str]:
        """The slots of sessions to be ended now, with the reason that the model is told."""
        used = {slot: usage for slot, pid in sessions.items() if (usage := _usage(self._layers, pid))}
        idle = {slot for slot, usage in used.items() if self._done.get(slot) == usage.done}
        self._done = {slot: usage.done for slot, usage in used.items()}
        found: dict[int, str] = {}
        for slot, usage in used.items():
            if slot in idle:
                continue
            if reason := self._reason(slot, usage):
                found[slot] = reason
        own = {slot: self._own_memory(usage) for slot, usage in used.items() if slot not in found}
        if own and (sum(own.values()) > self._settings.total_memory or self._host_is_short()):
            found[max(own, key=lambda slot: own[slot])] = "all sessions together used too much memory"
        return found

    def _reason(self, slot: int, usage: Usage) -> str:
        limits = self._settings
        if self._own_memory(usage) > limits.memory:
            return f"it used more than {limits.memory >> 20} MiB of memory"
        if usage.threads > limits.threads:
            return f"it started more than {limits.threads} threads"
        if self._layers.active("mounts"):
            return ""
        size, entries = scratch.usage(self._layers.scratch(slot), limits.entries)
        if size > limits.scratch:
            return f"it wrote more than {limits.scratch >> 20} MiB of files"
        if entries > limits.entries:
            return f"it made more than {limits.entries} files"
        disk = os.statvfs(limits.base)
        if size > limits.scratch // 4 and disk.f_bavail * disk.f_frsize < _DISK_RESERVE:
            return "the disk is full"
        return ""

    def _own_memory(self, usage: Usage) -> int:
        born_with = self._born_with.memory if self._born_with else 0
        return max(0, usage.memory - born_with)

    def _host_is_short(self) -> bool:
        try:
            lines = self._layers.read_proc("meminfo").splitlines()
        except OSError:
            return False
        kib = {line.split(b":")[0]: int(line.split()[1]) for line in lines[:3]}
        return kib[b"MemAvailable"] < _RESERVE * kib[b"MemTotal"]


def _usage(layers: Layers, pid: int) -> Usage | None:
    try:
        fields = layers.read_proc(f"{pid}/stat").rpartition(b")")[2].split()
    except OSError:
        return None
    return Usage(int(fields[_RESIDENT]) * _PAGE, int(fields[_THREADS]), tuple(fields[index] for index in _DONE))
