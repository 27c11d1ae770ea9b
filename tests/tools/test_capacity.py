"""The command that prints what the vLLM profiles need and can do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.nvidia_smi import FakeDriver
from tools import capacity


@pytest.mark.process
def test_the_command_prints_all_vllm_profiles(fake_driver: FakeDriver, capsys: pytest.CaptureFixture[str]) -> None:
    fake_driver("echo 'Tesla T4, 15360'; echo 'Tesla T4, 15360'")
    assert capacity.main([]) == 0
    printed = capsys.readouterr().out
    assert "found here: 2 x Tesla T4" in printed
    assert "kaggle-l4x4: it needs 4 L4 GPUs" in printed
    assert "kaggle-t4x2: " not in printed


@pytest.mark.process
def test_the_command_prints_json(fake_driver: FakeDriver, capsys: pytest.CaptureFixture[str]) -> None:
    fake_driver("echo 'NVIDIA H200, 143771'")
    assert capacity.main(["h200", "kaggle-l4x4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["gpus"] == [{"name": "NVIDIA H200", "memory_bytes": 143_771 << 20}]
    h200, l4x4 = told["profiles"]
    assert (h200["fits_here"], h200["problem_here"]) == (True, "")
    assert not l4x4["fits_here"]
    speeds = h200["roofline_tokens_per_second"]
    assert list(speeds) == ["1", "4", "8", "16", "32"]
    low, high = h200["planned_tokens_per_second"]
    assert speeds["4"] / 2 < low < high < speeds["16"]  # at the profile's 20 lanes
    assert speeds["32"] is None  # so many do not fit
    assert h200["total_parameters"] == pytest.approx(32.8e9, rel=0.01)
    assert h200["active_parameters"] == pytest.approx(32.0e9, rel=0.01)


@pytest.mark.process
def test_a_model_with_experts_and_windows_is_planned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "own.toml"
    engine = 'kind = "vllm"\nmodel = "openai/gpt-oss-120b"\ncontext_tokens = 65536\n'
    own.write_text(f'[engine]\n{engine}[vllm]\ngpu = "RTX PRO 6000"\n')
    assert capacity.main([str(own), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["profiles"]
    assert row["total_parameters"] == pytest.approx(116.8e9, rel=0.001)
    assert row["active_parameters"] == pytest.approx(5.1e9, rel=0.01)
    assert row["weight_bytes"] == pytest.approx(65.2e9, rel=0.001)
    assert (row["kv_token_bytes"], row["lanes_that_fit_at_full_context"]) == (36_864, 8)
    assert row["lane_bytes_at_mean_context"] == 36_864 * (32_768 + 128)  # as many layers have a window of 128 tokens


@pytest.mark.process
def test_the_generic_profile_is_planned_on_what_is_found(
    fake_driver: FakeDriver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_driver("echo 'NVIDIA L4, 23034'")
    own = tmp_path / "own.toml"
    own.write_text('[engine]\nkind = "vllm"\nmodel = "Qwen/Qwen2.5-Coder-0.5B-Instruct"\n')
    assert capacity.main([str(own), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["profiles"]
    assert row["fits_here"]
    assert row["kv_tokens"] > 1_000_000


@pytest.mark.process
def test_a_cpu_is_as_fast_as_it_is_told_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert capacity.main(["vllm-cpu", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["profiles"][0]["planned_tokens_per_second"] is None
    assert capacity.main(["vllm-cpu", "--json", "--cpu-bandwidth", "20", "--cpu-flops", "400"]) == 0
    speeds = json.loads(capsys.readouterr().out)["profiles"][0]["roofline_tokens_per_second"]
    assert speeds["1"] == pytest.approx(20, rel=0.02)  # about 1 GB is read for each token


@pytest.mark.process
@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nope"], "no profile 'nope'"),
        (["cpu"], "profile cpu does not start vLLM (engine.kind is 'embedded'): name one of"),
    ],
)
def test_the_command_tells_an_error_in_a_one_line_message(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert capacity.main(argv) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {message}")
    assert printed.err.count("\n") == 1
