"""What one session can take from the others or from the host, cell by cell in a jail; what must work all the same."""

from __future__ import annotations

import asyncio.selector_events
import mmap
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from agent.sandbox.base import Limits
from agent.sandbox.inside import substitutes
from agent.sandbox.inside.layers import kernel
from agent.sandbox.inside.layers.layers import LAYER_NAMES, Layers
from agent.sandbox.report import LAYERS, remaining
from agent.types import ToolStatus
from tests.support.sandbox import jail
from tests.support.sandbox.hostile import judge
from tests.support.sandbox.jail import Rights
from tests.support.sandbox.sandboxes import sandbox

_ANY = ["ok", "error", "killed", "timeout"]
_C = "import ctypes, os, time\nlibc = ctypes.CDLL(None, use_errno=True)\nlibc.mmap.restype = ctypes.c_void_p\n"
_SHARED = (
    "libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]\nn, size = 0, 150 << 20\nfor _ in range(8):\n"
    "  p = libc.mmap(None, size, 3, {flags}, {file}, 0)\n  if p in (None, 2**64 - 1): break\n"
    "  ctypes.memset(p, 1, size); libc.munmap(p + 4096, size - 4096); n += 1\nprint('KEPT', n)"
)
_MIB = "b = b'x' * (1 << 20)\n"
_LATER = "time.sleep(0.5)\nprint('HE' + 'LD')"
_HELD: dict[str, Any] = {"notout": ["HELD"], "timeout": 9}

_CELLS: list[dict[str, Any]] = [
    {"name": name, "cat": "bounds", "code": code, "timeout": 5, "expect": _ANY, **more}
    for name, code, more in (
        ("temporary_files", f"import tempfile, time\n{_MIB}h = [tempfile.TemporaryFile(dir='.') for _ in range(5)]\n"
         f"for f in h:\n  for _ in range(60): f.write(b)\n  time.sleep(0.05)\n{_LATER}", _HELD),
        ("mapped_and_closed", f"{_C}{_MIB}for _ in range(6):\n  f = os.open('m', os.O_RDWR | os.O_CREAT)\n"
         "  for _ in range(50): os.write(f, b)\n  libc.mmap(None, 4096, 1, 2, f, 0); os.unlink('m'); os.close(f)\n"
         f"  time.sleep(0.1)\n{_LATER}", _HELD),
        ("closed_while_written", "import os, time\nos.mkdir('a')\nfor i in range(6):\n  os.chmod('a', 0o700)\n"
         "  with open(f'a/{i}', 'wb') as f: f.write(bytes(50 << 20))\n  os.chmod('a', 0); time.sleep(0.1)\n"
         f"{_LATER}", _HELD),
        ("descriptors_in_flight", "import os, socket\na, b = socket.socketpair()\n"
         "f = os.open('u', os.O_RDWR | os.O_CREAT)\nsocket.send_fds(a, [b'x'], [f])\nprint('SE' + 'NT')",
         {"notout": ["SENT"]}),
        ("descriptors_of_a_thread", f"{_C}print('OWN', libc.close_range(900, 901, 2))", {"out": ["OWN -1"]}),
        ("shared_memory_let_go", _C + _SHARED.format(flags=0x21, file=-1), {"out": ["KEPT 0"]}),
        ("zeros_let_go", _C + _SHARED.format(flags=1, file="os.open('/dev/zero', os.O_RDWR)"), {"notout": ["KEPT 8"]}),
        ("buffers", "import socket\na, b = socket.socketpair()\nfor n in (7, 8, 32, 33): a.setsockopt(1, n, 1 << 28)\n"
         "print('BIG' if a.getsockopt(1, 7) + a.getsockopt(1, 8) > 4 << 20 else 'small')", {"out": ["small"]}),
        ("pipes", "import fcntl, os\nr, w = os.pipe()\nfcntl.fcntl(w, 1031, 1 << 20)", {"notout": ["OK"]}),
        ("timers", f"{_C}t = ctypes.c_int()\nprint('N', sum(not libc.syscall(222, 1, None, ctypes.byref(t)) "
         "for _ in range(9)))", {"out": ["N 0"]}),
        ("space_without_writing", f"{_C}f = os.open('f', os.O_RDWR | os.O_CREAT)\nn = ctypes.c_long\n"
         "print('KEPT', libc.fallocate(f, 1, n(0), n(1 << 30)))\nos.posix_fallocate(f, 0, 1 << 20)\n"
         "print('size', os.fstat(f).st_size)", {"out": ["KEPT -1", "size 1048576"], "expect": ["ok"]}),
        ("folders_in_a_burst", "import os\ni = 0\nwhile True:\n  os.mkdir(str(i)); i += 1",
         {"then": "print(6*7)", "then_out": "42"}),
        ("sleepers_without_a_head", f"{_C}import threading\nthreading.Thread(target=time.sleep, args=(99,)).start()\n"
         "libc.syscall(60, 0)", {"expect": ["killed"], "then": "print(6*7)", "then_out": "42"}),
        ("locks", "import fcntl, json\nf = open(json.__file__); fcntl.flock(f, fcntl.LOCK_EX)\n"
         "g = open('/dev/null', 'r+'); fcntl.lockf(g, fcntl.LOCK_EX)\nprint('LOCKED')",
         {"out": ["LOCKED"], "expect": ["ok"], "fresh_out": "FREE", "fresh":
          "import fcntl, json\nf = open(json.__file__); fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
          "g = open('/dev/null', 'r+'); fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB)\nprint('FREE')"}),
        ("good_faith", "import mmap, os, sqlite3, tempfile, time\nimport numpy as np\nm = mmap.mmap(-1, 1000)\n"
         "m.write(b'abc')\nd = sqlite3.connect('x.db')\nd.execute('create table t(a)')\n"
         "d.execute('insert into t values (7)')\nd.commit()\nkept = []\nfor _ in range(4):\n"
         "  f = tempfile.TemporaryFile(dir='.')\n  a = np.memmap(f, dtype='i4', shape=(1000,))\n  a[:] = 3\n"
         "  f.close(); kept.append(a)\nopen('hole', 'wb').truncate(60 << 20)\n"
         "[os.link('x.db', f'l{i}') for i in range(9)]\ntime.sleep(0.3)\n"
         "print(m[:3], sqlite3.connect('x.db').execute('select a from t').fetchall(), sum(int(a.sum()) for a in kept))",
         {"expect": ["ok"], "out": ["b'abc' [(7,)] 12000"]}),
        ("good_faith_streams", "import asyncio, socket\nfrom multiprocessing.pool import ThreadPool\n"
         "async def talk():\n  a, b = socket.socketpair()\n  _, w = await asyncio.open_connection(sock=a)\n"
         "  r, _ = await asyncio.open_connection(sock=b)\n  w.writelines([b'x' * 300_000] * 3); w.write_eof()\n"
         "  return len(await r.read())\nwith ThreadPool(4) as p: print(asyncio.run(talk()), p.map(abs, [-1, 2]))",
         {"expect": ["ok"], "out": ["900000 [1, 2]"]}),
    )
]  # fmt: skip


