"""The layers around a session: each is probed once, then applied to every session in the same order."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.sandbox.inside.layers import kernel, landlock, rlimits, rootfs, seccomp
from agent.sandbox.inside.layers.trials import why_not
from agent.sandbox.protocol import ZygoteSettings

LAYER_NAMES = (
    "pids",
    "network",
    "ipc",
    "mounts",
    "uid",
    "rlimits",
    "pdeathsig",
    "no_new_privs",
    "landlock",
    "seccomp",
)
REQUIRED = ("rlimits", "no_new_privs", "seccomp")  # without these, no session is safe enough to be started
SLOTS = 1_000
NICE = 5  # sessions against everything outside
_NICE_IN_GROUP = 10  # sessions against the zygote, where the group itself yields
_SEES_TRUNCATE = 3  # the version from which on Landlock covers truncate(2)


class Layers:
    """`missing` gives, for each layer that does not work here, the reason."""

    def __init__(self, settings: ZygoteSettings) -> None:
        self.settings = settings
        self.missing: dict[str, str] = dict.fromkeys(settings.without, "switched off")
        self._nice = NICE
        self._processes = os.open("/proc", os.O_RDONLY) if Path("/proc/self").exists() else -1
        self._own_pids = _open_namespace("pid")
        self._first_user = _first_user()
        self._zygote = -1
        self._probe()

    @property
    def refusal(self) -> str:
        """Why no session can run here, "" if one can. Systems other than Linux run with the layers they have."""
        lacking = [f"{name} ({self.missing[name]})" for name in REQUIRED if name in self.missing]
        return f"this system lacks {', '.join(lacking)}" if lacking and sys.platform == "linux" else ""

    def active(self, name: str) -> bool:
        """Whether sessions have this layer."""
        return name not in self.missing

    def _probe(self) -> None:
        trials: dict[str, Callable[[], None]] = {
            "pids": lambda: kernel.unshare(kernel.CLONE_NEWPID),
            "network": lambda: kernel.unshare(kernel.CLONE_NEWNET),
            "ipc": lambda: kernel.unshare(kernel.CLONE_NEWIPC),
            "mounts": self._try_mounts,
            "uid": self._try_user,
            "rlimits": lambda: rlimits.apply(self.settings, 1 << 40, own_user=False),
            "pdeathsig": lambda: kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL),
            "no_new_privs": lambda: kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1),
            "landlock": self._try_landlock,
            "seccomp": self._try_seccomp,
        }
        for name, trial in trials.items():
            if sys.platform != "linux" and name != "rlimits":
                self.missing[name] = f"{sys.platform} has no such thing"
            elif self.active(name) and (reason := why_not(trial)):
                self.missing[name] = reason

    def enter_zygote(self) -> None:
        """Apply the layers that all sessions share, and prepare what is the same for each."""
        self._zygote = os.getpid()
        with contextlib.suppress(OSError):  # no memory in a dump, should the system make one in spite of the limit
            self._write_proc("self/coredump_filter", b"0")
        rootfs.readable_paths()
        if self.active("seccomp"):
            self._compile_filter()
        for name, flag in (("network", kernel.CLONE_NEWNET), ("ipc", kernel.CLONE_NEWIPC)):
            if self.active(name):
                kernel.unshare(flag)
        if self.active("mounts"):
            parent = os.open(Path(self.settings.base).parent, os.O_RDONLY)
            rootfs.enter(self.settings.base)
            os.rmdir(Path(self.settings.base).name, dir_fd=parent)  # no longer needed out there
            os.close(parent)

    def fork(self) -> int:
        """Fork; where possible, the child is the first process of a new pid namespace."""
        if not self.active("pids"):
            return os.fork()
        kernel.unshare(kernel.CLONE_NEWPID)
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid:  # the parent, also where there could be no child
                kernel.setns(self._own_pids, kernel.CLONE_NEWPID)
        return pid

    def read_proc(self, name: str) -> bytes:
        """Read the start of a file of /proc, even if this process's root has no /proc. Raises OSError."""
        descriptor = self.open_proc(name)
        try:
            return os.read(descriptor, 4_096)
        finally:
            os.close(descriptor)

    def open_proc(self, name: str) -> int:
        """Open a file or directory of /proc; the caller closes the descriptor. Raises OSError."""
        return os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._processes)

    def files_in_memory(self, pid: int) -> int:
        """Bytes of memory that the files of a session take; 0 where they are on a disk, or the session has ended."""
        if not self.active("mounts"):
            return 0
        try:
            descriptor = self.open_proc(f"{pid}/root{rootfs.SCRATCH}")
            try:
                found = os.fstatvfs(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            return 0
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    @property
    def shows_files(self) -> bool:
        """Whether the zygote may inspect the open files of a session, as it does where scratch is no mount.

        Sessions must be dumpable for that, so another process of the same user that can open their /proc entries
        could read their memory.
        """
        return not self.active("mounts") and (self.active("uid") or self.active("landlock"))

    @contextlib.contextmanager
    def as_user(self, slot: int) -> Iterator[None]:
        """Act as the user of a session, who may inspect its processes without any privilege."""
        group, user = os.getegid(), os.geteuid()
        try:
            if self.active("uid"):
                os.setegid(self.user(slot))
                os.seteuid(self.user(slot))
            yield
        finally:
            if self.active("uid"):
                os.seteuid(user)
                os.setegid(group)

    def share_cpu(self, less: int) -> None:
        """Where the kernel schedules by autogroups, take the nice value of the parent's, raised by `less`."""
        with contextlib.suppress(OSError, IndexError):  # not every kernel does
            parent = int(self.read_proc(f"{os.getppid()}/autogroup").split()[-1])
            self._write_proc("self/autogroup", str(min(parent + less, 19)).encode())
            self._nice = _NICE_IN_GROUP

    def user(self, slot: int) -> int:
        """The user id of the session in a slot."""
        return self._first_user + slot if self.active("uid") else os.geteuid()

    def scratch(self, slot: int) -> str:
        """The path of a session's scratch directory, as it sees it."""
        return rootfs.SCRATCH if self.active("mounts") else f"{self.settings.base}/{slot}"

    def enter_session(self, slot: int, base_memory: int) -> None:
        """Apply all layers of a session in a fresh child. Raises OSError: the child must not continue then."""
        os.setpgid(0, 0)
        self._make_scratch(slot)
        if self.active("rlimits"):
            rlimits.apply(self.settings, base_memory, own_user=self.active("uid"))
        self._lower_priority()  # late, so that other sessions do not hold up its start
        self._drop_privileges(self.user(slot))
        if self.active("pdeathsig"):  # changing the user clears it, so after that
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
            if self._parent_now() != self._zygote:
                raise ProcessLookupError("the zygote is gone")  # before it could take this process along
        self._lock_down(self.scratch(slot))

    def _parent_now(self) -> int:
        """The parent's process id, which getppid does not tell in a pid namespace of its own."""
        if not self.active("pids"):
            return os.getppid()
        return int(self.read_proc("self/stat").rpartition(b")")[2].split()[1])

    def _lower_priority(self) -> None:
        os.nice(self._nice)
        if hasattr(os, "SCHED_BATCH"):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        if self._processes >= 0:
            self._write_proc("self/oom_score_adj", b"1000")

    def _write_proc(self, name: str, value: bytes) -> None:
        descriptor = os.open(name, os.O_WRONLY, dir_fd=self._processes)
        try:
            os.write(descriptor, value)
        finally:
            os.close(descriptor)

    def _make_scratch(self, slot: int) -> None:
        path, user = self.scratch(slot), self.user(slot)
        if self.active("mounts"):
            rootfs.mount_scratch(self.settings.scratch, self.settings.entries, user)
        else:
            unnamed = f"{path}.new"  # the watch must not find it before its user may enter it
            Path(unnamed).mkdir(mode=0o700, exist_ok=True)
            if self.active("uid"):
                os.chown(unnamed, user, user)
            Path(unnamed).rename(path)
        os.chdir(path)
        os.environ.update(HOME=path, TMPDIR=path, MPLCONFIGDIR=path)

    def _drop_privileges(self, user: int) -> None:
        if self.active("uid"):
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        elif sys.platform == "linux":
            kernel.drop_capabilities()

    def _lock_down(self, scratch: str) -> None:
        if self.active("no_new_privs"):
            kernel.prctl(kernel.PR_SET_DUMPABLE, int(self.shows_files))
            kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        if self.active("landlock"):
            landlock.restrict(rootfs.readable_paths(), scratch, rootfs.DEVICE_FILES)
        if self.active("seccomp"):
            kernel.install_filter(self._compile_filter())

    def _compile_filter(self) -> bytes:
        guard = not (self.active("landlock") and landlock.version() >= _SEES_TRUNCATE)
        private = self.active("uid") or self.active("mounts")
        return seccomp.compile_filter(os.getpid(), private_files=private, guard_truncate=guard)

    def _try_mounts(self) -> None:
        rootfs.enter(self.settings.base)
        rootfs.mount_scratch(1 << 20, 16, os.geteuid())

    def _try_user(self) -> None:
        if os.geteuid() != 0:
            raise OSError("only root can change the user")
        if self._first_user < 0:
            raise OSError("this container has no spare user ids")
        if self.active("mounts"):
            rootfs.enter(self.settings.base)
        path, user = f"{self.settings.base}/try", self._first_user
        if not self.active("mounts"):
            Path(path).mkdir(mode=0o700)
            os.chown(path, user, user)
            Path(path).rmdir()
        own_files = (os.__file__, *(sysconfig.get_path(name) for name in ("purelib", "platstdlib")))
        self._drop_privileges(user)
        for name in own_files:
            if not os.access(name, os.R_OK):
                raise OSError(f"another user could not read Python's own files, such as {name}")

    def _try_landlock(self) -> None:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        landlock.restrict(rootfs.readable_paths(), self.settings.base, rootfs.DEVICE_FILES)

    def _try_seccomp(self) -> None:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        try:
            program = self._compile_filter()
        except KeyError:
            raise OSError(f"the system calls of {platform.machine()} are not known here") from None
        kernel.install_filter(program)
        try:
            os.fork()
        except PermissionError:
            return
        raise OSError("the filter has no effect")


def _open_namespace(kind: str) -> int:
    path = Path(f"/proc/self/ns/{kind}")
    return os.open(path, os.O_RDONLY) if path.exists() else -1


def _first_user() -> int:
    """The first of a range of user ids that nobody else is likely to use; -1 where none is mapped."""
    mapping = Path("/proc/self/uid_map")
    if not mapping.exists():
        return -1
    mapped = [tuple(map(int, line.split())) for line in mapping.read_text().splitlines()]
    for candidate in (1_900_000_000 + os.getpid() % 100_000 * SLOTS, 64_000):
        if any(first <= candidate and candidate + SLOTS <= first + count for first, _, count in mapped):
            return candidate
    return -1
