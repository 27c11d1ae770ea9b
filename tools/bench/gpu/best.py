"""The best way to serve by the measurements, and the profile that does so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import tomli_w

from agent.config import parse_config
from agent.files.renamed_keys import renamed_tree
from tools.bench.gpu.matrix import ServingVariant
from tools.bench.gpu.results import AccuracyMeasured, MatrixResults, SpeedMeasured
from tools.shared.intervals import Interval, wilson

EQUAL_SHARE = 0.03
"""Speeds that differ by a smaller share count as equal."""
_MEAN_CONTEXT_SHARE = 2  # a lane holds half its context on average


@dataclass(frozen=True, slots=True)
class BestServing:
    """The speed that was chosen; `accuracy` is that of its variant, None where none was measured."""

    speed: SpeedMeasured
    accuracy: AccuracyMeasured | None


def accuracy_interval(accuracy: AccuracyMeasured) -> Interval:
    """The share of the problems whose vote is right, with its Wilson interval."""
    return wilson(accuracy.right / len(accuracy.problems), len(accuracy.problems))


def best_serving(results: MatrixResults) -> BestServing | None:
    """Choose the fastest through the agent; None where no speed was measured.

    Left out are speeds of a variant whose server failed with as many lanes or fewer, or while it solved problems;
    variants whose accuracy lies, with its whole interval, below that of the most accurate, and those whose
    accuracy is not known where that of others is; numbers of lanes that the KV cache cannot hold at half their context,
    unless no measured one fits. Of speeds that are equal within EQUAL_SHARE the first in order of use is taken, with
    the fewest lanes.
    """
    variants = results.plan.matrix.variants
    speeds = [
        speed
        for speed in results.speeds.values()
        if _is_stable(results, speed) and _is_accurate(results, speed.variant)
    ]
    speeds = [speed for speed in speeds if _fits(results, speed)] or speeds
    if not speeds:
        return None
    enough = max(speed.agent.per_second for speed in speeds) * (1 - EQUAL_SHARE)
    equal = [speed for speed in speeds if speed.agent.per_second >= enough]
    chosen = min(equal, key=lambda speed: (variants.index(speed.variant), speed.lanes))
    return BestServing(chosen, results.accuracies.get(chosen.variant))


def profile_text(results: MatrixResults, best: BestServing) -> str:
    """The profile that serves this way, as TOML, with what was measured as its comment.

    Where the weights were random it names no model.
    """
    plan, speed = results.plan, best.speed
    tree = _profile_tree(plan.config, speed, random=bool(plan.random))
    comment = "".join(f"# {line}\n" for line in _told(results, best))
    return f"{comment}{tomli_w.dumps(tree)}"


def _profile_tree(config: Mapping[str, Any], speed: SpeedMeasured, *, random: bool) -> dict[str, Any]:
    served = speed.variant.served(parse_config(renamed_tree(config), "the matrix"))
    tree = served.model_dump(exclude={"profile"})
    tree["sample"] = {**tree.get("sample", {}), "count": speed.lanes}
    vllm = {**tree["vllm"], "max_num_seqs": speed.lanes}
    tree["engine"] = {**tree["engine"], "port": 0}
    if random:
        tree["engine"] = {**tree["engine"], "model": ""}
        vllm["load_format"] = "auto"
    return {**tree, "vllm": vllm}


def _told(results: MatrixResults, best: BestServing) -> Iterator[str]:
    """What was measured, in lines of a comment."""
    plan, speed = results.plan, best.speed
    model = f"random weights of the shape {plan.random}" if plan.random else plan.model
    yield f"Measured by `python -m tools.bench gpu` with vLLM {plan.vllm} on {plan.machine}:"
    yield f"{model}, {speed.variant.name}, {speed.lanes} lanes of {plan.tokens} tokens."
    others = f", {speed.vllm.per_second:.1f} through vLLM's client" if speed.vllm else ""
    yield f"{speed.agent.per_second:.1f} tokens/s through the agent{others}."
    if speed.roofline_share is not None:
        yield f"That is {speed.roofline_share:.0%} of the roofline."
    if best.accuracy is not None:
        share = accuracy_interval(best.accuracy)
        yield (
            f"{best.accuracy.right} of {len(best.accuracy.problems)} {plan.problems} problems right "
            f"({share.low:.0%} to {share.high:.0%})."
        )
    if plan.random:
        weights = {"awq": "an AWQ model", "fp8": "a model with 16-bit weights"}.get(speed.variant.weights, "a model")
        yield f"Random weights know no answer: give {weights} of this shape with --model."


def _is_stable(results: MatrixResults, speed: SpeedMeasured) -> bool:
    refused = (step for variant, step in results.refusals if variant == speed.variant and step is not None)
    return not any(step.lanes is None or step.lanes <= speed.lanes for step in refused)


def _is_accurate(results: MatrixResults, variant: ServingVariant) -> bool:
    shares = {each: accuracy_interval(accuracy) for each, accuracy in results.accuracies.items() if accuracy.problems}
    if not shares:
        return True
    best = max(shares.values(), key=lambda share: share.value)
    return variant in shares and shares[variant].high >= best.low


def _fits(results: MatrixResults, speed: SpeedMeasured) -> bool:
    """Whether the KV cache holds the lanes at half their context, as far as the server told its size."""
    server = results.servers.get(speed.variant)
    context = int(results.plan.config["engine"]["context_tokens"])
    if server is None or server.kv_tokens is None:
        return True
    return speed.lanes * context <= _MEAN_CONTEXT_SHARE * server.kv_tokens
