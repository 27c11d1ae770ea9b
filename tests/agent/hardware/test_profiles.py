"""Bundled profiles fit the machines that they are sized for."""

from __future__ import annotations

import pytest

from agent.chat.family import family_names
from agent.config import Config, load_config, profile_names
from agent.engine.vllm.command import launch_settings
from agent.errors import ConfigError
from agent.hardware.capacity import CapacityPlan
from agent.hardware.detect import CPU, Gpu, check_profile, profile_plan, read_model
from agent.hardware.devices import KNOWN_DEVICES, Device
from agent.hardware.roofline import HARDWARE

KAGGLE = {"l4x4": ("aimo2", "L4", 4), "t4x2": ("aimo1", "T4", 2), "h100": ("aimo3", "H100", 1)}
VLLM = [name for name in profile_names() if load_config(name).engine.kind == "vllm"]
SIZED = [name for name in VLLM if load_config(name).vllm.gpu]  # for one kind of hardware
QWEN2 = ("qwq-calls", "qwq-preview", "qwen-coder", "openmath-nemotron")  # families of this architecture
# As the driver lists them: the data sheets' figures are rounded down.
LISTED_MEBIBYTES = {"L4": 23_034, "T4": 15_360, "H100": 81_559, "H200": 143_771, "RTX PRO 6000": 97_887}
ON_GPUS = [name for name in SIZED if load_config(name).vllm.gpu != CPU]


def plan_of(config: Config, device: Device | None = None) -> CapacityPlan:
    """The plan on the device, by default that of the data sheets."""
    model = read_model(config)
    assert model is not None
    plan = profile_plan(config, model, device or KNOWN_DEVICES.get(config.vllm.gpu, Device(CPU, 0)))
    assert plan is not None
    return plan


def named_gpus(config: Config) -> tuple[Gpu, ...]:
    kind = config.vllm.gpu
    count = config.vllm.tensor_parallel_size * config.vllm.data_parallel_size
    return (Gpu(f"NVIDIA {kind}", KNOWN_DEVICES[kind].memory_bytes),) * count


def test_all_are_there() -> None:
    kaggle = {"kaggle-l4x4", "kaggle-l4x4-preview", "kaggle-t4x2", "kaggle-t4x2-preview", "kaggle-h100"}
    gpt_oss = {f"{machine}-gpt-oss-{size}" for machine in ("kaggle-h100", "rtx6000") for size in ("120b", "20b")}
    others = {"h200", "rtx6000", "rtx6000-qwen3", "rtx6000-openmath-nemotron", "vllm", "vllm-cpu"}
    assert set(VLLM) >= kaggle | gpt_oss | others
    assert set(VLLM) - set(SIZED) == {"vllm"}


@pytest.mark.parametrize("name", SIZED)
def test_its_lanes_fit_the_memory_that_it_is_sized_for(name: str) -> None:
    config = load_config(name)
    plan = plan_of(config)
    assert plan.fits, plan.reason
    assert config.sample.count <= plan.lanes_at(plan.mean_context)
    assert config.sample.count <= config.vllm.max_num_seqs  # none waits for another


@pytest.mark.parametrize("name", ON_GPUS)
def test_its_lanes_use_the_memory_that_it_is_sized_for(name: str) -> None:
    config = load_config(name)
    plan = plan_of(config)
    assert config.sample.count * plan.mean_context > 0.7 * plan.kv_tokens


@pytest.mark.parametrize("name", SIZED)
def test_one_lane_fits_every_way_in_which_the_server_is_started(name: str) -> None:
    config = load_config(name)
    device = Device(config.vllm.gpu, LISTED_MEBIBYTES.get(config.vllm.gpu, 0) << 20)
    for step in launch_settings(config.vllm):
        plan = plan_of(config.model_copy(update={"vllm": step.settings}), device)
        assert plan.fits, f"{step.name}: {plan.reason}"


@pytest.mark.parametrize("name", [name for name in VLLM if load_config(name).sample.family in QWEN2])
def test_the_kv_cache_of_qwen2s_architecture_keeps_16_bits(name: str) -> None:
    assert load_config(name).vllm.kv_cache_dtype == "auto"


