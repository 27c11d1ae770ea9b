"""What the watch counts: shares of the CPU, files in every disguise; and how what is left is cleared away."""

from __future__ import annotations

import mmap
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sandbox.inside import nameless_files, scratch
from agent.sandbox.inside.layers.layers import Layers
from agent.sandbox.inside.shares import Shares

_SECOND = os.sysconf("SC_CLK_TCK")
_PERIOD = 0.1


def _greedy(used: list[float], runnable: set[int], looks: int = 4) -> set[int]:
    """Sessions 0, 1, ... that use so many CPUs all the time: the greedy ones at the last look."""
    shares = Shares()
    found: set[int] = set()
    for look in range(looks):
        ticks = {pid: 1_000 + round(cpus * look * _PERIOD * _SECOND) for pid, cpus in enumerate(used)}
        found = shares.greedy(ticks, runnable)
    return found


def test_a_session_that_leaves_next_to_nothing_to_another_is_greedy() -> None:
    assert _greedy([1.95, 0.03], {0, 1}) == {0}
    assert _greedy([0.9, 0.05, 0.05], {0, 1, 2}) == {0}
    assert _greedy([0.098, 0.002], {0, 1}, looks=11) == {0}


def test_who_has_the_machine_alone_or_takes_turns_is_not_greedy() -> None:
    assert not _greedy([8.0, 0.0], {0})
    assert not _greedy([0.5, 0.5, 0.5, 0.5], {0, 1, 2, 3})
    assert not _greedy([1.0, 1.0, 0.9], {0, 1})


@given(st.lists(st.floats(0, 4), min_size=1, max_size=20), st.floats(0, 4))
def test_equal_use_makes_no_session_greedy(others: list[float], same: float) -> None:
    assert not _greedy([same] * len(others), set(range(len(others))))
    found = _greedy(others, set(range(len(others))))
    assert len(found) < len(others)
    assert all(others[pid] > sum(others) / len(others) for pid in found)


def test_a_process_number_that_comes_back_counts_from_nothing() -> None:
    shares = Shares()
    assert not shares.greedy({1: 900, 2: 0}, {1, 2})
    assert not shares.greedy({1: 3, 2: 5}, {1, 2})
    assert shares.greedy({1: 6, 2: 50}, {1, 2}) == {2}


class _Proc(Layers):
    """Only the way to /proc."""

    def __init__(self) -> None:
        self._processes = os.open("/proc", os.O_RDONLY)

    def close(self) -> None:
        os.close(self._processes)


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="it is /proc that tells")
def test_files_without_a_name_are_counted_while_they_are_open_or_mapped(tmp_path: Path) -> None:
    proc, own = _Proc(), os.getpid()
    known = nameless_files.mapped_inodes(proc, own)
    before = nameless_files.nameless_bytes(proc, own, 1 << 30, known)
    with tempfile.TemporaryFile(dir=tmp_path) as file, Path(tmp_path, "named").open("wb") as named:
        named.write(bytes(300_000))
        file.write(bytes(200_000))
        file.flush()
        assert 200_000 <= nameless_files.nameless_bytes(proc, own, 1 << 30, known) - before < 300_000
        with mmap.mmap(file.fileno(), 4_096):
            assert (
                nameless_files.nameless_bytes(proc, own, 1 << 30, known) - before < 300_000
            )  # the same file, not one more
    descriptor = os.open(tmp_path / "named", os.O_RDWR)
    mapping = mmap.mmap(descriptor, 4_096)
    os.close(descriptor)
    (copy,) = [name for name in os.listdir("/proc/self/fd") if _leads_to(name, tmp_path / "named")]  # noqa: PTH208
    Path(tmp_path, "named").unlink()
    os.dup2(os.open(os.devnull, os.O_RDONLY), int(copy))  # so that it is mapped, but no longer open
    assert nameless_files.nameless_bytes(proc, own, 1 << 30, known) - before == 1 << 30
    del mapping
    assert nameless_files.nameless_bytes(proc, own, 1 << 30, known) == before
    assert nameless_files.nameless_bytes(proc, _ended(), 1 << 30, set()) == 0
    proc.close()


def _leads_to(name: str, path: Path) -> bool:
    try:
        return Path(f"/proc/self/fd/{name}").readlink() == path
    except FileNotFoundError:
        return False


