"""Hostile cells, each in a throw-away jail, run as root, as root in a container, and as a user."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.sandbox import jail
from tests.support.sandbox.hostile import check
from tests.support.sandbox.jail import Rights

_SUITES = [jail.REPO.parent / "shared" / "sandbox" / f"{name}.py" for name in ("hostile", "hostile_more")]

# Attacks beyond the suite's, each on a part of this sandbox that could be forgotten.
_ANY = ["ok", "error", "killed", "timeout"]
_OWN: list[dict[str, Any]] = [
    {"name": name, "cat": "own", "code": code, "timeout": 1, "expect": _ANY, **more}
    for name, code, more in (
        ("fork_bomb", "import os\nwhile True: os.fork()", {}),
        ("kill_all", "import os\nos.kill(-1, 9)", {}),
        ("kill_group", "import os\nos.kill(0, 9)", {}),
        ("limits_of_parent", "import os, resource as r\nr.prlimit(os.getppid(), r.RLIMIT_CPU, (0, 0))", {}),
        ("own_cpu_limit", "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 1))", {}),
        ("owner_signal", "import fcntl as f, os\nr, w = os.pipe()\nf.fcntl(r, f.F_SETOWN, os.getppid())", {}),
        ("audit_hook", "import sys\nsys.addaudithook(lambda *a: 1 / 0)", {}),
        ("recursion_low", "import sys\nsys.setrecursionlimit(40)", {}),
        ("forged_end", "import os\nos.write(3, b'CELL' + bytes(9))\nwhile True: pass", {"quiet": True}),
        ("control_eaten", "import os\nos.dup2(os.open('/dev/null', os.O_RDWR), 3)", {}),
        ("output_replaced", "import os\nos.dup2(os.open('f', os.O_RDWR | os.O_CREAT), 1)", {}),
        ("thread_burns", "import threading\ndef f():\n  while True: pass\nthreading.Thread(target=f).start()",
         {"quiet": True}),
        ("thread_hogs", "import threading\nx = []\ndef f():\n  while True: x.append('y' * 10**6)\n"
         "threading.Thread(target=f).start()", {"quiet": True}),
        ("alarm_later", "import signal\nsignal.setitimer(signal.ITIMER_PROF, 0.01)", {}),
        ("parser_gone", "import ast\nast.parse = None", {}),
        ("streams_gone", "import io\nio.TextIOWrapper = io.FileIO = None", {}),
        ("modules_gone", "import sys\nsys.modules.clear()", {}),
        ("exception_text", "class E(Exception):\n  def __str__(self):\n    while True: pass\nraise E", {}),
        ("datagram", "import socket\na, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
         "a.sendto(b'x', '\\0gatewayx'); print('SE' + 'NT')", {"notout": ["SENT"]}),
        ("udp", "import socket\ns = socket.socket(type=socket.SOCK_DGRAM)\n"
         "s.sendto(b'x', ('127.0.0.1', 50555)); print('SE' + 'NT')", {"notout": ["SENT"]}),
        ("deep_folders", "import os\nwhile True:\n  os.mkdir('d'); os.chdir('d')", {}),
        # Time enough that the limit ends it: what its second leaves behind would end the next cell.
        ("many_files", "i = 0\nwhile True:\n  open(str(i), 'w').write('x'); i += 1", {"timeout": 4}),
        ("closed_folders", "import os\nos.makedirs('a/b'); os.chmod('a/b', 0); os.chmod('a', 0)", {}),
        ("foreign_mode", "import os\np = '/tmp/canary/file.txt'\nos.chmod(p, 0); os.utime(p)", {}),
        ("truncated", "import os\nos.truncate('/tmp/canary/file.txt', 0)", {}),
        ("keys", "import pathlib\nprint(pathlib.Path('/home/tester/.kaggle/kaggle.json').read_text())", {}),
        ("environments", "import glob\nfor p in glob.glob('/proc/*/environ'):\n  print(open(p).read())", {}),
        ("shared_memory", "from multiprocessing import shared_memory as s\ns.SharedMemory('x', True, 9)", {}),
        ("message_queue", "import ctypes\nprint(ctypes.CDLL(None).msgget(5, 0o1777))", {"notout": ["0\n"]}),
        ("raw_clone", "import ctypes\nprint('PID', ctypes.CDLL(None).syscall(56, 17, 0, 0, 0, 0))",
         {"out": ["PID -1"]}),
        ("state_kept", "x = 41\nimport time\ntime.sleep(9)",
         {"expect": ["timeout"], "then": "x + 1", "then_out": ["42"]}),
    )
]  # fmt: skip


def _suite() -> list[dict[str, Any]]:
    return [cell for path in _SUITES if path.exists() for cell in _load(path)]


def _load(path: Path) -> list[dict[str, Any]]:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    cells: list[dict[str, Any]] = module.HOSTILE
    return cells


_ESCAPES = ("fs", "secret", "net", "tamper", "proc", "own")  # what depends on which layers there are


def _check(rights: Rights, *options: str, categories: Sequence[str] = ()) -> None:
    check(rights, [cell for cell in _suite() + _OWN if not categories or cell["cat"] in categories], *options)


def test_as_root() -> None:
    _check(Rights.ROOT)


@pytest.mark.long
def test_as_root_in_a_container() -> None:
    _check(Rights.DOCKER)


@pytest.mark.long
def test_as_root_in_a_container_with_python_in_a_closed_home() -> None:
    _check(Rights.DOCKER_CLOSED, categories=_ESCAPES)


def test_as_a_user() -> None:
    _check(Rights.USER)


@pytest.mark.long
def test_as_root_without_landlock() -> None:
    _check(Rights.ROOT, "--without", "landlock", categories=_ESCAPES)


@pytest.mark.parametrize("path", _SUITES, ids=lambda path: path.stem)
def test_an_absent_suite_is_reported(path: Path) -> None:
    if not path.exists():
        pytest.skip("this shared hostile suite is not here: only the cells of the repository were run")
    assert len(_load(path)) >= 50
