"""A configuration that was cut is refused: it would load, with defaults for what it lost."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from agent.config import Config, load_config, override_config, parse_config, profile_names, save_config
from agent.errors import ConfigError
from agent.files.stored_config import changed_keys, stored_tree
from agent.files.whole_file import write_whole

RECORDINGS = Path(__file__).parents[3] / "tools" / "recordings"


def read(path: Path) -> Config:
    return parse_config(stored_tree(path), str(path))


def cuts(content: bytes) -> list[int]:
    """Lengths to cut it to: each line's end, just before and after it, and others."""
    ends = [length for length in range(len(content)) if content[length : length + 1] == b"\n"]
    return sorted({*range(0, len(content), 23), *ends, *(end + 1 for end in ends), len(content) - 1} - {len(content)})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_config(load_config("qwq", {"edition": "aimo2", "seed": 7, "engine.model": "QwQ"}), tmp_path / "config.toml")
    return tmp_path / "config.toml"


@pytest.mark.parametrize("name", profile_names())
def test_what_is_saved_is_read_back_equal(name: str, tmp_path: Path) -> None:
    save_config(load_config(name), tmp_path / "config.toml")
    assert read(tmp_path / "config.toml") == load_config(name)
    assert list(tmp_path.iterdir()) == [tmp_path / "config.toml"]


def test_a_configuration_cut_anywhere_is_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    for length in cuts(whole[:-1]):
        saved.write_bytes(whole[:length])
        with pytest.raises(ConfigError, match="is not a complete configuration"):
            read(saved)
    saved.write_bytes(whole[:-1])  # all but the last newline
    assert read(saved).edition == "aimo2"


def test_a_configuration_that_lost_a_line_is_refused(saved: Path) -> None:
    lines = saved.read_text().splitlines(keepends=True)
    for number, line in enumerate(lines):
        if " = " in line and not line.endswith("[\n"):
            saved.write_text("".join(lines[:number] + lines[number + 1 :]))
            with pytest.raises(ConfigError, match=r"not a complete configuration \(it has \d+ of its \d+ keys\)"):
                read(saved)


def test_a_configuration_without_its_last_line_is_refused(saved: Path) -> None:
    saved.write_text("".join(saved.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(ConfigError, match="its end is missing"):
        read(saved)


@pytest.mark.parametrize("table", ["engine", "sample", "budget", "sandbox"])
def test_a_configuration_that_lost_a_table_is_refused(saved: Path, table: str) -> None:
    before, _, after = saved.read_text().partition(f"[{table}]\n")
    rest = after.partition("\n[")[1] + after.partition("\n[")[2]
    saved.write_text(before + (rest or after[after.index("# ") :]))
    assert table not in tomllib.loads(saved.read_text())
    with pytest.raises(ConfigError, match="not a complete configuration"):
        read(saved)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"[" * 9_999, b"seed = " + b"1" * 5_000, b"x ="])
def test_what_is_no_configuration_is_refused(saved: Path, content: bytes) -> None:
    saved.write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.toml is not a complete configuration"):
        read(saved)


def test_a_value_may_be_edited_by_hand(saved: Path) -> None:
    saved.write_text(saved.read_text().replace("seed = 7", "seed = 8"))
    assert read(saved).seed == 8


@pytest.mark.parametrize("name", ["practice-text", "practice-tools"])
def test_one_of_an_earlier_version_is_read_and_refused_where_it_was_cut(name: str, tmp_path: Path) -> None:
    whole = (RECORDINGS / name / "config.toml").read_bytes()
    assert b"accept_printed_answer" not in whole
    path = tmp_path / "config.toml"
    path.write_bytes(whole)
    assert read(path).sample.count == 16
    assert read(path).sample.accept_printed_answer is False
    for length in cuts(whole):
        path.write_bytes(whole[:length])
        with pytest.raises(ConfigError, match="is not a complete configuration"):
            read(path)


def test_one_that_cannot_be_written_leaves_the_old_one(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_config(load_config("cpu"), saved)
    assert read(saved).edition == "aimo2"
    with pytest.raises(OSError, match="No space"):
        write_whole(saved.with_name("new"), "text")
    assert list(saved.parent.iterdir()) == [saved]


def test_changed_keys_turn_one_configuration_into_the_other() -> None:
    old = load_config("qwq")
    new = override_config(
        old,
        {
            "seed": 3,
            "engine.url": "http://x:1",
            "vllm.environment": {"A": "1"},
            "vllm.extra_args": ["-x"],
        },
    )
    changed = changed_keys(old.model_dump(), new.model_dump())
    assert set(changed) == {"seed", "engine.url", "vllm.environment", "vllm.extra_args"}
    assert override_config(old, changed) == new
    assert changed_keys(old.model_dump(), old.model_dump()) == {}
