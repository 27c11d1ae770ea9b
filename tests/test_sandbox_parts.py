"""Parts of the sandbox alone: kept output, the scratch directory, the filter's program."""

from __future__ import annotations

import os
import platform
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sandbox.capture import Capture
from agent.sandbox.inside import scratch, seccomp
from agent.sandbox.inside.syscalls import Table


@given(st.lists(st.text(), max_size=30), st.integers(2, 60))
def test_output_is_whole_or_cut_in_the_middle(parts: list[str], chars: int) -> None:
    capture = Capture(chars)
    for part in parts:
        capture.add(part.encode("utf-8", "replace"))
    whole = "".join(parts).encode("utf-8", "replace").decode()
    text = capture.text()
    if len(whole) <= chars:
        assert text == "".join(_spelled(character) for character in whole)
    else:
        head, _, rest = text.partition("\n[... ")
        assert head == "".join(_spelled(character) for character in whole[: chars // 2])
        assert "of output cut ...]" in rest


def _spelled(character: str) -> str:
    code = ord(character)
    control = (code < 32 and character not in "\t\n\r") or 127 <= code < 160
    return f"\\x{code:02x}" if control else character


@given(st.lists(st.binary(max_size=5_000), max_size=20))
def test_kept_output_is_bounded(parts: list[bytes]) -> None:
    capture = Capture(100)
    for part in parts:
        capture.add(part)
    assert len(capture.text()) < 600
    assert capture.size == sum(map(len, parts))


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
    size, entries = scratch.usage(str(base), 1_000)
    assert size >= 100_000 and entries > 5
    scratch.wipe(str(base))
    assert not base.exists() and outside.read_text() == "kept"
    scratch.wipe(str(base))
    assert scratch.usage(str(base), 10) == (0, 0)


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


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="its system calls are not known")
def test_the_filter_answers_as_meant() -> None:
    table = Table(platform.machine())
    program = seccomp.compile_filter(77, private_files=False, guard_truncate=True)
    assert all(_answer(program, number) == _ALLOWED for number in table.free.values())
    assert all(_answer(program, number) == 0x0005_0001 for number in table.forbidden.values())
    assert all(_answer(program, number) == 0x0005_0000 for number in table.ownership.values())
    assert _answer(program, 9_999) == 0x0005_0026
    checked = table.checked
    assert _answer(program, checked["kill"], 77) == _ALLOWED
    for other in (76, 0, 0xFFFF_FFFF, 1):
        assert _answer(program, checked["kill"], other) != _ALLOWED
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
    groups = (table.free, table.checked, table.ownership, table.truncate, table.attributes, table.forbidden)
    numbers = [number for group in groups for number in group.values()]
    assert len(numbers) == len(set(numbers))
