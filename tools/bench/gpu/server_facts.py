"""What a vLLM server tells of itself: counters of drafted tokens, and why it did not start."""

from __future__ import annotations

import re
from dataclasses import dataclass

_COUNTER = re.compile(r"^vllm:spec_decode_num_(drafts|draft_tokens|accepted_tokens)(?:_total)?(?:\{.*\})? (\S+)$")
_STATUS = re.compile(r"^the (?:engine's server ended with status -?\d+ [\w ]+|vLLM server is down): ")
_LATE = re.compile(r"(?<= s): .*", re.DOTALL)  # what a server that was still starting had written last
_LOG = re.compile(r" \(log: [^)]*\)$")


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


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
