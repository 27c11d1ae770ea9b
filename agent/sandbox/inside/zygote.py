"""The fork server: a process with the libraries loaded, of which every session is a fork.

The controller sends one JSON object a line on a socket: `{"start": n}` with two descriptors (the session's
socket and its output pipe), or `{"end": n}`; n is a number that it never uses twice. The answers are
`{"started": n, "pid": p}`, or `{"failed": n, "why": text}`, and, when nothing of it is left,
`{"ended": n, "status": wait status, "why": text}`. The first line says
`{"missing": layers, "libraries": names}`, or `{"refused": why}`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any

from agent.sandbox.inside import child, event_loops, pools, rlimits, scratch, warm
from agent.sandbox.inside.layers import NICE, SLOTS, Layers
from agent.sandbox.inside.settings import Settings
from agent.sandbox.inside.watch import PERIOD, Watch


@dataclass(slots=True)
class _Session:
    number: int
    slot: int
    pid: int
    why: str = ""
    ending: bool = False
    dying: bool = False


class Zygote:
    """Forks sessions, watches them and buries them, until the controller is gone."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._control = socket.socket(fileno=settings.control)
        self._parent = os.getppid()
        self._sessions: dict[int, _Session] = {}
        self._slots = list(range(SLOTS - 1, -1, -1))
        self._text = b""
        self._descriptors: list[int] = []
        self._layers = Layers(settings)
        if self._layers.refusal:
            self._say(refused=self._layers.refusal)
            sys.exit(1)
        self._layers.share_cpu(0)
        missing_libraries = warm.load()
        pools.replace_pools()
        event_loops.replace_run()
        self._libraries = [name for name in warm.LIBRARIES if name not in missing_libraries]
        rlimits.grow_stack()
        self._layers.enter_zygote()
        self._layers.share_cpu(NICE)
        self._watch = Watch(settings, self._layers)
        self._base_memory = self._address_space()
        self._say(missing=self._layers.missing, libraries=missing_libraries)

    def loop(self) -> None:
        """Serve until the controller closes its end or dies."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        next_look = 0.0
        while os.getppid() == self._parent:
            dying = any(session.dying for session in self._sessions.values())
            wait = 0.002 if dying else PERIOD if self._sessions else 1.0
            if poll.poll(wait * 1_000) and not self._receive():
                break
            self._bury()
            if time.monotonic() >= next_look:
                self._look()
                next_look = time.monotonic() + PERIOD
        self._end_all()

    def _receive(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._control, 65_536, 64)
        self._descriptors += descriptors
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            request: dict[str, int] = json.loads(line)
            if "start" in request:
                self._start(request["start"], self._descriptors.pop(0), self._descriptors.pop(0))
            else:
                self._end(request["end"])
        return bool(data)

    def _start(self, number: int, control: int, output: int) -> None:
        try:
            slot = self._slots.pop()
            pid = self._layers.fork()
        except (IndexError, OSError) as error:
            self._say(failed=number, why=f"no process could be started: {error}")
        else:
            if pid == 0:
                self._become_session(slot, control, output)
            self._sessions[number] = _Session(number, slot, pid)
            self._say(started=number, pid=pid)
        os.close(control)
        os.close(output)

    def _become_session(self, slot: int, control: int, output: int) -> None:
        """In the child: take the layers, then run cells. Never returns."""
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            for target, descriptor in enumerate((os.open("/dev/null", os.O_RDWR), output, output)):
                os.dup2(descriptor, target)
            self._layers.enter_session(slot, self._base_memory)
        except OSError as error:
            os.write(control, f"a session could not be closed in: {error}".encode())
            os._exit(1)
        self._control.detach()
        os.dup2(control, child.CONTROL)
        os.closerange(child.CONTROL + 1, 1_024)
        sys.argv = [""]
        try:
            child.serve(self._libraries)
        finally:
            os._exit(1)

    def _end(self, number: int) -> None:
        session = self._sessions.get(number)
        if session is None:
            self._say(ended=number, status=0, why="")
            return
        session.ending = True
        self._kill(session)

    def _kill(self, session: _Session) -> None:
        session.dying = True
        for send in (
            os.killpg,
            os.kill,
        ):  # the group first: where nothing forbids it, a session may have forked
            try:
                send(session.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue

    def _bury(self) -> None:
        """Take note of the dead; those that the controller has given up are reaped and their traces removed.

        A dead session that the controller still counts on stays a zombie, so that its number stays taken.
        """
        for session in [session for session in self._sessions.values() if session.ending]:
            pid, status = os.waitpid(session.pid, os.WNOHANG)
            if not pid:
                continue
            if not self._layers.active("mounts"):
                scratch.wipe(self._layers.scratch(session.slot))
            del self._sessions[session.number]
            self._slots.append(session.slot)
            self._say(ended=session.number, status=status, why=session.why)

    def _look(self) -> None:
        by_slot = {session.slot: session for session in self._sessions.values() if not session.dying}
        found = self._watch.offenders({slot: session.pid for slot, session in by_slot.items()})
        for slot, why in found.items():
            by_slot[slot].why = why
            self._kill(by_slot[slot])

    def _end_all(self) -> None:
        for session in self._sessions.values():
            session.ending = True
            self._kill(session)
        deadline = time.monotonic() + 10
        while self._sessions and time.monotonic() < deadline:
            self._bury()
            time.sleep(0.002)
        if not self._layers.active("mounts"):
            scratch.wipe(self._settings.base)

    def _say(self, **message: Any) -> None:
        try:
            self._control.sendall(json.dumps(message).encode() + b"\n")
        except BrokenPipeError:
            return  # the loop will see that the controller is gone

    def _address_space(self) -> int:
        try:
            pages = int(self._layers.read_proc(f"{os.getpid()}/statm").split()[0])
        except OSError:
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")


def serve(settings_text: str) -> None:
    """Be the zygote of the given settings until the controller is gone."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the closing of the socket ends it, and nothing else in order
    zygote = Zygote(Settings.from_json(settings_text))
    zygote.loop()
