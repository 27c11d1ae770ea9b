"""What a call is taken for: flags, texts, names and places as people write them."""

from __future__ import annotations

import argparse
import io
import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from aiohttp import web

from agent.cli.arguments import overrides, parse_arguments
from agent.cli.run_spec import open_run_spec, resume_command
from agent.config import load_config, override_config
from agent.editions import EDITIONS
from agent.errors import InputError, ModelError
from agent.journal.journal import CONFIG_FILE, JOURNAL_FILE, create_run, read_run
from agent.models.cache_folder import models_folder
from agent.types import Problem
from tests.support.calls import Result, command, environment, refused, solve_here
from tests.support.doubles import config_with
from tests.support.servers.scripted_server import ScriptedServer, serving

Here = Callable[..., Result]


class StrictServer(ScriptedServer):
    """Knows the model that it lists, and one alias of it."""

    async def completions(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if body.get("model") not in ("scripted", "alias"):
            return web.json_response({"error": {"message": "The model does not exist."}}, status=404)
        return await super().completions(request)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving(StrictServer(lambda body: "so it is \\boxed{7}")) as running:
        yield running


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """The command in this process, in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: solve_here(capsys, *arguments)


def standard_input(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def left() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*"))


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["x", "--url", "http://127.0.0.1:9"], ["no engine answers"]),
        (["x", "--url", "http://127.0.0.1:9", "--run-dir", "a/b"], ["no engine answers"]),
        (["x", "--url", "127.0.0.1:8000"], ["engine.url", "is not the URL", "http://127.0.0.1:8000"]),
        (["x", "--url", "http://"], ["is not the URL"]),
        (["x", "--url", "ftp://host"], ["is not the URL"]),
        (["x", "--url", "http://host:99999"], ["is not the URL"]),
        (["x", "--url", ""], ["engine.url is needed"]),
        (["x", "--model", "gpt-9"], ["gpt-9"]),
        (["x", "--model", ""], ["--model is empty"]),
        (["x", "--model", "~nobody-here/model.gguf"], ["no home directory", "~nobody-here"]),
        (["x", "--profile", "nope"], ["no profile 'nope'"]),
        (["x", "--profile", ""], ["no profile ''"]),
        (["x", "--profile", "/"], ["profile / cannot be read"]),
        (["x", "--edition", ""], ["unknown edition ''", ", ".join(EDITIONS)]),
        (["x", "--run-dir", ""], ["--run-dir", "is empty"]),
        (["--problems", ""], ["--problems", "is empty"]),
        (["x", "--run-dir", "~nobody-here/x"], ["--run-dir", "no home directory"]),
        (["--problems", "-"], ["--problems cannot be standard input"]),
        (["problems.csv"], ["--problems problems.csv"]),
        (["dir/My.JSONL"], ["--problems dir/My.JSONL"]),
        (["practice"], ["--problems practice"]),
        (["x", "--samples", "0"], ["sample.count", "greater than or equal to 1"]),
        (["x", "--samples", "2.5"], ["--samples", "invalid int"]),
        (["x", "--time-limit", "0"], ["--time-limit '0'", "above 0"]),
        (["x", "--time-limit", "-5"], ["--time-limit"]),
        (["x", "--problems-in-flight", "0"], ["problems_in_flight", "greater than or equal to 1"]),
        (["x", "--seed", "1e3"], ["--seed", "invalid int"]),
        (["x", "--set", "sample.count"], ["KEY=VALUE"]),
        (["x", "--set", "sample={count=4}"], ["sample is a table", "sample.KEY"]),
        (["x", "--samples", "3", "--set", "sample.count=4"], ["--samples and --set sample.count", "give one"]),
        (["x", "--url", "http://a:1", "--set", 'engine.kind="vllm"'], ["--url and --set engine.kind"]),
        (["x", "--set", "seed=" + "9" * 5_000], ["seed", "valid integer"]),
        (["x", "--set", "seed=" + "[" * 5_000], ["seed", "valid integer"]),
        (["x", "--set", "seed=1\nsample.count = 9"], ["seed", "valid integer"]),
        (["x", "--unknown"], ["unrecognized arguments: --unknown"]),
        (["x", "y"], ["unrecognized arguments: y"]),
        (["x\0y"], ["NUL"]),
        (["x\udcff"], ["not UTF-8"]),
        (["x", "--set", "engine.model=\udcff"], ["not UTF-8"]),
        (["--resume", "--run-dir", "x" * 5_000], ["cannot be read", "too long"]),
        (["--resume", "--run-dir", "none", "--samples", "3", "--set", "seed=1"], ["leave out --samples, --set"]),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_cannot_be_used_is_refused_and_leaves_nothing(
    here: Here, arguments: list[str], fragments: list[str]
) -> None:
    refused(here(*arguments), *fragments)
    assert left() == []


@pytest.mark.parametrize("name", ["my problems", "README.md", "notes.txt"])
def test_a_file_that_is_there_is_no_problem_whatever_its_name(here: Here, name: str) -> None:
    Path(name).write_text("id,problem\na,What?\n")
    result = here(name)
    refused(result, f"{name!r} is a file and not the text of a problem: give the text, or -", ".csv")
    assert "--problems" not in result.stderr, "it would be refused there"


def test_a_problem_file_that_is_there_is_to_be_given_as_one(here: Here) -> None:
    Path("my problems.csv").write_text("id,problem\na,What?\n")
    refused(here("my problems.csv"), "--problems 'my problems.csv'")


def test_a_model_that_the_server_does_not_know_leaves_nothing(here: Here, server: ScriptedServer) -> None:
    result = here("x", "--url", server.url, "--model", "nope", "--run-dir", "run")
    refused(result, "the model 'nope' is refused", "lists scripted", "--model")
    assert left() == []
    assert here("x", "--url", server.url, "--model", "alias", "--samples", 1, "--run-dir", "run").returncode == 0
    assert read_run(Path("run")).config.engine.model == "alias"


def test_a_directory_that_holds_a_run_is_refused_before_an_engine_is_looked_for(here: Here) -> None:
    create_run(Path("run"), config_with(), [Problem("a", "What?")])
    (Path("run") / JOURNAL_FILE).write_text('{"kind": "unknown"}\n')
    refused(here("x", "--url", "http://127.0.0.1:9", "--run-dir", "run"), "already holds a run: resume that")


def test_a_run_that_recorded_nothing_is_started_again(here: Here, server: ScriptedServer) -> None:
    create_run(Path("run"), config_with(), [Problem("a", "What?")])
    assert here("Why?", "--url", server.url, "--samples", 1, "--run-dir", "run").returncode == 0
    assert [problem.text for problem in read_run(Path("run")).problems] == ["Why?"]


def test_a_resumed_run_keeps_its_model_and_records_what_is_changed(here: Here, server: ScriptedServer) -> None:
    first = here("What?", "--url", server.url, "--samples", 2, "--run-dir", "run")
    assert first.returncode == 0, first.stderr
    stored = Path("run", CONFIG_FILE).read_bytes()
    assert read_run(Path("run")).config.engine.model == "scripted"
    Path("run", JOURNAL_FILE).write_bytes(b"")  # all is owed again
    with serving(StrictServer(lambda body: "so it is \\boxed{8}")) as other:
        again = here("--run-dir", "run", "--resume", "--url", other.url, "--model", "scripted", "--time-limit", "1h")
    assert again.returncode == 0, again.stderr
    assert {body["model"] for body in other.bodies} == {"scripted"}
    run = read_run(Path("run"))
    changed = {"engine.url": other.url, "budget.time_limit_seconds": 3_600.0}
    assert [change.changed for change in run.changes] == [changed]
    assert (run.config.engine.url, run.config.engine.model) == (other.url, "scripted")
    assert Path("run", CONFIG_FILE).read_bytes() == stored
    refused(
        here("--run-dir", "run", "--resume", "--model", "alias"), "started with the model scripted: name that or none"
    )


def test_a_server_of_another_model_does_not_continue_a_run(here: Here, server: ScriptedServer) -> None:
    create_run(Path("run"), config_with(engine__model="QwQ-32B-AWQ"), [Problem("a", "What?")])
    refused(here("--run-dir", "run", "--resume", "--url", server.url), "'QwQ-32B-AWQ' is refused")
    assert read_run(Path("run")).changes == ()


def flags(*words: str) -> argparse.Namespace:
    return parse_arguments(words)


@pytest.mark.parametrize(
    ("profile", "model"), [("cpu", ""), ("vllm-cpu", ""), ("kaggle-h100", ""), ("qwq", ""), ("own.toml", "served")]
)
def test_a_url_changes_no_model_that_a_server_can_know(
    profile: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.toml").write_text('[engine]\nkind = "http"\nurl = "http://a:1"\nmodel = "served"\n')
    keys = overrides(flags("--url", "http://b:2"))
    assert load_config(profile, keys).engine.model == model
    assert load_config(profile, overrides(flags("--url", "http://b:2", "--model", "m"))).engine.model == "m"
    assert load_config(profile, keys | {"engine.model": "m"}).engine.model == "m"
    before = load_config(profile)
    assert override_config(before, keys).engine.model == before.engine.model


@pytest.mark.parametrize("text", ["What is 2 + 2?", "  x\n\n", "é∑", "\ufeffx"])
def test_a_problem_comes_from_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    standard_input(monkeypatch, text.encode())
    with open_run_spec(flags("-", "--run-dir", str(tmp_path / "run"))) as spec:
        assert [problem.text for problem in spec.problems] == [text.removeprefix("\ufeff")]


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "empty"), (b" \n", "empty"), (b"\xff\xfe", "UTF-8"), (b"\0", "NUL")]
)
def test_standard_input_that_is_no_problem(
    here: Here, monkeypatch: pytest.MonkeyPatch, content: bytes, reason: str
) -> None:
    standard_input(monkeypatch, content)
    refused(here("-"), reason)
    monkeypatch.setattr(sys, "stdin", None)
    refused(here("-"), "standard input is closed")
    assert left() == []


def test_a_tilde_is_the_home_directory_where_no_shell_replaced_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AIMO_AGENT_CACHE", "~/models here")
    args = flags(
        "--run-dir", "~/a run", "--problems", "~/p.csv", "--model", "~/m.gguf", "--set", "vllm.python=~/bin/py"
    )
    assert (args.run_dir, args.problems) == (tmp_path / "a run", tmp_path / "p.csv")
    config = load_config("vllm", overrides(args))
    assert (config.engine.model, config.vllm.python) == (f"{tmp_path}/m.gguf", f"{tmp_path}/bin/py")
    assert models_folder() == tmp_path / "models here" / "models"
    (tmp_path / "own.toml").write_text("seed = 5")
    assert load_config("~/own.toml").seed == 5


@pytest.mark.parametrize("cache", [Path("~/.cache/aimo-agent"), RuntimeError("no home")])
def test_without_a_home_directory_models_need_one_that_is_named(
    cache: Path | RuntimeError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def user_cache_path(name: str) -> Path:
        if isinstance(cache, RuntimeError):
            raise cache
        return cache

    monkeypatch.delenv("AIMO_AGENT_CACHE", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_path", user_cache_path)
    with pytest.raises(ModelError, match=r"no home directory .* AIMO_AGENT_CACHE"):
        models_folder()


@pytest.mark.parametrize("directory", ["runs/a b", "it's", "$HOME", "-x", 'say "x"', "é", "a;b"])
def test_the_command_that_continues_a_run_can_be_pasted_into_a_shell(directory: str) -> None:
    words = shlex.split(resume_command("agent.solve", Path(directory)))
    args = parse_arguments(words[words.index("agent.solve") + 1 :])
    assert (args.run_dir, args.resume) == (Path(directory), True)


@pytest.mark.process
def test_starts_in_the_same_second_take_names_of_their_own(server: ScriptedServer, tmp_path: Path) -> None:
    words = command("What?", "--url", server.url, "--samples", 1, "--json")
    started = [
        subprocess.Popen(words, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    replies = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], replies
    assert [json.loads(out)["solutions"][0]["answer"] for out, _ in replies] == [7, 7, 7]
    assert len(list((tmp_path / "runs").iterdir())) == 3


@pytest.mark.process
def test_of_two_starts_in_one_directory_one_runs(tmp_path: Path) -> None:
    with serving(StrictServer(lambda body: "so it is \\boxed{7}", pause=0.3)) as server:
        words = command("What?", "--url", server.url, "--samples", 1, "--run-dir", "run")
        started: list[Any] = [
            subprocess.Popen(words, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        errors = [process.communicate(timeout=60)[1] for process in started]
    assert sorted(process.returncode for process in started) == [0, 2]
    assert sum("error: run is in use by another run (process" in error for error in errors) == 1
    assert len(read_run(tmp_path / "run").samples) == 1


def test_a_set_value_is_one_value() -> None:
    keys = overrides(flags("--set", "engine.model=QwQ # 32B", "--set", " seed = 3", "--set", "vllm.extra_args=['-x']"))
    assert keys == {"engine.model": "QwQ # 32B", "seed": 3, "vllm.extra_args": ["-x"]}
    with pytest.raises(InputError, match="KEY=VALUE"):
        overrides(flags("--set", " =3"))
