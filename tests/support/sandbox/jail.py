"""A throw-away jail for hostile cells: own processes, network and files, little memory."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

REPO = Path(__file__).parents[3]
HOME = "/home/tester"
USER = 12_345
_MEMORY = 6 << 30
_PROCESSES = 600
_DOCKER_CAPABILITIES = (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID "
    "SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE "
)
_EPERM, _ENOSYS = 0x0005_0000 | 1, 0x0005_0000 | 38
_NAMESPACE_FLAGS = 0x7E02_0000
# unshare setns mount umount2 pivot_root keyctl bpf perf_event_open userfaultfd open_tree fsopen mount_setattr
_DOCKER_DENIES = {
    "x86_64": (272, 308, 165, 166, 155, 250, 321, 298, 323, 428, 430, 442),
    "aarch64": (97, 268, 40, 39, 41, 219, 280, 241, 282, 428, 430, 442),
}
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3 = 435


class Rights(StrEnum):
    """As whom the sandbox runs inside the jail."""

    ROOT = "root"
    DOCKER = "docker"  # root with Docker's capabilities and seccomp profile
    DOCKER_CLOSED = "docker, Python under a closed home"
    USER = "user"


def missing() -> str:
    """Why there can be no jail here, or nothing."""
    if sys.platform != "linux" or shutil.which("bwrap") is None:
        return "hostile cells run only inside a bubblewrap jail, which needs Linux and bwrap"
    if os.geteuid() != 0:
        return "the jail plays root and other users, which only root can set up"
    tried = subprocess.run([*command(Rights.ROOT, ["true"])], capture_output=True, text=True, check=False, timeout=30)
    return f"bubblewrap does not work here: {tried.stderr.strip()}" if tried.returncode else ""


def command(rights: Rights, inner: Sequence[str], *, profile: int = -1, binds: Sequence[str] = ()) -> list[str]:
    """The command that runs `inner` in a jail; `profile` is a descriptor with `docker_profile()`."""
    jail = "bwrap --unshare-pid --unshare-net --unshare-ipc --unshare-uts --new-session --die-with-parent"
    parts = [*jail.split(), "--clearenv", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    for path, size in (("/tmp", 512 << 20), ("/home", 64 << 20), ("/root", 1 << 20)):
        if Path(path).is_dir():
            mode = (
                "1777" if path == "/tmp" else "0700" if rights is Rights.DOCKER_CLOSED and path == "/root" else "0755"
            )
            parts += ["--perms", mode, "--size", str(size), "--tmpfs", path]
    for path in (str(REPO), sys.base_prefix, sys.prefix, *binds):
        if path.startswith(("/tmp/", "/home/", "/root/")):
            for parent in reversed(Path(path).parents[:-2]):
                parts += ["--perms", "0755", "--dir", str(parent)]
            parts += ["--ro-bind", path, path]
    parts += ["--perms", "0755", "--dir", HOME, "--chdir", "/"]
    parts += ["--setenv", "PATH", "/usr/sbin:/usr/bin:/sbin:/bin", "--setenv", "HOME", HOME]
    parts += ["--setenv", "KAGGLE_KEY", "SEKRIT-from-the-environment", "--setenv", "LANG", "C.UTF-8"]
    return [*parts, *_rights(rights, profile), "--", *_as_user(rights), *inner]


def _rights(rights: Rights, profile: int) -> list[str]:
    match rights:
        case Rights.ROOT:
            return ["--cap-add", "ALL"]
        case Rights.USER:
            return [part for name in ("SETUID", "SETGID", "SETPCAP", "CHOWN") for part in ("--cap-add", f"CAP_{name}")]
        case _:
            capabilities = [part for name in _DOCKER_CAPABILITIES.split() for part in ("--cap-add", f"CAP_{name}")]
            return [
                "--cap-drop",
                "ALL",
                *capabilities,
                *(["--seccomp", str(profile)] if profile >= 0 else []),
            ]


def _as_user(rights: Rights) -> list[str]:
    if rights is not Rights.USER:
        return []
    chown = f'chown {USER}:{USER} {HOME} && exec "$@"'
    drop = f"setpriv --reuid={USER} --regid={USER} --clear-groups --inh-caps=-all --bounding-set=-all --"
    return ["sh", "-c", chown, "sh", *drop.split()]


def docker_profile() -> bytes:
    """A classic BPF program that refuses what Docker's profile refuses to a container."""
    machine = platform.machine()
    program = [(0x20, 0, 0, 0)]  # load the number
    program += [(0x15, 0, 1, _CLONE3), (0x06, 0, 0, _ENOSYS)]
    for number in _DOCKER_DENIES[machine]:
        program += [(0x15, 0, 1, number), (0x06, 0, 0, _EPERM)]
    program += [(0x15, 0, 3, _CLONE[machine]), (0x20, 0, 0, 16), (0x45, 0, 1, _NAMESPACE_FLAGS)]
    program += [(0x06, 0, 0, _EPERM), (0x06, 0, 0, 0x7FFF_0000)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


@contextlib.contextmanager
def run(rights: Rights, inner: Sequence[str], binds: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """A process in a jail, its streams being pipes; leaving the context ends all in the jail."""
    groups = _control_groups()
    with tempfile.TemporaryFile() as profile:
        profile.write(docker_profile())
        profile.seek(0)
        docker = rights in (Rights.DOCKER, Rights.DOCKER_CLOSED)
        jailed = subprocess.Popen(
            command(rights, inner, profile=profile.fileno() if docker else -1, binds=binds),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[profile.fileno()] if docker else [],
            preexec_fn=lambda: _limit(groups),
        )
    try:
        with jailed:
            try:
                yield jailed
            finally:
                jailed.kill()
    finally:
        for group in groups:
            with contextlib.suppress(OSError):
                group.rmdir()


def _control_groups() -> list[Path]:
    """Fresh control groups (version 1) that bound memory and processes, where they can be had."""
    groups = []
    for controller, name, value in (
        ("memory", "memory.limit_in_bytes", _MEMORY),
        ("pids", "pids.max", _PROCESSES),
    ):
        group = Path(f"/sys/fs/cgroup/{controller}/sandbox-tests-{os.getpid()}-{os.urandom(4).hex()}")
        try:
            group.mkdir()
            (group / name).write_text(str(value))
        except OSError:
            continue
        groups.append(group)
    return groups


def _limit(groups: Sequence[Path]) -> None:
    for group in groups:
        (group / "cgroup.procs").write_text(str(os.getpid()))
    resource.setrlimit(resource.RLIMIT_NPROC, (_PROCESSES, _PROCESSES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