@pytest.mark.parametrize("name", ["kaggle-h100", "h200"])
def test_a_replay_has_the_speed_of_the_profile_of_that_name(name: str) -> None:
    plan, replayed = plan_of(load_config(name)), HARDWARE[name]
    for lanes in (1, 8):
        seconds, _ = replayed.step_seconds(lanes, lanes * 8_192)
        assert lanes / (seconds * replayed.efficiency) == pytest.approx(plan.tokens_per_second(lanes, 8_192), rel=0.01)


@pytest.mark.parametrize("name", VLLM)
def test_a_lane_has_room_for_its_prompt(name: str) -> None:
    config = load_config(name)
    room = config.engine.context_tokens - config.sample.max_tokens - config.sample.answer_tokens
    assert 512 <= room <= config.engine.context_tokens / 4 or config.sample.family == "qwen-coder"
    assert room >= 512


@pytest.mark.parametrize("name", ON_GPUS)
def test_it_runs_on_its_gpus_and_not_on_fewer(name: str) -> None:
    config = load_config(name)
    check_profile(config, named_gpus(config))
    with pytest.raises(ConfigError, match=rf"^profile {name}: it needs \d"):
        check_profile(config, named_gpus(config)[1:])


@pytest.mark.parametrize("name", VLLM)
def test_its_engine_has_what_it_needs(name: str) -> None:
    config = load_config(name)
    assert config.engine.url == ""
    assert bool(config.engine.model) == (name != "vllm")
    assert config.sample.family in family_names()
    assert (config.vllm.gpu == CPU) == ("VLLM_CPU_KVCACHE_SPACE" in config.vllm.environment)


@pytest.mark.parametrize("name", [name for name in VLLM if load_config(name).sample.family.startswith("qwq")])
def test_qwq_is_sampled_as_its_authors_recommend(name: str) -> None:
    sampling = load_config(name).sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p) == (0.6, 0.95, 40, 0.0)


@pytest.mark.parametrize("name", [name for name in VLLM if load_config(name).sample.family == "gpt-oss"])
def test_gpt_oss_is_sampled_as_its_authors_recommend_and_may_call_python_often(name: str) -> None:
    config = load_config(name)
    assert (config.sampling.temperature, config.sampling.top_p, config.sampling.top_k) == (1.0, 1.0, 0)
    assert config.sample.max_rounds >= 96  # the most seen in a sample; half of them call more than 18 times


@pytest.mark.parametrize("name", [name for name in VLLM if name.startswith("kaggle-") and name.split("-")[1] in KAGGLE])
def test_kaggles_hardware_goes_with_its_edition(name: str) -> None:
    config = load_config(name)
    edition, kind, count = KAGGLE[name.split("-")[1]]
    assert (config.edition, config.vllm.gpu, config.vllm.tensor_parallel_size) == (edition, kind, count)
    assert config.vllm.data_parallel_size == 1
    assert config.time_limit_seconds == config.rules.time_limit_seconds  # the notebook keeps its own margin
    assert (config.vllm.dtype == "half") == (not KNOWN_DEVICES[kind].since_ampere)


@pytest.mark.parametrize("name", VLLM)
def test_its_budget_can_be_kept(name: str) -> None:
    config = load_config(name)
    budget = config.budget
    assert budget.answer_reserve_seconds < budget.floor_seconds or name == "vllm-cpu"
    assert budget.floor_seconds * config.rules.problem_count <= config.time_limit_seconds
    assert budget.floor_seconds < budget.ceiling_seconds


@pytest.mark.parametrize("name", [name for name in VLLM if name.endswith("-preview")])
def test_the_preview_differs_by_its_model_and_what_depends_on_it(name: str) -> None:
    preview, final = load_config(name), load_config(name.removesuffix("-preview"))
    assert (preview.sample.family, final.sample.family) == ("qwq-preview", "qwq-calls")
    assert "Preview" in preview.engine.model
    assert preview.engine.context_tokens <= 32_768
    assert preview.sampling == final.sampling
    assert preview.budget == final.budget


def test_the_cpu_profile_is_small() -> None:
    config = load_config("vllm-cpu")
    assert config.vllm.enforce_eager
    assert (config.engine.context_tokens, config.sample.count, config.time_limit_seconds) == (2_048, 8, 540)
    assert config.sample.family == "qwen-coder"
