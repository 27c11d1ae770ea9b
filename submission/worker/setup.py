"""What the worker runs: which of the attached models, as which family, under which profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from agent.chat.family import AUTO, load_family
from agent.chat.recognize import recognized_family
from agent.config import Config, load_config, profile_names
from agent.errors import AgentError, ConfigError
from agent.hardware.detect import Gpu, describe, lesser_gpus, profile_problem, read_description, read_model
from agent.hardware.shapes import ModelShape
from agent.hardware.sizing import Sizing, size_model, size_unknown
from agent.models.chat_template import family_of_model
from submission.protocol import AUTO_PROFILE, REHEARSED, WorkerSettings
from submission.worker.candidates import Candidate, check_writes_text, ranked_candidates

_ANY_GPU, _CPU = "vllm", "cpu"  # the profiles to set out from where none is made for the model
_FP8_KV = ("qwen3",)  # kinds of models, by the beginnings of their names in config.json, that are known to bear it
_SAME_SIZE = 0.03  # two descriptions of the same weights differ by less


@dataclass(frozen=True, slots=True)
class Setup:
    """A profile with its overrides (dotted keys), and what it is, in a line or two."""

    profile: str
    overrides: Mapping[str, Any]
    text: str


def choose_setup(settings: WorkerSettings, gpus: Sequence[Gpu]) -> Setup:
    """Choose a model among those of the settings, and for `auto` the profile too.

    The model of a server at a URL, and one that the overrides name, stay as they are. The engine of a rehearsal takes
    the place of the chosen one at last.
    Raises ConfigError if no model suits the profile and the GPUs, with the reason for each.
    """
    chosen = _chosen(settings, gpus)
    if not settings.stand_in:
        return chosen
    replaced = ", ".join(f"{key} = {value}" for key, value in settings.stand_in.items())
    text = f"{chosen.text}\n{REHEARSED} with another engine and model: {replaced}"
    return Setup(chosen.profile, {**chosen.overrides, **settings.stand_in}, text)


def _chosen(settings: WorkerSettings, gpus: Sequence[Gpu]) -> Setup:
    automatic = settings.profile == AUTO_PROFILE
    config = load_config(_ANY_GPU if automatic else settings.profile, settings.overrides)
    own = settings.overrides.get("engine.model")
    if config.engine.kind == "http" or (own and not automatic):
        profile = _ANY_GPU if automatic else settings.profile
        return Setup(profile, settings.overrides, f"{config.engine.model or config.engine.url}, {_summary(config)}")
    models = [str(own)] if own else settings.models
    named = "" if automatic else config.engine.model
    candidates = ranked_candidates(models, named=named, sources=settings.sources)
    faults: dict[Candidate, str] = {}
    for candidate in candidates:
        try:
            check_writes_text(candidate)
            suit = _automatic(candidate, settings, gpus) if automatic else _profiled(candidate, config, settings, gpus)
        except AgentError as error:
            faults[candidate] = str(error)
            continue
        rest = [other for other in candidates if other != candidate]
        return Setup(suit.profile, suit.overrides, "\n".join([suit.text, *_others(rest, faults)]))
    if not candidates:
        raise ConfigError("no model is attached: attach one, a directory with safetensors or a GGUF file")
    raise ConfigError("no attached model suits: " + "; ".join(f"{each}: {fault}" for each, fault in faults.items()))


def _profiled(candidate: Candidate, config: Config, settings: WorkerSettings, gpus: Sequence[Gpu]) -> Setup:
    """The setup of the named profile with this model. Raises ConfigError if it cannot run it."""
    if candidate.is_directory != (config.engine.kind == "vllm"):
        wanted = "a directory" if config.engine.kind == "vllm" else "a GGUF file"
        cure = "set its engine.kind to vllm" if candidate.is_directory else "attach one"
        raise ConfigError(f"the profile {settings.profile} runs {wanted}: {cure}, or take the profile auto")
    setup = _setup(candidate, settings.profile, {}, settings, gpus)
    try:
        family = family_of_model(candidate.path)
    except AgentError:
        return setup
    own = load_config(setup.profile, setup.overrides).sample.family
    if load_family(family).dialect == load_family(own).dialect or family == own:
        return setup
    doubt = f"its chat template is that of the family {family}: set sample.family to auto, unless {own} is meant"
    return Setup(setup.profile, setup.overrides, f"{setup.text}\n{doubt}")


def _automatic(candidate: Candidate, settings: WorkerSettings, gpus: Sequence[Gpu]) -> Setup:
    """The setup of a bundled profile made for this model and these GPUs, or else one that is computed.

    Raises AgentError if the model's family is not known, or it does not fit.
    """
    family = str(settings.overrides.get("sample.family", AUTO))
    family = family_of_model(candidate.path) if family == AUTO else family
    if not candidate.is_directory:
        return _setup(candidate, _CPU, {"sample.family": family}, settings, gpus)
    for name in profile_names():
        if _is_made_for(load_config(name), candidate, family, gpus):
            return _setup(candidate, name, {}, settings, gpus)
    told = load_family(family)
    keys = {
        "sample.family": family,
        "sample.max_rounds": told.max_rounds,
        "sample.answer_at_think_close": bool(told.think_close),
    }
    return _setup(candidate, _ANY_GPU, {**_sized(candidate, gpus).keys, **keys}, settings, gpus)


def _is_made_for(config: Config, candidate: Candidate, family: str, gpus: Sequence[Gpu]) -> bool:
    """Whether a bundled profile is for all of these GPUs and the same weights of the same family."""
    count = config.vllm.tensor_parallel_size * config.vllm.data_parallel_size
    if config.engine.kind != "vllm" or count != len(gpus) or {config.vllm.gpu} != {gpu.device.name for gpu in gpus}:
        return False
    with_it = config.model_copy(update={"engine": config.engine.model_copy(update={"model": str(candidate.path)})})
    ours, theirs = read_model(config), read_model(with_it)
    same = ours is not None and theirs is not None and _are_same(ours, theirs)
    return same and recognized_family("", config.engine.model) == family and not profile_problem(with_it, gpus)


def _are_same(one: ModelShape, other: ModelShape) -> bool:
    heads = (one.layers, one.heads, one.kv_heads) == (other.layers, other.heads, other.kv_heads)
    return heads and abs(one.weight_bytes - other.weight_bytes) < _SAME_SIZE * one.weight_bytes


def _sized(candidate: Candidate, gpus: Sequence[Gpu]) -> Sizing:
    shape = read_model(load_config(_ANY_GPU, {"engine.model": str(candidate.path)}))
    if shape is None:
        return size_unknown(candidate.size, gpus)
    kind = str((read_description(candidate.path) or {}).get("model_type", ""))
    return size_model(shape, gpus, fp8_kv=kind.startswith(_FP8_KV))


def _setup(
    candidate: Candidate, profile: str, keys: Mapping[str, Any], settings: WorkerSettings, gpus: Sequence[Gpu]
) -> Setup:
    """The setup of a profile with keys for this model, the user's own on top. Raises ConfigError if it does not fit."""
    overrides = {**keys, **settings.overrides, "engine.model": str(candidate.path)}
    config = load_config(profile, overrides)
    if config.sample.family == AUTO:
        overrides["sample.family"] = family_of_model(candidate.path)
        config = load_config(profile, overrides)
    if config.engine.kind == "vllm":
        fault = profile_problem(config, gpus)
    else:
        memory = psutil.virtual_memory().available
        fault = "" if candidate.size < memory else f"the {memory / 1e9:.1f} GB of free memory are too small for it"
    if fault:
        raise ConfigError(f"profile {config.profile}: {fault}")
    where = describe(gpus) if config.engine.kind == "vllm" else "the CPU"
    computed = ", computed for it," if "vllm.max_num_seqs" in keys else ""
    lesser = lesser_gpus(config, gpus) if config.engine.kind == "vllm" else ""
    lines = [f"{candidate}, {_summary(config)}{computed} on {where}", lesser]
    return Setup(profile, overrides, "\n".join(filter(None, lines)))


def _summary(config: Config) -> str:
    sample = config.sample
    kv_cache = " with an 8-bit KV cache" if config.vllm.kv_cache_dtype == "fp8" else ""
    lanes = f"{sample.count} lanes of up to {config.engine.context_tokens} tokens{kv_cache}"
    return f"family {sample.family}, profile {config.profile}: {lanes}"


def _others(rest: Sequence[Candidate], faults: Mapping[Candidate, str]) -> list[str]:
    if not rest:
        return []
    seen = [f"{other}: {faults[other]}" if other in faults else str(other) for other in rest]
    return [f"not used: {'; '.join(seen)}"]
