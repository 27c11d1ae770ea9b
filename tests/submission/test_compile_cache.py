"""The compile cache that travels beside the wheels."""

from __future__ import annotations

import errno
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from submission.compile_cache import CACHE_FILE, UNPACKED_VARIABLE, pack_cache, unpack_cache, use_cache


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    (folder / "torch_compile_cache" / "ab").mkdir(parents=True)
    (folder / "torch_compile_cache" / "ab" / "model").write_bytes(b"\0compiled")
    (folder / "modelinfos.json").write_text("{}")
    return folder


def test_what_was_compiled_is_found_again_by_the_next_notebook(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    pack_cache(cache, tmp_path / "wheels" / CACHE_FILE)
    assert unpack_cache(tmp_path / "wheels", tmp_path / "next") == ""
    assert tree(tmp_path / "next") == tree(cache)
    (tmp_path / "next" / "modelinfos.json").write_text("of a worker before this one")
    assert unpack_cache(tmp_path / "wheels", tmp_path / "next") == ""
    assert (tmp_path / "next" / "modelinfos.json").read_text() == "of a worker before this one"


def test_without_a_cache_nothing_is_unpacked_and_nothing_packed(tmp_path: Path) -> None:
    assert unpack_cache(tmp_path, tmp_path / "next") == ""
    pack_cache(tmp_path / "next", tmp_path / CACHE_FILE)
    (tmp_path / "empty" / "folder").mkdir(parents=True)
    pack_cache(tmp_path / "empty", tmp_path / CACHE_FILE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty"]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_cache_is_said_to_be_and_costs_nothing(cache: Path, tmp_path: Path, data: st.DataObject) -> None:
    packed = tmp_path / CACHE_FILE
    pack_cache(cache, packed)
    whole = packed.read_bytes()
    packed.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 9))])
    folder = tmp_path / f"next-{data.draw(st.uuids())}"
    fault = unpack_cache(tmp_path, folder)
    if fault:
        assert fault.startswith(f"{packed} is not used: ") and fault.endswith("make it anew or leave it out")
    assert tree(folder) == ({} if fault else tree(cache))  # what lacks only the mark of its end is whole
    assert not folder.with_name(f"{folder.name}.tmp").exists()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_cache_with_a_changed_byte_is_not_used_unless_what_it_holds_is_the_same(
    cache: Path, tmp_path: Path, data: st.DataObject
) -> None:
    packed = tmp_path / CACHE_FILE
    pack_cache(cache, packed)
    changed = bytearray(packed.read_bytes())
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    packed.write_bytes(changed)
    folder = tmp_path / f"next-{data.draw(st.uuids())}"
    fault = unpack_cache(tmp_path, folder)
    assert tree(folder) == ({} if fault else tree(cache))
    assert not folder.with_name(f"{folder.name}.tmp").exists()


def test_a_cache_of_a_time_that_the_system_does_not_know_is_not_used(tmp_path: Path) -> None:
    packed, folder = tmp_path / CACHE_FILE, tmp_path / "next"
    with tarfile.open(packed, "w:gz", format=tarfile.GNU_FORMAT) as archive:
        entry = tarfile.TarInfo("model.json")
        entry.mtime = 2**70
        archive.addfile(entry)
    fault = unpack_cache(tmp_path, folder)
    assert fault.startswith(f"{packed} is not used: ") and list(tmp_path.iterdir()) == [packed]


def test_a_cache_that_cannot_be_packed_leaves_nothing_behind(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_is_full(archive: tarfile.TarFile, folder: Path, name: str) -> None:
        assert archive.fileobj is not None
        archive.fileobj.write(b"part")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "add", disk_is_full)
    with pytest.raises(OSError, match="No space left"):
        pack_cache(cache, tmp_path / CACHE_FILE)
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_what_is_no_archive_is_not_used(tmp_path: Path) -> None:
    for content in (b"", b"\x1f", b"wheels" * 500):
        (tmp_path / CACHE_FILE).write_bytes(content)
        assert "vllm-cache.packed is not used: " in unpack_cache(tmp_path, tmp_path / "next")
        assert not (tmp_path / "next").exists()


def test_a_cache_writes_nothing_outside_of_its_folder(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / CACHE_FILE, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../stolen"), io.BytesIO())
    assert "is not used" in unpack_cache(tmp_path, tmp_path / "inner" / "next")
    assert not (tmp_path / "inner" / "stolen").exists()


@pytest.mark.parametrize(
    ("environment", "configured", "kept_in"),
    [
        ({UNPACKED_VARIABLE: "/unpacked"}, {}, "/unpacked"),
        ({UNPACKED_VARIABLE: "/unpacked"}, {"VLLM_CACHE_ROOT": "/profile"}, None),  # which the server is given itself
        ({UNPACKED_VARIABLE: "/unpacked", "VLLM_CACHE_ROOT": "/user"}, {}, "/user"),
        ({}, {}, None),
    ],
)
def test_a_folder_of_the_users_own_for_what_is_compiled_stays_in_force(
    environment: dict[str, str], configured: dict[str, str], kept_in: str | None
) -> None:
    use_cache(environment, configured)
    assert environment.get("VLLM_CACHE_ROOT") == kept_in
