"""The fork server: a process with the libraries loaded, of which every session is a fork.

Its messages to and from the controller are in `agent.sandbox.protocol`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from agent.sandbox.inside import pools, rehearsal, scratch, warm
from agent.sandbox.inside.descriptors import open_null
from agent.sandbox.inside.layers import rlimits
from agent.sandbox.inside.layers.layers import NICE, SLOTS, Layers
from agent.sandbox.inside.session import child, event_loops
from agent.sandbox.inside.watch import PERIOD, SessionWatch
from agent.sandbox.protocol import (
    EndSession,
    SessionEnded,
    SessionFailed,
    SessionStarted,
    StartSession,
    ZygoteMessage,
    ZygoteReady,
    ZygoteRefused,
    ZygoteSettings,
    decode_message,
    encode_message,
)

_WIPE_SECONDS = 0.002  # in a row, after which other work gets its turn
_MOST_DEAD = 32  # sessions whose files are still there; beyond that, new ones wait
_REAP_INTERVAL_SECONDS = 0.002  # between two looks at sessions that have been killed
_SHUTDOWN_SECONDS = 10.0  # for all sessions to end


@dataclass(slots=True)
class _Session:
    number: int
    slot: int
    pid: int
    why: str = ""
    ending: bool = False
    dying: bool = False


@dataclass(frozen=True, slots=True)
class _Start:
    """A requested session, and the descriptors that it will get."""

    number: int
    control: int
    output: int

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self.control)
        os.close(self.output)


@dataclass(frozen=True, slots=True)
class _Dead:
    """The files of a dead session: how many the watch had seen, and the steps of removing them."""

    slot: int
    entries: int
    steps: Iterator[None]


class Zygote:
    """Forks sessions, watches them and removes what they leave behind, until the controller is gone."""

    def __init__(self, settings: ZygoteSettings) -> None:
        self._settings = settings
        self._control = socket.socket(fileno=settings.control)
        self._parent = os.getppid()
        self._sessions: dict[int, _Session] = {}
        self._slots = list(range(SLOTS - 1, -1, -1))
        self._wiping: list[_Dead] = []
        self._starts: deque[_Start] = deque()
        self._text = b""
        self._descriptors: list[int] = []
        self._layers = Layers(settings)
        if self._layers.refusal:
            self._say(ZygoteRefused(self._layers.refusal))
            sys.exit(1)
        self._layers.share_cpu(0)
        missing_libraries = warm.load_libraries()
        pools.replace_pools()
        event_loops.replace_run()
        rehearsal.adapt_bytecode()
        self._libraries = [name for name in warm.LIBRARIES if name not in missing_libraries]
        rlimits.grow_stack()
        self._layers.enter_zygote()
        self._layers.share_cpu(NICE)
        self._watch = SessionWatch(settings, self._layers)
        self._base_memory = self._address_space()
        self._say(ZygoteReady(self._layers.missing, missing_libraries))

    def loop(self) -> None:
        """Serve until the controller closes its end or dies."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        next_look = 0.0
        while os.getppid() == self._parent:
            if poll.poll(self._pause() * 1_000) and not self._receive():
                break
            self._reap()
            self._wipe()
            self._start_waiting()
            if (began := time.monotonic()) >= next_look:
                self._look()
                ended = time.monotonic()
                next_look = ended + max(PERIOD, ended - began)  # half of the time at least is for the rest
        self._end_all()

    def _pause(self) -> float:
        """The seconds for which there is nothing to do unless a request comes."""
        if self._wiping:
            return 0.0
        if any(session.ending for session in self._sessions.values()):
            return _REAP_INTERVAL_SECONDS
        return PERIOD if self._sessions else 1.0

    def _receive(self) -> bool:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, 65_536, 64)
        except ConnectionError:
            return False
        self._descriptors += descriptors
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            match decode_message(line):
                case EndSession(number):
                    self._end(number)
                case StartSession(number) if len(self._descriptors) < 2:  # none were free for what was sent
                    self._say(SessionFailed(number, "no process could be started: too many files are open"))
                case StartSession(number):
                    control, output, *self._descriptors = self._descriptors
                    self._starts.append(_Start(number, control, output))
        self._start_waiting()
        return bool(data)

    def _start_waiting(self) -> None:
        """Start the requested sessions, unless so many files of dead sessions are left that these come first."""
        while self._starts and not self._is_behind():
            self._start(self._starts.popleft())

    def _is_behind(self) -> bool:
        return len(self._wiping) > _MOST_DEAD or (bool(self._wiping) and self._watch.disk_is_short())

    def _start(self, asked: _Start) -> None:
        number = asked.number
        if not self._slots:
            self._say(SessionFailed(number, f"no process could be started: there are {SLOTS} already"))
        else:
            try:
                pid = self._layers.fork()
            except OSError as error:
                self._say(SessionFailed(number, f"no process could be started: {error}"))
            else:
                slot = self._slots.pop()
                if pid == 0:
                    self._become_session(slot, asked)
                self._sessions[number] = _Session(number, slot, pid)
                self._say(SessionStarted(number, pid))
        asked.close()

    def _become_session(self, slot: int, asked: _Start) -> None:
        """In the child: take the layers, then run cells. Never returns."""
        try:
            try:
                self._close_waiting()
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                for target, descriptor in enumerate((open_null(), asked.output, asked.output)):
                    os.dup2(descriptor, target)
                self._layers.enter_session(slot, self._base_memory)
            except Exception as error:  # noqa: BLE001 - whatever it is, the controller is to hear of it
                os.write(asked.control, f"a session could not be closed in: {error}".encode())
                os._exit(1)
            self._control.detach()
            os.dup2(asked.control, child.CONTROL)
            os.closerange(child.CONTROL + 1, 1_024)
            sys.argv = [""]
            sys.path.append("")  # the working directory: the last, so that no file in it stands for a library
            child.serve_cells(self._libraries, self._settings.memory)
        finally:
            os._exit(1)  # the child must not become a second zygote

    def _end(self, number: int) -> None:
        session = self._sessions.get(number)
        if session is None:
            self._forget_start(number)
            self._say(SessionEnded(number, 0, ""))
            return
        session.ending = True
        self._kill(session)

    def _forget_start(self, number: int) -> None:
        for asked in [asked for asked in self._starts if asked.number == number]:
            self._starts.remove(asked)
            asked.close()

    def _close_waiting(self) -> None:
        """In the child: close the descriptors of sessions to come, which would count towards its open files."""
        for asked in self._starts:
            asked.close()
        for descriptor in self._descriptors:
            os.close(descriptor)

    def _kill(self, session: _Session) -> None:
        session.dying = True
        for send in (os.killpg, os.kill):  # the group first: where nothing forbids it, a session may have forked
            with contextlib.suppress(OSError):
                send(session.pid, signal.SIGKILL)

    def _reap(self) -> None:
        """Reap the dead sessions that the controller has asked to end, and report them.

        A dead session that the controller still counts on stays a zombie, so that its number stays taken.
        """
        for session in [session for session in self._sessions.values() if session.ending]:
            pid, status = os.waitpid(session.pid, os.WNOHANG)
            if not pid:
                continue
            del self._sessions[session.number]
            if self._layers.active("mounts"):
                self._slots.append(session.slot)
            else:
                steps = scratch.wiping(self._layers.scratch(session.slot))
                self._wiping.append(_Dead(session.slot, self._watch.entries(session.slot), steps))
            self._say(SessionEnded(session.number, status, session.why))

    def _wipe(self) -> None:
        """Remove files of dead sessions for a moment, those of few files first, which free the most at once.

        A slot that could not be emptied is used no more.
        """
        until = time.monotonic() + _WIPE_SECONDS
        while self._wiping and time.monotonic() < until:
            dead = self._wiping[0]
            try:
                next(dead.steps)
            except StopIteration:
                self._slots.append(dead.slot)
            except OSError:
                pass
            else:
                continue
            del self._wiping[0]
            self._wiping.sort(key=lambda dead: dead.entries)

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
        deadline = time.monotonic() + _SHUTDOWN_SECONDS
        while self._sessions and time.monotonic() < deadline:
            self._reap()
            time.sleep(_REAP_INTERVAL_SECONDS)
        if not self._layers.active("mounts"):
            with contextlib.suppress(OSError):  # the controller tries again
                scratch.wipe(self._settings.base)

    def _say(self, message: ZygoteMessage) -> None:
        with contextlib.suppress(ConnectionError):  # the loop will see that the controller is gone
            self._control.sendall(encode_message(message))

    def _address_space(self) -> int:
        try:
            pages = int(self._layers.read_proc(f"{os.getpid()}/statm").split()[0])
        except OSError:
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")


def serve_zygote(settings_text: str) -> None:
    """Be a zygote with these settings until the controller is gone."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the closing of the socket ends it, and nothing else in order
    zygote = Zygote(ZygoteSettings.from_json(settings_text))
    zygote.loop()
