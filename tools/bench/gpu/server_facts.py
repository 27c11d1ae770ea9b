"""What a vLLM server tells of itself: memory in its log, counters of drafted tokens, and why it did not start."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

_WEIGHTS = re.compile(r"Model loading took ([\d.]+) Gi?B")
_KV_TOKENS = re.compile(r"KV cache size: ([\d,]+) tokens")
_COUNTER = re.compile(r"^vllm:spec_decode_num_(drafts|draft_tokens|accepted_tokens)(?:_total)?(?:\{.*\})? (\S+)$")
_MEMORY_QUERY = ("nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits")
_STATUS = re.compile(r"^the (?:engine's server ended with status -?\d+ [\w ]+|vLLM server is down): ")
_LATE = re.compile(r"(?<= s): .*", re.DOTALL)  # what a server that was still starting had written last
_LOG = re.compile(r" \(log: [^)]*\)$")


@dataclass(frozen=True, slots=True)
class MemoryFacts:
    """GiB of the weights on each GPU and tokens that the KV cache holds, None where the log does not tell."""

    weight_gib: float | None = None
    kv_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class DraftCounts:
    """What speculation has drafted so far: drafts, their tokens, and those of them that the model accepted."""

    drafts: float = 0.0
    tokens: float = 0.0
    accepted: float = 0.0

    def since(self, before: DraftCounts) -> DraftCounts:
        """What was drafted since then."""
        return DraftCounts(self.drafts - before.drafts, self.tokens - before.tokens, self.accepted - before.accepted)

    @property
    def acceptance(self) -> float | None:
        """The share of the drafted tokens that were accepted; None where none was drafted."""
        return self.accepted / self.tokens if self.tokens > 0 else None

    @property
    def accepted_length(self) -> float | None:
        """The mean tokens of a step with a draft, the model's own included; None where nothing was drafted."""
        return 1 + self.accepted / self.drafts if self.drafts > 0 else None


def memory_facts(lines: Iterable[str]) -> MemoryFacts:
    """Read the server's log; of what it tells several times, as with several engines, the last counts."""
    weight_gib, kv_tokens = None, None
    for line in lines:
        if found := _WEIGHTS.search(line):
            weight_gib = _number(found[1])
        if found := _KV_TOKENS.search(line):
            kv_tokens = int(found[1].replace(",", "") or 0)
    return MemoryFacts(weight_gib, kv_tokens)


def draft_counts(metrics: str) -> DraftCounts:
    """Sum the counters of all engines in the text of the server's metrics endpoint; 0 where it has none."""
    sums = {"drafts": 0.0, "draft_tokens": 0.0, "accepted_tokens": 0.0}
    for line in metrics.splitlines():
        if found := _COUNTER.match(line):
            sums[found[1]] += _number(found[2]) or 0.0
    return DraftCounts(sums["drafts"], sums["draft_tokens"], sums["accepted_tokens"])


def server_reason(message: str) -> str:
    """The server's own reason in the message of an error: without what the agent says around it."""
    if was_late(message):
        return f"{_LATE.sub('', message)} (engine.start_seconds)"
    return _LOG.sub("", _STATUS.sub("", message))


def was_late(reason: str) -> bool:
    """Whether the reason is that a server was not up in time, which says nothing of what it can do."""
    return " was not up after " in reason


def used_gpu_gib() -> float | None:
    """GiB in use on all GPUs, as nvidia-smi tells; None where there is none."""
    try:
        done = subprocess.run(_MEMORY_QUERY, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.findall(r"^\s*(\d+)\s*$", done.stdout.decode(errors="replace"), re.MULTILINE)
    return sum(map(int, found)) / 1_024 if found else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
