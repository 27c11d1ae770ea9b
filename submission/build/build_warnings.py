"""What will keep a built notebook from being pushed, or from running what is attached on the machine's GPUs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from agent.config import Config
from agent.hardware.detect import parse_gpus
from submission.machine import gpus_of
from submission.metadata import below_input, is_mounted_at, mount_of
from submission.protocol import AUTO_PROFILE

NO_OWNER = "owner"
_GGUF = "gguf"


def build_warnings(args: argparse.Namespace, config: Config, machine: str) -> list[str]:
    """A sentence for each, by the build's flags; `config` is that of the profile, `machine` the shape that is asked."""
    found = [*_engine(args.profile, config), *_machine(args.profile, config, machine)]
    if args.owner == NO_OWNER:
        found.append("--owner is missing: give your name on Kaggle, or the notebook cannot be pushed")
    if not args.model_source and not args.dataset_source:
        found.append("no model is attached: give --model-source, or --dataset-source for a dataset that holds one")
    elif args.profile != AUTO_PROFILE and not args.dataset_source:
        found += _frameworks(args.profile, config, args.model_source)
    attached = [*args.model_source, *args.dataset_source]
    path = below_input(args.model)
    if attached and path is not None and not any(is_mounted_at(each, path) for each in attached):
        places = ", ".join(f"/kaggle/input/{mount_of(each)}" for each in attached)
        found.append(f"nothing that is attached will be at --model {args.model}: give {places}, or a path below it")
    return found


def _engine(profile: str, config: Config) -> Iterator[str]:
    if config.engine.kind == "http":
        yield (
            f"the profile {profile} asks the server at {config.engine.url}, which a notebook without internet cannot "
            "reach: give one whose engine.kind is vllm or embedded, or leave --profile out"
        )


def _machine(profile: str, config: Config, machine: str) -> Iterator[str]:
    """Whether the machine's GPUs are fewer than the profile's, or others."""
    found = parse_gpus(gpus_of(machine))
    needed = config.vllm.tensor_parallel_size * config.vllm.data_parallel_size
    if profile == AUTO_PROFILE or config.engine.kind != "vllm" or not config.vllm.gpu or not found:
        return
    if len(found) < needed or {gpu.device.name for gpu in found} != {config.vllm.gpu}:
        yield (
            f"the profile {profile} is for {needed} x {config.vllm.gpu}, and {machine} has {len(found)} x "
            f"{found[0].name}: give another --machine-shape, or leave --profile out"
        )


def _frameworks(profile: str, config: Config, sources: Sequence[str]) -> Iterator[str]:
    """Whether nothing is attached that the profile's engine can load, by the frameworks in Kaggle's names."""
    packed = [source.split("/")[2].lower() == _GGUF for source in sources]
    if config.engine.kind == "vllm" and all(packed):
        yield f"the profile {profile} runs a directory on vLLM, and a GGUF model is attached: leave --profile out"
    if config.engine.kind == "embedded" and not any(packed):
        yield (
            f"the profile {profile} runs a GGUF file on the CPU, and none is attached: give one whose engine.kind is "
            "vllm, or leave --profile out"
        )