def _check(rights: Rights) -> None:
    if reason := jail.missing():
        pytest.skip(reason)
    verdicts = judge(rights, _CELLS, "--memory-mib", "768")
    assert not {verdict["name"]: verdict["amiss"] for verdict in verdicts if verdict["amiss"]}
    assert len(verdicts) == len(_CELLS) + 1


def test_no_bound_is_passed_as_a_user() -> None:
    _check(Rights.USER)


@pytest.mark.long
def test_no_bound_is_passed_as_root_in_a_container() -> None:
    _check(Rights.DOCKER)


@pytest.mark.long
def test_no_bound_is_passed_as_root() -> None:
    _check(Rights.ROOT)


async def test_files_in_memory_count_for_what_all_sessions_hold() -> None:
    async with sandbox(Limits(scratch_bytes=64 << 20, total_memory_bytes=48 << 20)) as box:
        if "mounts" in (await box.client()).missing:
            pytest.skip("scratch directories are on a disk here")
        session = await box.session()
        run = await session.run("import time\nopen('f', 'wb').write(bytes(56 << 20))\ntime.sleep(9)", 10)
        assert run.status is ToolStatus.KILLED and "all sessions together used too much memory" in run.output


@pytest.fixture
def library() -> Iterator[None]:
    kept = mmap.mmap
    substitutes.replace()
    yield
    vars(mmap)["mmap"] = kept


_ARGUMENTS: list[tuple[tuple[int, ...], dict[str, int]]] = [
    ((), {}),
    ((mmap.MAP_SHARED,), {}),
    ((mmap.MAP_SHARED | mmap.MAP_ANONYMOUS, mmap.PROT_READ), {}),
    ((mmap.MAP_PRIVATE,), {}),
    ((), {"access": mmap.ACCESS_READ}),
    ((), {"access": mmap.ACCESS_WRITE}),
    ((), {"access": mmap.ACCESS_COPY}),
    ((), {"access": 99}),
    ((), {"prot": mmap.PROT_READ}),
    ((), {"flags": mmap.MAP_SHARED, "access": mmap.ACCESS_READ, "prot": mmap.PROT_READ}),
    ((), {"offset": 7}),
]


@pytest.mark.skipif(sys.platform != "linux", reason="it is /proc that tells what is shared")
@pytest.mark.parametrize(("args", "options"), _ARGUMENTS)
@pytest.mark.usefixtures("library")
def test_memory_without_a_file_is_what_it_is_elsewhere(args: tuple[int, ...], options: dict[str, int]) -> None:
    def made(kind: Any) -> object:
        try:
            memory = kind(-1, 100, *args, **options)
        except (OSError, ValueError) as error:
            return type(error)
        with memory:
            try:
                memory[3:5] = b"ab"
            except TypeError:
                return memory[:6]
            return memory[:6], len(memory), memory.find(b"b")

    assert made(mmap.mmap) == made(mmap.mmap.__base__)
    with open("/proc/self/maps", encoding="utf-8") as maps:  # noqa: PTH123 - of a file that is no path's
        kept, before = [mmap.mmap(-1, 100)], maps.read().count("/dev/zero")
    assert kept and before == 0


@pytest.mark.usefixtures("library")
def test_event_loops_do_without_messages_that_could_carry_descriptors() -> None:
    assert not getattr(asyncio.selector_events, "_HAS_SENDMSG", False)


def test_a_fork_that_fails_leaves_the_next_one_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[str] = []

    def refuse() -> int:
        raise BlockingIOError(11, "too many processes")

    layers = object.__new__(Layers)
    layers.missing, layers._own_pids = {}, 9
    monkeypatch.setattr("os.fork", refuse)
    monkeypatch.setattr(kernel, "unshare", lambda flags: entered.append("fresh"))
    monkeypatch.setattr(kernel, "setns", lambda descriptor, kind: entered.append("own"))
    for _ in range(2):
        with pytest.raises(BlockingIOError):
            layers.fork()
    assert entered == ["fresh", "own"] * 2


def test_what_each_missing_layer_leaves_open_is_reported() -> None:
    always = remaining({})
    assert any("interpreter" in text for text in always)
    for layer in LAYER_NAMES:
        assert len(remaining({layer: "switched off"})) == len(always) + 1, layer
    assert len(remaining(dict.fromkeys(LAYERS, ""))) > len(always) + len(LAYER_NAMES)
