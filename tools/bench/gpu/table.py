"""The results of a matrix as rows: what the terminal, the page and the JSON file show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from tools.bench.gpu.best import BestServing, accuracy_interval, best_serving
from tools.bench.gpu.matrix import ServingVariant
from tools.bench.gpu.results import AccuracyMeasured, MatrixResults, ServerStarted, SpeedMeasured
from tools.bench.gpu.run import steps_left
from tools.bench.gpu.schedule import MatrixStep, step_text

SPEED_HEADINGS = (
    *("lanes", "agent, tokens/s", "vLLM's client", "ratio", "first token, s", "vLLM's client, s"),
    *("roofline", "share of it", "accepted", "tokens a step"),
)
ACCURACY_HEADINGS = ("right", "problems", "right %", "95% interval", "votes for the right answer", "votes", "tokens")


@dataclass(frozen=True, slots=True)
class VariantRows:
    """What is known of a variant: its server, its speeds and its accuracy as cells, reasons, and how much is left."""

    variant: ServingVariant
    server: str
    parts: tuple[tuple[str, float], ...]
    speeds: tuple[tuple[str, ...], ...]
    accuracy: tuple[str, ...] | None
    reasons: tuple[str, ...]
    left: str


def variant_rows(results: MatrixResults) -> list[VariantRows]:
    """The rows of all variants in order of use."""
    left = steps_left(results)
    return [_rows(results, variant, left) for variant in results.plan.matrix.variants]


def best_line(results: MatrixResults) -> str:
    """The best way to serve, in one line; "" where nothing was measured."""
    best = best_serving(results)
    return "" if best is None else _best_line(best)


def results_as_json(results: MatrixResults) -> dict[str, Any]:
    """Everything that was measured, with what follows from it."""
    best = best_serving(results)
    return {
        "plan": asdict(results.plan),
        "servers": [asdict(each) for each in results.servers.values()],
        "speeds": [
            asdict(each)
            | {"tokens_per_second": each.agent.per_second, "ratio": each.ratio, "roofline_share": each.roofline_share}
            for each in results.speeds.values()
        ],
        "accuracies": [
            asdict(each) | {"right": each.right, "share": asdict(accuracy_interval(each))}
            for each in results.accuracies.values()
        ],
        "refused": [
            asdict(variant) | {"step": step_text(step), "reason": reason}
            for (variant, step), reason in results.refusals.items()
        ],
        "left": [asdict(step.variant) | {"step": step_text(step)} for step in steps_left(results)],
        "best": None if best is None else asdict(best.speed.variant) | {"lanes": best.speed.lanes},
    }


def speed_cells(speed: SpeedMeasured) -> tuple[str, ...]:
    """The cells of SPEED_HEADINGS; "" for what is not known."""
    return (
        str(speed.lanes),
        f"{speed.agent.per_second:,.1f}",
        _number(speed.vllm.per_second if speed.vllm else None, ",.1f"),
        _number(speed.ratio, ".3f"),
        _number(speed.agent.first_token, ".2f"),
        _number(speed.vllm.first_token if speed.vllm else None, ".2f"),
        _number(speed.roofline, ",.0f"),
        _number(speed.roofline_share, ".1%"),
        _number(speed.acceptance, ".0%"),
        _number(speed.accepted_length, ".2f"),
    )


def accuracy_cells(accuracy: AccuracyMeasured) -> tuple[str, ...]:
    """The cells of ACCURACY_HEADINGS."""
    share = accuracy_interval(accuracy)
    return (
        str(accuracy.right),
        str(len(accuracy.problems)),
        f"{share.value:.0%}",
        f"{share.low:.0%} to {share.high:.0%}",
        str(sum(problem.votes_for_truth for problem in accuracy.problems)),
        str(sum(problem.votes for problem in accuracy.problems)),
        f"{accuracy.tokens:,}",
    )


def _rows(results: MatrixResults, variant: ServingVariant, left: list[MatrixStep]) -> VariantRows:
    server = results.servers.get(variant)
    accuracy = results.accuracies.get(variant)
    return VariantRows(
        variant,
        _server_text(server) if server else "",
        tuple(server.parts.items()) if server else (),
        tuple(speed_cells(speed) for (each, _), speed in sorted(results.speeds.items(), key=_lanes) if each == variant),
        accuracy_cells(accuracy) if accuracy else None,
        tuple(_reasons(results, variant)),
        ", ".join(step_text(step) for step in left if step.variant == variant),
    )


def _lanes(item: tuple[tuple[ServingVariant, int], SpeedMeasured]) -> int:
    return item[0][1]


def _reasons(results: MatrixResults, variant: ServingVariant) -> Iterator[str]:
    for (refused, step), reason in results.refusals.items():
        if refused == variant:
            yield reason if step is None else f"{step_text(step)}: {reason}"


def _server_text(server: ServerStarted) -> str:
    told = [f"up after {server.seconds:.0f} s"]
    told += [] if server.weight_gib is None else [f"weights {server.weight_gib:.2f} GiB"]
    told += [] if server.kv_tokens is None else [f"KV cache of {server.kv_tokens:,} tokens"]
    told += [] if server.gpu_gib is None else [f"{server.gpu_gib:.1f} GiB in use on the GPUs"]
    return ", ".join(told)


def _best_line(best: BestServing) -> str:
    speed = best.speed
    line = f"best: {speed.variant.name}, {speed.lanes} lanes: {speed.agent.per_second:,.1f} tokens/s"
    if best.accuracy is not None:
        line += f", {best.accuracy.right} of {len(best.accuracy.problems)} problems right"
    return line


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
