"""Finds sessions that exceed their limits, by looking at each every tenth of a second.

The kernel's own limits hold one process's address space; this checks what they do not: threads, the scratch
directory where it has no mount of its own, shares of the CPU, and what all sessions hold together.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from agent.sandbox.inside import nameless_files, scratch
from agent.sandbox.inside.layers.layers import Layers
from agent.sandbox.inside.shares import Shares
from agent.sandbox.protocol import ZygoteSettings

PERIOD = 0.1  # seconds
_PAGE = os.sysconf("SC_PAGE_SIZE")
_RESERVE = 0.04  # share of the host's memory that sessions leave free
_DISK_RESERVE = 256 << 20  # bytes of the scratch directories' file system that sessions leave free
_STATE, _FAULTS, _USER, _SYSTEM, _THREADS, _RESIDENT = 0, 7, 11, 12, 17, 21  # in /proc/PID/stat after the name


@dataclass(frozen=True, slots=True)
class SessionUsage:
    """What one session holds, in bytes and threads, and the page faults and ticks of CPU time that it has had so far.

    `runnable`: its first thread has or wants a CPU. `headless`: its first thread has ended, but others have not,
    and the kernel no longer shows what they hold.
    """

    memory: int
    threads: int
    faults: int
    ticks: int
    runnable: bool
    headless: bool


class SessionWatch:
    """Looks at sessions, given as slot -> process id."""

    def __init__(self, settings: ZygoteSettings, layers: Layers) -> None:
        self._settings = settings
        self._layers = layers
        self._last: dict[int, SessionUsage] = {}
        self._files: dict[int, int] = {}  # bytes of memory for files, by slot
        self._entries: dict[int, int] = {}  # in its scratch directory, by slot
        self._shares = Shares()
        self._born_with = _usage(layers, os.getpid())
        self._mapped: set[int] = set()
        if layers.shows_files:
            with contextlib.suppress(OSError):
                self._mapped = nameless_files.mapped_inodes(layers, os.getpid())

    def offenders(self, sessions: dict[int, int]) -> dict[int, str]:
        """The slots of sessions to be ended now, with the reason that is shown to the model."""
        used = {slot: usage for slot, pid in sessions.items() if (usage := _usage(self._layers, pid))}
        last, self._last = self._last, used
        found: dict[int, str] = {}
        for slot, usage in used.items():
            before = last.get(slot)
            if before and before.headless and usage.headless:  # for a moment, any process that ends is
                found[slot] = "its main thread had ended, but other threads had not"
            elif usage != before:
                self._files[slot] = self._layers.files_in_memory(sessions[slot])
                if reason := self._reason(slot, sessions[slot], usage):
                    found[slot] = reason
        self._share_cpu(sessions, used)
        own = {slot: self._own_memory(usage) + self._files[slot] for slot, usage in used.items() if slot not in found}
        if own and (sum(own.values()) > self._settings.total_memory or self._host_is_short()):
            found[max(own, key=lambda slot: own[slot])] = "all sessions together used too much memory"
        return found

    def entries(self, slot: int) -> int:
        """How many entries the scratch directory of a session that has ended had when it was last looked at."""
        return self._entries.pop(slot, 0)

    def disk_is_short(self) -> bool:
        """Whether the file system of the scratch directories is nearly full."""
        disk = os.statvfs(self._settings.base)
        return disk.f_bavail * disk.f_frsize < _DISK_RESERVE

    def _share_cpu(self, sessions: dict[int, int], used: dict[int, SessionUsage]) -> None:
        slots = {sessions[slot]: slot for slot in used}
        ticks = {sessions[slot]: usage.ticks for slot, usage in used.items()}
        runnable = {sessions[slot] for slot, usage in used.items() if usage.runnable}
        for pid in self._shares.greedy(ticks, runnable):
            self._shares.lower_priority(self._layers, slots[pid], pid)

    def _reason(self, slot: int, pid: int, usage: SessionUsage) -> str:
        limits = self._settings
        if self._own_memory(usage) > limits.memory:
            return f"it used more than {limits.memory >> 20} MiB of memory"
        if usage.threads > limits.threads:
            return f"it started more than {limits.threads} threads"
        if self._layers.active("mounts"):
            return ""
        with self._layers.as_user(slot):
            written = scratch.usage(self._layers.scratch(slot), limits.entries)
            if self._layers.shows_files:
                written.size += nameless_files.nameless_bytes(self._layers, pid, limits.file, self._mapped)
        self._entries[slot] = written.entries
        return self._reason_of_files(written)

    def _reason_of_files(self, written: scratch.ScratchUsage) -> str:
        limits = self._settings
        if written.size > limits.scratch:
            return f"it wrote more than {limits.scratch >> 20} MiB of files"
        if written.entries > limits.entries:
            return f"it made more than {limits.entries} files"
        if written.closed:
            return "it closed a folder to itself, so that its files could not be counted"
        if written.size > limits.scratch // 4 and self.disk_is_short():
            return "the disk is full"
        return ""

    def _own_memory(self, usage: SessionUsage) -> int:
        born_with = self._born_with.memory if self._born_with else 0
        return max(0, usage.memory - born_with)

    def _host_is_short(self) -> bool:
        try:
            lines = self._layers.read_proc("meminfo").splitlines()
        except OSError:
            return False
        kib = {line.split(b":")[0]: int(line.split()[1]) for line in lines[:3]}
        return kib[b"MemAvailable"] < _RESERVE * kib[b"MemTotal"]


def _usage(layers: Layers, pid: int) -> SessionUsage | None:
    """The usage of a process; None where it has exited."""
    try:
        fields = layers.read_proc(f"{pid}/stat").rpartition(b")")[2].split()
        threads = int(fields[_THREADS])
        return SessionUsage(
            memory=int(fields[_RESIDENT]) * _PAGE,
            threads=threads,
            faults=int(fields[_FAULTS]),
            ticks=int(fields[_USER]) + int(fields[_SYSTEM]),
            runnable=fields[_STATE] == b"R",
            headless=fields[_STATE] == b"Z" and threads > 1,
        )
    except (OSError, IndexError):
        return None
