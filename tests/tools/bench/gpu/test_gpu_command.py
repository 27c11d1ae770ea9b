"""The command on a stand-in for vLLM, which refuses the flags and the speculation that vLLM refuses."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.config import load_config
from agent.errors import EngineError
from tests.support.servers.vllm_doubles import plan
from tools.bench import command
from tools.bench.clients import Draw, Speed
from tools.bench.dummy_model import write_dummy
from tools.bench.gpu import measure, opened
from tools.bench.gpu.record import MEASUREMENTS

pytestmark = pytest.mark.process

REPLY = "So it is 15 times 15, and that is \\boxed{225}. " * 9
Bench = Callable[..., int]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A directory of a model, whose weights the stand-in does not read."""
    (tmp_path / "tokenizer.json").write_text("{}")
    return write_dummy("tiny", tmp_path, tmp_path / "model")


@pytest.fixture
def bench(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Measure the model on the stand-in, recorded in "matrix" unless the flags resume one; returns the status."""

    async def redrawn(draw: Draw, python: str, tokenizer: str, folder: Path) -> Speed:
        return Speed(sum(sample.tokens for sample in draw.samples), 1.0, 0.1)

    environment = plan(tmp_path, reply=REPLY)
    monkeypatch.setattr(measure, "through_vllms_client", redrawn)
    monkeypatch.setattr("tools.bench.gpu.command.bounding_device", lambda config: None)
    for name, value in {"vllm_version": "0.32.0", "machine_name": "1 x Abacus"}.items():
        monkeypatch.setattr(opened, name, lambda settings, value=value: value)

    def run(*flags: str) -> int:
        if "--resume" in flags:
            return command.main(["gpu", *flags])
        table = ", ".join(f"{name} = {json.dumps(value)}" for name, value in environment.items())
        settings = [f"--set=vllm.environment={{{table}}}", "--set=sample.count=2", "--set=stopping.rule=wait-for-all"]
        fixed = [
            "--profile=vllm-cpu",
            "--set=engine.context_tokens=4096",
            "--tokens=5",
            "--weights=stored",
            "--kv=auto",
        ]
        return command.main(["gpu", str(model), *fixed, f"--run-dir={tmp_path / 'matrix'}", *settings, *flags])

    return run


def results_in(directory: Path) -> Any:
    return json.loads((directory / "results.json").read_text())


def starts(folder: Path) -> int:
    return sum("flags" in json.loads(line) for line in (folder / "seen.jsonl").read_text().splitlines())


def test_a_matrix_is_measured_recorded_resumed_and_its_best_profile_loads(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "matrix"
    assert bench("--lanes=1,2", "--limit=1", "--speculation=none,ngram,suffix") == 0
    found = results_in(directory)
    assert [(each["variant"]["speculation"], each["lanes"], each["acceptance"]) for each in found["speeds"]] == [
        *(("none", 1, None), ("none", 2, None), ("ngram", 1, 0.5), ("ngram", 2, 0.5)),
    ]
    assert all(
        each["agent"]["tokens"] == 5 * each["lanes"] and each["agent"]["first_token"] for each in found["speeds"]
    )
    assert [(each["right"], len(each["problems"]), each["problems"][0]["votes"]) for each in found["accuracies"]] == [
        (1, 1, 2)
    ] * 2
    assert [each["variant"]["speculation"] for each in found["servers"]] == ["none", "ngram"]
    assert all("first token" in each["parts"] for each in found["servers"])
    (refused,) = found["refused"]
    assert (refused["speculation"], refused["step"]) == ("suffix", "server")
    assert refused["reason"].startswith("ImportError: Arctic Inference is required for suffix decoding.")
    assert not found["left"] and refused["reason"] in (directory / "page.html").read_text()
    profile = load_config(directory / "best.toml")
    assert profile.engine.model == str(tmp_path / "model") and profile.sample.count == found["best"]["lanes"]
    assert profile.sample.tools and profile.sample.max_tokens == load_config("vllm-cpu").sample.max_tokens
    assert tomllib.loads((directory / "best.toml").read_text())["engine"]["port"] == 0
    capsys.readouterr()

    lines = (directory / MEASUREMENTS).read_text().splitlines(keepends=True)
    (directory / MEASUREMENTS).write_text("".join(lines[:-1]))  # the refusal of suffix is measured again
    monkeypatch.chdir(tmp_path)
    assert (starts(tmp_path), bench("model", "--resume", "matrix")) == (2, 0)
    assert results_in(directory)["refused"] == found["refused"]
    assert "best:" in capsys.readouterr().out
    for flags, words in (
        (["other/model", "--resume", str(directory)], "the model of .* was .*model and is other/model here"),
        (
            ["--lanes=4", "--resume", str(directory)],
            "--resume takes what the matrix was started with: leave out --lanes",
        ),
        (["--resume", str(tmp_path)], "holds no matrix"),
    ):
        assert refusal(bench, capsys, *flags, words=words)
    monkeypatch.setattr(opened, "machine_name", lambda gpu: "2 x Abacus")
    assert refusal(bench, capsys, "--resume", str(directory), words="machine of .* was 1 x Abacus and is 2 x Abacus")
    assert refusal(bench, capsys, words="holds a matrix already: resume it with --resume")


def refusal(bench: Bench, capsys: pytest.CaptureFixture[str], *flags: str, words: str) -> bool:
    """Whether the command ends with status 2 and one line that has the words."""
    assert bench(*flags) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(words, line), line
    return line.startswith("error: ")


def test_an_unknown_flag_of_the_server_is_told_in_the_table(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("--speculation=none", "--lanes=1", "--accuracy=none", "--set=vllm.extra_args=['--no-such-flag']") == 0
    (refused,) = results_in(tmp_path / "matrix")["refused"]
    assert "unrecognized arguments: --no-such-flag" in refused["reason"]
    assert "nothing was measured" in capsys.readouterr().out


def test_where_vllms_own_client_fails_the_agents_speed_is_kept(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*args: Any) -> Speed:
        raise EngineError("vLLM's benchmark client failed: ModuleNotFoundError: No module named 'pandas'")

    monkeypatch.setattr(measure, "through_vllms_client", failing)
    assert bench("--speculation=none", "--lanes=1", "--accuracy=none") == 0
    found = results_in(tmp_path / "matrix")
    (speed,) = found["speeds"]
    assert (speed["vllm"], speed["ratio"], found["refused"]) == (None, None, []) and speed["agent"]["tokens"] == 5
    assert "benchmark client failed" in capsys.readouterr().err and found["best"]["lanes"] == 1


def test_an_interrupt_keeps_what_was_measured(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    async def interrupted(*args: Any) -> Speed:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return Speed(5, 1.0, 0.1)

    monkeypatch.setattr(measure, "through_vllms_client", interrupted)
    assert bench("--speculation=none", "--lanes=1,2", "--accuracy=none") == 130
    assert [each["lanes"] for each in results_in(tmp_path / "matrix")["speeds"]] == [1]
    assert f"interrupted; resume with: python -m tools.bench gpu --resume {tmp_path / 'matrix'}" in (
        capsys.readouterr().err.replace("python3", "python")
    )


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--set=vllm.extra_args=['--speculative-config={}']"], "which the matrix varies"),
        (["--set=vllm.max_num_seqs=4"], "vllm.max_num_seqs is 4, less than 64 lanes"),
        (["--dummy=tiny"], "both a model and --dummy were given"),
        (["--weights=awq"], "--weights awq makes random weights"),
        (["--profile=cpu"], "profile cpu starts no vLLM"),
        (["--time-limit=soon"], "--time-limit 'soon' is not valid"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_a_server_starts(
    bench: Bench, flags: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refusal(bench, capsys, *flags, words=words)
    assert not (tmp_path / "seen.jsonl").exists() and not (tmp_path / "matrix").exists()


@pytest.mark.parametrize("flag", ["--weights=int4", "--kv=fp9", "--speculation=eagle", "--lanes=0", "--lanes=8,,16"])
def test_an_unknown_value_of_an_axis_is_bad_usage(bench: Bench, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        bench(flag)
    assert caught.value.code == 2 and capsys.readouterr().err
