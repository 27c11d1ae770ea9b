"""The directory of a matrix while this process holds it: a new one, or one that is resumed."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.cli.arguments import set_keys
from agent.config import Config, load_config, parse_config
from agent.errors import ConfigError, InputError
from agent.files.renamed_keys import renamed_tree
from agent.hardware.detect import check_profile, find_gpus
from agent.journal.claim import claim
from agent.journal.run_directory import new_directory
from agent.problems.reader import BUNDLED, load_problems
from agent.types import Problem
from tools.bench.gpu.machine import machine_name, vllm_version
from tools.bench.gpu.matrix import KV_CACHES, SPECULATIONS, ServingMatrix, check_extra_args
from tools.bench.gpu.model import ModelToServe, given_model, random_model, real_model, resumed_model
from tools.bench.gpu.record import MEASUREMENTS, append_record, read_matrix
from tools.bench.gpu.results import MatrixPlan, MatrixResults

_LANES = (8, 16, 32, 64)
_TOKENS = 256
_PROBLEMS = "starter"
NO_PROBLEMS = "none"


@dataclass(frozen=True, slots=True)
class OpenMatrix:
    """A matrix in its directory, with the model that it serves and the problems of its accuracy."""

    directory: Path
    results: MatrixResults
    model: ModelToServe
    problems: Sequence[Problem]


@contextmanager
def new_matrix(args: argparse.Namespace) -> Iterator[OpenMatrix]:
    """Begin a matrix in a directory that is held as long as the context lasts.

    Raises InputError, ConfigError or ModelError before anything is measured.
    """
    config = _base_config(args)
    version = vllm_version(config.vllm)
    with new_directory(args.run_dir, "gpu-") as directory:
        if (directory / MEASUREMENTS).exists():
            raise InputError(f"{directory} holds a matrix already: resume it with --resume, or name another --run-dir")
        random = args.dummy or ""
        model = random_model(config, random, args.tokenizer, directory) if random else real_model(config)
        matrix = ServingMatrix(
            args.weights or model.default_weights,
            args.kv or KV_CACHES,
            args.speculation or tuple(SPECULATIONS),
            args.lanes or _LANES,
        )
        model.check_weights(matrix.weights)
        named = args.accuracy or (NO_PROBLEMS if random else _PROBLEMS)
        problems = _problems(named, args.limit)
        plan = MatrixPlan(
            model=random or model.config.engine.model,
            digest=model.digest,
            random=random,
            machine=machine_name(config.vllm.gpu),
            vllm=version,
            profile=config.profile,
            config=model.config.model_dump(mode="json"),
            matrix=matrix,
            tokens=args.tokens or _TOKENS,
            problems=named if problems else "",
            problem_count=len(problems),
        )
        _check_any_fits(plan, model)
        append_record(directory, plan)
        yield OpenMatrix(directory, MatrixResults(plan), model, problems)


@contextmanager
def resumed_matrix(directory: Path, model_name: str | None) -> Iterator[OpenMatrix]:
    """Take up the matrix in a directory, which is held as long as the context lasts.

    Raises InputError if there is none, or it was measured with another model, machine or vLLM.
    """
    if not (directory / MEASUREMENTS).is_file():
        raise InputError(f"{directory} holds no matrix: give --resume the directory of one")
    with claim(directory):
        results = read_matrix(directory).to_resume()
        plan = results.plan
        config = parse_config(renamed_tree(plan.config), str(directory / MEASUREMENTS))
        named = plan.model if model_name is None else given_model(model_name)
        # A model of the Hub may be given without the commit that was found.
        _check_same(directory, "the model", plan.model, plan.model if plan.model.startswith(f"{named}@") else named)
        model = resumed_model(config, plan.random, directory)
        _check_same(directory, "the model's files", plan.digest or "unknown", model.digest or "unknown")
        _check_same(directory, "the machine", plan.machine, machine_name(config.vllm.gpu))
        _check_same(directory, "vLLM", plan.vllm, vllm_version(config.vllm))
        yield OpenMatrix(directory, results, model, _problems(plan.problems or NO_PROBLEMS, plan.problem_count))


def _base_config(args: argparse.Namespace) -> Config:
    """The configuration that the matrix varies. Raises ConfigError or InputError where it starts no vLLM."""
    if args.model and args.dummy:
        raise InputError("both a model and --dummy were given: give one of them")
    lanes = args.lanes or _LANES
    keys: dict[str, Any] = {"vllm.max_num_seqs": max(lanes), **set_keys(args.set or ())}
    keys |= {"engine.model": given_model(args.model)} if args.model else {}
    keys |= {"engine.model": args.dummy} if args.dummy else {}
    if args.python:  # a program of the search path keeps its bare name
        keys["vllm.python"] = str(Path(args.python).absolute()) if "/" in args.python else args.python
    profile = args.profile or ("vllm" if find_gpus() else "vllm-cpu")
    config = load_config(profile, keys)
    if config.engine.kind != "vllm":
        raise ConfigError(f"profile {config.profile} starts no vLLM: give one whose engine.kind is 'vllm'")
    if config.vllm.max_num_seqs < max(lanes):
        raise ConfigError(
            f"vllm.max_num_seqs is {config.vllm.max_num_seqs}, less than {max(lanes)} lanes: raise it, or give fewer "
            "--lanes"
        )
    check_extra_args(config.vllm.extra_args)
    return config


def _check_any_fits(plan: MatrixPlan, model: ModelToServe) -> None:
    """Raise the ConfigError of the first variant if by arithmetic none fits this machine."""
    gpus, first = find_gpus(), None
    for variant in plan.matrix.variants:
        try:
            check_profile(model.served(variant), gpus)
        except ConfigError as error:
            first = first or error
        else:
            return
    if first is not None:
        raise first


def _check_same(directory: Path, what: str, recorded: str, found: str) -> None:
    if recorded != found:
        raise InputError(
            f"{what} of {directory} was {recorded} and is {found} here: resume it where it was measured, or start "
            "another matrix in another --run-dir"
        )


def _problems(named: str, count: int | None) -> Sequence[Problem]:
    return [] if named == NO_PROBLEMS else load_problems(BUNDLED[named])[:count]
