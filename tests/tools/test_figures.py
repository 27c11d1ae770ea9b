"""The figures of README are remade by the commands that it names."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.layout.source import ROOT, text
from tools.bench.engine import _config, add_engine_flags
from tools.figures import FIGURES, TABLE_BUDGETS, TABLE_POLICIES, main, readme_table, results_table

README = text(ROOT / "README.md")


def replayed(oracle: float, mean: float) -> dict[str, Any]:
    """What a replay of two recordings prints."""
    return {
        "bounds": {"a": {"oracle": oracle - 1}, "b": {"oracle": oracle + 1}},
        "policies": {policy: {"mean_correct": mean} for policy in TABLE_POLICIES},
    }


class Commands:
    """Answers each command as if it had run, and keeps what was run."""

    def __init__(self, **told: Any) -> None:
        self.told, self.ran = told, list[str]()

    def __call__(self, command: Sequence[str], **keys: Any) -> subprocess.CompletedProcess[str]:
        self.ran.append(" ".join(command))
        budget = next((name for name, tokens in TABLE_BUDGETS.items() if f" {tokens} " in self.ran[-1]), "")
        return subprocess.CompletedProcess(list(command), self.told.get("status", 0), json.dumps(self.told.get(budget)))


def test_the_rows_and_policies_are_those_of_the_readme() -> None:
    labels = [row[0] for row in readme_table(README)]
    assert labels == [row[0] for row in results_table({name: replayed(1.0, 1.0) for name in TABLE_BUDGETS})]
    shown = " ".join(README.replace("\\\n", " ").split())
    policies = " ".join(f"--policy {policy}" for policy in TABLE_POLICIES)
    assert f"python -m tools.replay traces --budget-tokens 9000 --repeats 40 {policies}" in shown


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_each_command_is_named_in_the_readme_or_in_that_of_the_benchmarks(figure: Any) -> None:
    named = f"{README}\n{text(ROOT / 'tools/bench/README.md')}".replace("\\\n", " ")
    assert shlex.join(figure.command) in re.sub(" +", " ", named)


def test_what_a_figure_shows_is_what_its_command_measures(tmp_path: Path) -> None:
    """The agent beside vLLM's own client: the engine is a vLLM, with the lanes that README names."""
    figure = next(each for each in FIGURES if each.name == "engine")
    parser = argparse.ArgumentParser()
    add_engine_flags(parser)
    args = parser.parse_args(figure.filled[figure.filled.index("engine") + 1 :])
    config = _config(args, tmp_path)
    assert "vLLM's own client" in figure.shows and (config.engine.kind, config.vllm.load_format) == ("vllm", "auto")
    named = re.search(r"\((\d+) lanes\) and [\d.]+\s\((\d+)\)", README)
    assert named and args.lanes == tuple(map(int, named.groups()))
    assert Path(config.engine.model).is_absolute() and figure.vllm


def test_the_model_that_a_figure_needs_is_said_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = next(each for each in FIGURES if each.name == "engine")
    monkeypatch.setattr("tools.figures._ROOT", tmp_path)
    monkeypatch.setenv("AIMO_AGENT_CACHE", str(tmp_path / "cache"))
    assert "bin/python is missing" in figure.missing
    (tmp_path / ".venv-vllm" / "bin").mkdir(parents=True)
    (tmp_path / ".venv-vllm" / "bin" / "python").touch()
    assert "smollm2-135m" in figure.missing and "make test-vllm makes it" in figure.missing
    Path(figure.filled[figure.filled.index("--model") + 1]).mkdir(parents=True)
    assert figure.missing == ""


def test_the_table_is_compared_with_the_one_that_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {row[0]: [float(cell.strip("*")) for cell in row[1:]] for row in readme_table(README)}
    oracle, *others = rows.values()
    told = {name: replayed(oracle[place], 0.0) for place, name in enumerate(TABLE_BUDGETS)}
    for policy, values in zip(TABLE_POLICIES, others, strict=True):
        for name, value in zip(TABLE_BUDGETS, values, strict=True):
            told[name]["policies"][policy]["mean_correct"] = value + 0.04
    monkeypatch.setattr("subprocess.run", commands := Commands(**told))
    argv = ["results", "--traces", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(argv) == 0
    assert "results.md, as README.md shows it" in " ".join(capsys.readouterr().err.split())
    assert len(commands.ran) == 2 and all("--repeats 40" in command for command in commands.ran)
    assert all(command.startswith(f"{sys.executable} -m tools.replay ") for command in commands.ran)
    told["9k"]["policies"]["price"]["mean_correct"] += 0.1
    assert main(argv) == 1
    assert "not as README.md shows it" in " ".join(capsys.readouterr().err.split())


def test_what_cannot_be_made_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("subprocess.run", Commands(status=3))
    monkeypatch.setattr("tools.figures._ROOT", tmp_path)
    traces = ["--traces", str(tmp_path / "none")]
    assert main(["results", *traces, "--out", str(tmp_path)]) == 2
    assert "python -m tools.traces fetches it" in " ".join(capsys.readouterr().err.split())
    with monkeypatch.context() as patched:
        patched.setattr("tools.figures.FIGURES", ())
        assert main([*traces, "--out", str(tmp_path)]) == 0
    assert "results: left out, as" in capsys.readouterr().err
    assert main(["engine", "--out", str(tmp_path)]) == 0
    assert "engine: left out, as" in capsys.readouterr().err
    assert main(["predict", "--out", str(tmp_path)]) == 1
    assert "ended with status 3" in " ".join(capsys.readouterr().err.split())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["tests", "--out", str(tmp_path)]) == 0
    assert "tests: left out, as make is not installed" in capsys.readouterr().err
    assert main(["engin"]) == 2
    assert "did you mean engine?" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "out" / "predict.txt").mkdir(parents=True)
    for out in ("file", "out"):
        assert main(["predict", "--out", str(tmp_path / out)]) == 2
        assert "name another --out" in " ".join(capsys.readouterr().err.split())
    assert main(["--list"]) == 0
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "results", *(figure.name for figure in FIGURES),
    ]  # fmt: skip
