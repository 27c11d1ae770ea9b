"""The command that lists the models in the caches and removes them."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from rich.console import Console

from agent.journal.journal import create_run
from agent.models.cache_folder import lock_of, locked, models_folder
from agent.models.command import main
from agent.models.known import known_models
from agent.models.store import exact_name, fetch_model
from agent.types import Problem
from tests.support.doubles import config_with
from tests.support.servers.hub_stand_in import COMMIT, HubStandIn, serving_hub

FILE = "hf:someone/tiny-GGUF/q4/tiny.gguf"
TOP = "hf:someone/tiny-GGUF/top.gguf"
DIRECTORY = "hf:someone/Tiny-1B"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    with serving_hub(monkeypatch, tmp_path) as serving:
        serving.repositories["someone/tiny-GGUF"] = {"q4/tiny.gguf": b"GGUF" * 1_000, "top.gguf": b"GGUF"}
        serving.repositories["someone/Tiny-1B"] = {"config.json": b"{}", "model.safetensors": b"x" * 2_000_000}
        yield serving


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The lines of the table by their first words."""
    capsys.readouterr()
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    return {line.split()[0]: line.rstrip() for line in lines if line.strip()}


def put_known(name: str, suffix: str = "", size: int = 1_000_000) -> Path:
    path = models_folder() / f"{known_models()[name].file}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path


def test_an_empty_cache_says_where_it_would_be(hub: HubStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    told = capsys.readouterr().out
    assert told.startswith("no models in the cache\n")
    assert f"models are kept in {models_folder()} (AIMO_AGENT_CACHE moves it)" in told


def test_models_are_listed_with_their_size_and_users(
    hub: HubStandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_known("qwen2.5-coder-1.5b")
    exact = exact_name(FILE, directory=False)
    fetch_model(DIRECTORY)
    create_run(Path("runs/one"), config_with(engine__model=exact), [Problem("a", "What?")])
    create_run(Path("runs/two"), config_with(engine__model=f"{DIRECTORY}@{COMMIT}"), [Problem("a", "What?")])
    Path("runs/broken").mkdir()
    Path("runs/broken/config.toml").write_text("engine = ")
    lines = listed(capsys)
    assert lines["qwen2.5-coder-1.5b"].split()[1:] == ["1", "MB", "profile", "cpu", "ours"]
    assert lines[exact].split()[1:] == ["4", "kB", "runs/one", "ours"]
    assert lines[DIRECTORY].split()[1:3] == ["2", "MB"]
    assert "runs/two" in lines[DIRECTORY]
    assert "the Hub's" in lines[DIRECTORY]
    assert lines["those"].endswith(f"in {constants.HF_HUB_CACHE} (HF_HOME moves it)")
    assert lines["3"].startswith("3 MB in all;")


def test_what_is_left_of_a_download_is_said_to_be(hub: HubStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    put_known("qwen2.5-coder-0.5b", ".0123456789ab.part")
    put_known("smollm2-135m", ".wrong")
    part = models_folder() / "hub" / "someone" / "tiny-GGUF" / ("0" * 64) / "q4" / "tiny.gguf.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"GG")
    (models_folder() / "mine.gguf").write_bytes(b"GGUF")
    lines = listed(capsys)
    assert lines["qwen2.5-coder-0.5b"].endswith("download not finished")
    assert lines["smollm2-135m"].endswith("wrong digest")
    assert lines[f"{FILE}@{'0' * 64}"].endswith("download not finished")
    assert str(models_folder() / "mine.gguf") in lines


def test_removing_a_model_leaves_the_others_and_no_empty_folder(
    hub: HubStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    put_known("qwen2.5-coder-1.5b")
    put_known("qwen2.5-coder-0.5b")
    fetch_model(FILE)
    fetch_model(TOP)
    capsys.readouterr()
    assert main(["--remove", "qwen2.5-coder-1.5b", FILE, TOP]) == 0
    told = capsys.readouterr().out
    assert told.startswith("removed qwen2.5-coder-1.5b (1 MB)\n")
    assert f"removed {FILE}@" in told
    assert [path.name for path in models_folder().iterdir()] == [known_models()["qwen2.5-coder-0.5b"].file]


def test_removing_the_only_file_of_a_repository_leaves_nothing(hub: HubStandIn) -> None:
    fetch_model(TOP)
    assert main(["--remove", TOP]) == 0
    assert list(models_folder().iterdir()) == []


def test_a_repository_is_removed_from_the_hubs_cache(hub: HubStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    fetch_model(DIRECTORY)
    capsys.readouterr()
    assert main(["--remove", DIRECTORY]) == 0
    assert f"removed {DIRECTORY} (2 MB)" in capsys.readouterr().out
    assert not list(Path(constants.HF_HUB_CACHE).glob("models--*"))


def test_a_name_that_is_not_there_is_refused_with_those_that_are(
    hub: HubStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--remove", "qwen"]) == 2
    assert "error: no model 'qwen': the cache holds none" in capsys.readouterr().err
    put_known("qwen2.5-coder-1.5b")
    assert main(["--remove", "qwen2.5-coder-15b"]) == 2
    told = capsys.readouterr().err
    assert "(did you mean qwen2.5-coder-1.5b?): give one of qwen2.5-coder-1.5b" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("unknown", ["qwen2.5-coder-15b", "hf:someone/tiny-GGUF/nothing.gguf"])
def test_an_unknown_name_among_others_removes_nothing(
    hub: HubStandIn, unknown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put_known("qwen2.5-coder-1.5b")
    assert main(["--remove", "qwen2.5-coder-1.5b", unknown]) == 2
    assert path.exists()
    assert "removed" not in capsys.readouterr().out


def test_a_model_named_twice_is_removed_once(hub: HubStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    exact = exact_name(FILE, directory=False)
    capsys.readouterr()
    assert main(["--remove", FILE, exact]) == 0
    assert capsys.readouterr().out == f"removed {exact} (4 kB)\n"


def test_a_download_that_ends_while_it_is_listed_ends_no_listing(
    hub: HubStandIn, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    part = put_known("qwen2.5-coder-1.5b", ".0123456789ab.part")
    is_file = Path.is_file

    def renamed_then(path: Path) -> bool:
        found = is_file(path)
        if path == part:
            part.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(Path, "is_file", renamed_then)
    assert "qwen2.5-coder-1.5b" in listed(capsys)


def test_whoever_waits_for_a_lock_that_is_removed_meanwhile_takes_the_new_one(tmp_path: Path) -> None:
    target = tmp_path / "model.gguf"
    waiting, entered = threading.Event(), threading.Event()

    class Told(Console):
        def print(self, *objects: object, **style: object) -> None:
            waiting.set()

    def enter() -> None:
        with locked(target, Told()):
            entered.set()

    with locked(target, None):
        thread = threading.Thread(target=enter, daemon=True)
        thread.start()
        assert waiting.wait(20)
        lock_of(target).unlink()
        taken = lock_of(target).open("w")
        fcntl.flock(taken, fcntl.LOCK_EX)
        waiting.clear()
    assert waiting.wait(20)  # again, for whoever holds the new one
    assert not entered.is_set()
    taken.close()
    assert entered.wait(20)
    thread.join()


def test_a_model_that_is_being_fetched_is_not_removed(hub: HubStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    path = put_known("qwen2.5-coder-1.5b", ".0123456789ab.part")
    with lock_of(path.with_name(known_models()["qwen2.5-coder-1.5b"].file)).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(["--remove", "qwen2.5-coder-1.5b"]) == 2
    assert "is just being fetched by another process" in capsys.readouterr().err
    assert path.exists()