def _ended() -> int:
    """The number of a process that is no more."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_a_file_counts_once_and_what_it_has_on_disk(tmp_path: Path) -> None:
    Path(tmp_path, "a").write_bytes(bytes(100_000))
    for number in range(5):
        Path(tmp_path, f"also-{number}").hardlink_to(tmp_path / "a")
    with Path(tmp_path, "hole").open("wb") as hole:
        hole.truncate(1 << 30)
    Path(tmp_path, "link").symlink_to("/usr")
    found = scratch.usage(str(tmp_path), 100)
    assert found.entries == 8 and 100_000 <= found.size < 200_000 and not found.closed


_AS_USER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from agent.sandbox.inside import scratch
os.umask(0)
if os.geteuid() == 0:
    os.chown(sys.argv[2], 12345, 12345)
    os.setgroups([]); os.setgid(12345); os.setuid(12345)
os.chdir(sys.argv[2])
for name, mode in (('a', 0o300), ('b', 0o600), ('c', 0)):
    os.makedirs(name + '/inner')
    open(name + '/inner/f', 'wb').write(bytes(100_000))
    os.chmod(name + '/inner', mode)
    os.chmod(name, mode)
found = scratch.usage('.', 100)
assert found.entries == 9 and found.size > 300_000 and not found.closed, found
os.symlink('/etc', 'etc')
assert not scratch._open_up('etc', None)
os.chmod('.', 0)
assert scratch.usage(sys.argv[2], 100).entries == 10
os.chmod('a/inner', 0)
scratch.wipe('a')
assert not os.path.exists('a')
"""


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="a closed folder is opened by way of /proc")
def test_folders_that_their_owner_has_closed_are_counted_and_wiped() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as home:  # where another user may come
        Path(home).chmod(0o755)
        folder = Path(home, "scratch")
        folder.mkdir()
        root = Path(scratch.__file__).parents[3]
        subprocess.run([sys.executable, "-c", _AS_USER, str(root), str(folder)], check=True, timeout=60)


def test_wiping_many_folders_goes_in_small_steps(tmp_path: Path) -> None:
    top = tmp_path / "top"
    for number in range(30):
        for inner in range(5):
            Path(top, f"d{number}", str(inner)).mkdir(parents=True)
            Path(top, f"d{number}", str(inner), "file").touch()
    assert sum(1 for _ in scratch.wiping(str(top))) >= 30 * 5 * 2
    assert not top.exists()
    assert list(scratch.wiping(str(top))) == []


def test_folders_are_moved_past_the_names_that_are_taken(tmp_path: Path) -> None:
    top, outside = tmp_path / "top", tmp_path / "outside"
    for name in ("a/b/c", "a/d", "0", "2/full/inner"):
        Path(top, name).mkdir(parents=True)
    Path(top, "1").write_text("x")
    outside.mkdir()
    Path(top, "3").symlink_to(outside)
    Path(top, os.fsdecode(b"\xff")).mkdir()
    scratch.wipe(str(top))
    assert not top.exists() and outside.is_dir()


@given(st.lists(st.tuples(st.integers(1, 1 << 40), st.booleans(), st.integers(0, 200))), st.integers(1, 300))
def test_what_is_mapped_is_found_however_it_is_read(lines: list[tuple[int, bool, int]], chunk: int) -> None:
    text = "".join(
        f"7f00-7f01 rw-p 0 00:01 {inode} /{'x' * length}{' (deleted)' * nameless}\n"
        for inode, nameless, length in lines
    )
    with tempfile.TemporaryFile() as maps, pytest.MonkeyPatch.context() as patch:
        maps.write(text.encode())
        maps.seek(0)
        patch.setattr(nameless_files, "_CHUNK", chunk)
        patch.setattr(Layers, "open_proc", lambda self, name: os.dup(maps.fileno()))
        assert nameless_files.mapped_inodes(object.__new__(Layers), 1) == {
            inode for inode, nameless, _ in lines if nameless
        }


def test_what_cannot_be_removed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, *, dir_fd: int) -> None:
        raise PermissionError(1, "no")

    Path(tmp_path, "f").touch()
    monkeypatch.setattr("os.unlink", refuse)
    with pytest.raises(PermissionError):
        scratch.wipe(str(tmp_path))
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_the_watch_finds_no_directory_that_its_user_may_not_enter_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[bool] = []
    own, user = tmp_path / "7", 12_345
    monkeypatch.setattr(os, "chown", lambda path, owner, group: found.append(own.exists()))
    for name in ("HOME", "TMPDIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, "")
    monkeypatch.chdir(tmp_path)
    layers = SimpleNamespace(scratch=lambda slot: str(own), user=lambda slot: user, active=lambda layer: layer == "uid")
    closed = tmp_path / "7.new"
    closed.mkdir(0o700)  # left by a process that was killed as it started
    Layers._make_scratch(cast(Any, layers), 7)
    assert own.is_dir() and not closed.exists() and Path.cwd() == own
    assert found == [False]
