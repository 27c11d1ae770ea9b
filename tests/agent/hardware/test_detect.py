"""Which hardware is there, and which profile suits it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import load_config
from agent.errors import ConfigError
from agent.hardware.detect import (
    Gpu,
    check_profile,
    describe,
    find_gpus,
    kv_cache_warning,
    parse_gpus,
    profile_plan,
    profile_problem,
    read_model,
    used_memory,
)
from agent.hardware.devices import KNOWN_DEVICES
from agent.hardware.shapes import FP8_BITS, QWQ_32B, QWQ_32B_AWQ
from tests.agent.hardware.test_model_config import QWQ_DESCRIPTION
from tests.support.nvidia_smi import FakeDriver

pytestmark = pytest.mark.process


def gpus(kind: str, count: int, name: str = "") -> tuple[Gpu, ...]:
    return (Gpu(name or f"NVIDIA {kind}", KNOWN_DEVICES[kind].memory_bytes),) * count


def test_the_gpus_that_the_driver_lists(fake_driver: FakeDriver) -> None:
    fake_driver("echo 'NVIDIA L4, 23034'; echo 'Tesla T4, 15360'")
    assert find_gpus() == (Gpu("NVIDIA L4", 23_034 << 20), Gpu("Tesla T4", 15_360 << 20))


def test_only_name_and_memory_are_asked_for(fake_driver: FakeDriver) -> None:
    fake_driver('echo "$#:$1:$2, 1024"')
    assert find_gpus()[0].name == "2:--query-gpu=name,memory.total:--format=csv,noheader,nounits"


@pytest.mark.parametrize(
    "body",
    [
        "echo 'No devices were found'",
        "echo 'NVIDIA L4, 23034'; exit 9",  # the driver has lost a GPU
        "echo 'Failed to initialize NVML: Driver/library version mismatch' >&2; exit 18",
        "kill -9 $$",
        "",
    ],
)
def test_a_driver_that_fails_is_no_gpu(fake_driver: FakeDriver, body: str) -> None:
    fake_driver(body)
    assert find_gpus() == ()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("echo '1024, 23034'; echo '2048, 15360'", (3_072 << 20, 38_394 << 20)),
        ("echo '[N/A], [N/A]'", None),  # memory that is shared with the CPU
        ("echo 'No devices were found'", None),
        ("echo '1024, 23034'; exit 9", None),
    ],
)
def test_the_memory_in_use_is_that_of_all_gpus(
    fake_driver: FakeDriver, body: str, told: tuple[int, int] | None
) -> None:
    fake_driver(body)
    assert used_memory() == told


def test_no_driver_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_gpus() == ()
    (tmp_path / "nvidia-smi").write_text("not executable")
    assert find_gpus() == ()


def test_a_driver_that_hangs_is_killed(fake_driver: FakeDriver) -> None:
    fake_driver("echo 'NVIDIA L4, 23034'; exec /bin/sleep 600")
    started = time.monotonic()
    assert find_gpus(timeout=0.2) == ()
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("NVIDIA L4", "L4"),
        ("Tesla T4", "T4"),
        ("NVIDIA A100-SXM4-80GB", "A100-80"),
        ("NVIDIA A100 80GB PCIe", "A100-80"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX PRO 6000"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "RTX PRO 6000"),
        ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", None),
        ("NVIDIA RTX 6000 Ada Generation", None),
        ("NVIDIA L40S", None),
        ("NVIDIA T400 4GB", None),
        ("NVIDIA A100-SXM4-40GB", None),
        ("NVIDIA H100 PCIe", None),
        ("NVIDIA GH200 480GB", None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
    ],
)
def test_names_of_the_table(name: str, kind: str | None) -> None:
    device = Gpu(name, 5 << 30).device
    assert device.memory_bytes == 5 << 30  # what was found, not what the table says
    assert device.name == (kind or name)
    assert device.bandwidth == (KNOWN_DEVICES[kind].bandwidth if kind else None)


@given(st.text("NA4é٣[]/,. \t\r\n\0\u2028\ufffd"))  # with a digit that is not ours
def test_any_output_is_read_without_an_error(text: str) -> None:
    for gpu in parse_gpus(text):
        assert gpu.name == gpu.name.strip() != ""
        assert gpu.memory_bytes >= 0


names = st.text("ALTH4012,-[]", min_size=1)


@given(st.lists(st.tuples(names, st.integers(0, 10**6))))
def test_what_is_listed_is_found(listed: list[tuple[str, int]]) -> None:
    text = "".join(f"{name}, {mebibytes}\n" for name, mebibytes in listed)
    assert parse_gpus(text) == tuple(Gpu(name, mebibytes << 20) for name, mebibytes in listed)


def test_memory_that_the_driver_does_not_know() -> None:
    assert parse_gpus("NVIDIA GB10, [N/A]\n") == (Gpu("NVIDIA GB10", 0),)
    check_profile(load_config("h200"), parse_gpus("NVIDIA GB10, [N/A]\n"))


def test_gpus_in_words() -> None:
    assert describe(()) == "no GPU"
    assert describe((*gpus("L4", 2), *gpus("T4", 1))) == "2 x NVIDIA L4, 1 x NVIDIA T4"


@pytest.mark.parametrize(
    ("profile", "keys", "found", "message"),
    [
        (
            "kaggle-l4x4",
            {},
            gpus("T4", 2, "Tesla T4"),
            r"^profile kaggle-l4x4: it needs 4 L4 GPUs and nvidia-smi shows 2 x Tesla T4: use a profile that fits "
            r"\(cpu, kaggle-t4x2, kaggle-t4x2-preview, vllm-cpu\), or set vllm\.tensor_parallel_size to at most 2$",
        ),
        ("kaggle-h100", {}, (), r"needs 1 H100 GPU and nvidia-smi shows no GPU: .* fits \(cpu, vllm-cpu\)$"),
        ("kaggle-l4x4", {"vllm.data_parallel_size": 2}, gpus("L4", 4), r"needs 8 L4 GPUs .* 4 x NVIDIA L4"),
        ("kaggle-h100", {}, gpus("L4", 1), r"weights of 34\.3 GB do not fit the memory of 1 x L4: raise"),
        ("kaggle-t4x2", {"engine.context_tokens": 32_768}, gpus("T4", 2), r"KV cache of \d+ tokens, less than"),
        ("kaggle-l4x4", {"vllm.tensor_parallel_size": 3}, gpus("L4", 4), r"heads evenly"),
        ("kaggle-t4x2", {"vllm.dtype": "bfloat16"}, gpus("T4", 2), r"T4 found has no bfloat16: set vllm\.dtype to"),
        ("kaggle-t4x2", {"vllm.kv_cache_dtype": "fp8"}, gpus("T4", 2), r"T4 found has no FP8 KV cache: set"),
        ("kaggle-l4x4-preview", {"engine.context_tokens": 40_960}, gpus("L4", 4), r"context ends at 32768 tokens"),
        ("kaggle-l4x4", {"vllm.gpu": "L5"}, gpus("L4", 4), r"vllm\.gpu is 'L5': give one of L4, T4, A100-80, "),
        ("vllm", {}, gpus("H200", 1), r"engine\.model is empty: give the directory or the name of a model"),
        (
            "vllm-cpu",
            {"vllm.environment": {"VLLM_CPU_KVCACHE_SPACE": "much"}},
            (),
            r"VLLM_CPU_KVCACHE_SPACE is 'much': give a number of GiB",
        ),
        ("vllm-cpu", {"vllm.environment": {"VLLM_CPU_KVCACHE_SPACE": "0.01"}}, (), r"less than one lane's 2048"),
    ],
)
def test_what_does_not_fit_is_a_one_line_message(
    profile: str, keys: dict[str, object], found: tuple[Gpu, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        check_profile(load_config(profile, keys), found)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("profile", "keys", "found"),
    [
        ("kaggle-t4x2", {}, gpus("L4", 2)),  # more than it was sized for
        ("kaggle-h100", {}, gpus("H200", 1)),
        ("kaggle-l4x4", {"vllm.tensor_parallel_size": 1}, (Gpu("a GPU of tomorrow", 200_000_000_000),)),
        ("vllm", {"engine.model": "somebody/else-7b"}, gpus("T4", 1)),  # a model of unknown shape: the server will tell
        ("vllm-cpu", {"vllm.environment": {}}, ()),
        ("cpu", {}, ()),
        ("qwq", {}, ()),
    ],
)
def test_what_may_run_passes(profile: str, keys: dict[str, object], found: tuple[Gpu, ...]) -> None:
    check_profile(load_config(profile, keys), found)


def test_the_smallest_of_unequal_gpus_counts() -> None:
    config = load_config("kaggle-l4x4")
    assert profile_problem(config, gpus("L4", 4)) == ""
    assert "KV cache" in profile_problem(config, (*gpus("L4", 3), Gpu("NVIDIA L4", 8_000_000_000)))


def test_a_models_own_configuration_is_read(tmp_path: Path) -> None:
    description = {
        "model_type": "qwen2",
        "hidden_size": 896,
        "intermediate_size": 4_864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "vocab_size": 151_936,
    }
    (tmp_path / "config.json").write_text(json.dumps(description))
    model = read_model(load_config("vllm", {"engine.model": str(tmp_path)}))
    assert model is not None
    assert (model.layers, model.kv_heads, model.head_dim) == (24, 2, 64)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"model_type": "qwen2"}'])
def test_a_broken_model_configuration_is_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.json"):
        read_model(load_config("vllm", {"engine.model": str(tmp_path)}))


def test_weights_that_the_server_quantizes() -> None:
    online = read_model(load_config("h200", {"engine.model": "Qwen/QwQ-32B", "vllm.quantization": "fp8"}))
    assert online is not None
    assert online.weight_bits == FP8_BITS
    assert read_model(load_config("h200", {"engine.model": "Qwen/QwQ-32B"})) == QWQ_32B


def test_the_profiles_own_settings_are_planned_with() -> None:
    base, device = load_config("kaggle-l4x4"), KNOWN_DEVICES["L4"]
    plan = profile_plan(base, QWQ_32B_AWQ, device)
    narrow = profile_plan(load_config("kaggle-l4x4", {"vllm.kv_cache_dtype": "fp8"}), QWQ_32B_AWQ, device)
    tight = profile_plan(load_config("kaggle-l4x4", {"vllm.gpu_memory_utilization": 0.8}), QWQ_32B_AWQ, device)
    assert plan and narrow and tight
    assert tight.kv_tokens < plan.kv_tokens < narrow.kv_tokens
    assert (plan.parallel, plan.replicas, plan.context_tokens) == (4, 1, base.engine.context_tokens)


@pytest.mark.parametrize(
    "model", ["Qwen/QwQ-32B-AWQ", "nvidia/OpenMath-Nemotron-32B", "Qwen/Qwen2.5-Coder-0.5B-Instruct"]
)
def test_a_kv_cache_in_fp8_is_warned_of_on_qwen2s_architecture(model: str) -> None:
    keys = {"engine.model": model, "vllm.kv_cache_dtype": "fp8"}
    warning = kv_cache_warning(load_config("h200", keys))
    assert warning.endswith("set vllm.kv_cache_dtype to 'auto'") and "\n" not in warning
    assert kv_cache_warning(load_config("h200", keys | {"vllm.kv_cache_dtype": "auto"})) == ""


def test_the_architecture_is_read_from_the_models_directory(tmp_path: Path) -> None:
    def warning(model_type: str) -> str:
        (tmp_path / "config.json").write_text(json.dumps(QWQ_DESCRIPTION | {"model_type": model_type}))
        return kv_cache_warning(load_config("h200", {"engine.model": str(tmp_path), "vllm.kv_cache_dtype": "fp8"}))

    assert "Qwen2's" in warning("qwen2")
    assert warning("qwen3") == warning("llama") == warning("unheard of") == ""


@pytest.mark.parametrize("model", ["Qwen/Qwen3-30B-A3B-Thinking-2507-FP8", "openai/gpt-oss-120b", "an/unknown"])
def test_a_kv_cache_in_fp8_is_not_warned_of_elsewhere(model: str) -> None:
    assert kv_cache_warning(load_config("h200", {"engine.model": model, "vllm.kv_cache_dtype": "fp8"})) == ""
    own = {"engine.url": "http://here", "engine.kind": "http", "vllm.kv_cache_dtype": "fp8", "engine.model": "QwQ-32B"}
    assert kv_cache_warning(load_config("h200", own)) == ""
