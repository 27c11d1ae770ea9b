"""Parts of the sandbox alone: kept output, the scratch directory, the filter's program."""

from __future__ import annotations

import os
import platform
import struct
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.chat.output_text import rendered
from agent.sandbox.capture import Capture
from agent.sandbox.inside import scratch
from agent.sandbox.inside.layers import seccomp
from agent.sandbox.inside.layers.syscalls import Table

pieces = st.text() | st.sampled_from(
    [
        "\r",
        "\n",
        "\r\n",
        "50%\r",
        "\b",
        "\x1b[31m",
        "\x1b",
        "\x1b[K",
        "\x1b[2K",
        "[2K",
        "\x1b]0;",
        "\x07",
        "\ufe0f",
        "42",
    ]
)


@given(st.lists(pieces, max_size=30), st.integers(2, 60))
@example(["\x1b", "\r", "\r", "\x1b[K", "\r"], 4)
@example(["000000", "\r", "0\r"], 3)
def test_output_is_whole_or_cut_in_the_middle(parts: list[str], chars: int) -> None:
    capture = Capture(chars)
    for part in parts:
        capture.add(part.encode("utf-8", "replace"))
    whole = rendered("".join(parts).encode("utf-8", "replace").decode())
    text = capture.text()
    if "of output cut ...]" not in text:
        assert text == whole
    else:
        assert len(whole) > chars or capture.size > 4 * chars
        assert len(text) <= chars + 60
    if capture.size <= 4 * chars < 4 * len(whole):
        assert text.startswith(f"{whole[: chars // 2]}\n[... {len(whole) - chars} characters of output cut ...]")
        assert text.endswith(whole[chars // 2 - chars :])


def test_a_progress_bar_of_any_length_leaves_its_last_state() -> None:
    capture = Capture(100)
    for done in range(5_000):
        capture.add(f"\r{done:5} of 5000".encode())
    capture.add(b"\r\n42\n")
    assert capture.text() == " 4999 of 5000\n42\n"


def test_what_overwrites_a_line_that_is_too_long_to_keep_is_not_glued_to_it() -> None:
    capture = Capture(100)
    capture.add(b"9" * 300)
    for part in (b"\r4", b"2", b"\r", b"5"):
        capture.add(part)
    assert capture.text() == f"52{'9' * 48}\n[... 200 characters of output cut ...]\n{'9' * 50}"


def test_a_bar_that_becomes_shorter_leaves_its_end_as_in_a_notebook() -> None:
    capture = Capture(100)
    for part in (b"12345", b"\r", b"\x1b[31m6", b"7\x1b[0m\r", b"\r\n1", b"23\r4\x1b[K\n56\r\x1b[2K\r7"):
        capture.add(part)
    assert capture.text() == "67345\n4\n7"


@pytest.mark.parametrize("part", [b"\r\x1b1", b"\r\x1b[3", b"\x1b\r", b"\r", b"a\b\r", b"\x9b\r\xff"])
def test_a_line_that_is_rewritten_without_end_takes_no_time(part: bytes) -> None:
    capture = Capture(8_000)
    started = time.process_time()
    for _ in range(10_000):
        capture.add(part)
    assert len(capture.text()) < 10_000
    assert time.process_time() - started < 1


def test_a_line_without_end_is_kept_in_bounded_memory_and_time() -> None:
    capture = Capture(1_000)
    for _ in range(2_000):
        capture.add(b"9" * 4_000)
    text = capture.text()
    assert text.startswith("9" * 500 + "\n[... about 7999000 characters of output cut ...]\n")
    assert text.endswith("9" * 500) and len(text) < 1_100


@given(st.lists(st.binary(max_size=5_000), max_size=20))
def test_kept_output_is_bounded(parts: list[bytes]) -> None:
    capture = Capture(100)
    for part in parts:
        capture.add(part)
    assert len(capture.text()) < 600
    assert capture.size == sum(map(len, parts))


@pytest.mark.further
def test_a_scratch_directory_is_measured_and_wiped_whatever_is_in_it(tmp_path: Path) -> None:
    base, outside = tmp_path / "scratch", tmp_path / "outside"
    outside.write_text("kept")
    base.mkdir()
    (base / "link").symlink_to(outside)
    (base / "loop").symlink_to(base)
    (base / "big").write_bytes(b"x" * 100_000)
    (base / "closed").mkdir()
    (base / "closed" / "inner").mkdir()
    (base / "closed" / "inner" / "f").write_text("x")
    (base / "0").write_text("a name that the wiping itself might choose")
    (base / "closed" / "inner").chmod(0)
    (base / "closed").chmod(0)
    home = Path.cwd()
    os.chdir(base)
    try:
        for _ in range(1_500):
            os.mkdir("deep")  # noqa: PTH102 - a path this long can only be made step by step
            os.chdir("deep")
    finally:
        os.chdir(home)
    found = scratch.usage(str(base), 1_000)
    assert found.size >= 100_000 and found.entries > 1_000
    scratch.wipe(str(base))
    assert not base.exists() and outside.read_text() == "kept"
    scratch.wipe(str(base))
    assert scratch.usage(str(base), 10) == scratch.ScratchUsage()


def _answer(program: bytes, number: int, *arguments: int) -> int:
    """What a classic BPF program says to a system call."""
    arch = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}[platform.machine()]
    data = struct.pack("=IIQ6Q", number, arch, 0, *(*arguments, *[0] * 6)[:6])
    code = list(struct.iter_unpack("=HBBI", program))
    at = value = 0
    while True:
        kind, if_true, if_false, constant = code[at]
        at += 1
        match kind:
            case 0x20:
                (value,) = struct.unpack_from("=I", data, constant)
            case 0x54:
                value &= constant
            case 0x15:
                at += if_true if value == constant else if_false
            case 0x35:
                at += if_true if value >= constant else if_false
            case 0x06:
                return int(constant)
            case _:
                raise AssertionError(kind)


_ALLOWED = 0x7FFF_0000
_STOPS = (19, 20, 21, 22)  # signals


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="its system calls are not known")
def test_the_filter_allows_and_refuses_the_right_calls() -> None:
    table = Table(platform.machine())
    program = seccomp.compile_filter(77, private_files=False, guard_truncate=True)
    assert all(_answer(program, number) == _ALLOWED for number in table.free.values())
    assert all(_answer(program, number) == 0x0005_0001 for number in table.forbidden.values())
    assert all(_answer(program, number) == 0x0005_0000 for number in table.ownership.values())
    assert all(_answer(program, number) == 0x0005_0000 for number in table.pretended.values())
    assert _answer(program, 9_999) == 0x0005_0026
    checked = table.checked
    assert _answer(program, checked["kill"], 77) == _ALLOWED
    for other in (76, 0, 0xFFFF_FFFF, 1):
        assert _answer(program, checked["kill"], other) != _ALLOWED
    for signal, action in [(number, _ALLOWED) for number in (0, 1, 9, 15, 18, 23, 64)] + [
        (n, 0x0005_0001) for n in _STOPS
    ]:
        assert _answer(program, checked["kill"], 77, signal) == action
        assert _answer(program, checked["tgkill"], 77, 78, signal) == action
    assert _answer(program, checked["kill"], 76, 1) == _answer(program, checked["tgkill"], 76, 77, 1) == 0x0005_0001
    thread = 0x003D_0F00
    assert _answer(program, checked["clone"], thread) == _ALLOWED
    for flags in (17, 0x2000_0011, thread | 0x1000_0000, 0x4111):
        assert _answer(program, checked["clone"], flags) != _ALLOWED
    assert _answer(program, checked["socketpair"], 1, 0x8_0801) == _ALLOWED
    assert _answer(program, checked["socketpair"], 1, 2) != _ALLOWED
    assert _answer(program, checked["sendto"], 3, 0, 0, 0, 0) == _ALLOWED
    assert _answer(program, checked["sendto"], 3, 0, 0, 0, 1 << 40) != _ALLOWED
    assert _answer(program, checked["prlimit64"], 0, 7, 0) == _ALLOWED
    assert _answer(program, checked["prlimit64"], 0, 7, 1 << 33) != _ALLOWED
    assert _answer(program, checked["prlimit64"], 1, 7, 0) != _ALLOWED


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_no_system_call_is_both_allowed_and_forbidden(machine: str) -> None:
    table = Table(machine)
    groups = (table.free, table.checked, table.ownership, table.pretended, table.truncate, table.unsupported)
    numbers = [number for group in (*groups, table.forbidden) for number in group.values()]
    assert len(numbers) == len(set(numbers))
