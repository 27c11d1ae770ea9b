"""How sure the model was of the tokens it chose: their mean log-probability, of all and of the last ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

TAIL_TOKENS = 256


class LogprobMeter:
    """Running means over the log-probabilities (natural logarithm) of a sample's tokens; constant cost a token."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0
        self._tail: deque[float] = deque(maxlen=TAIL_TOKENS)

    def feed(self, logprobs: Sequence[float]) -> None:
        """Take the next tokens."""
        self._sum += sum(logprobs)
        self._count += len(logprobs)
        self._tail.extend(logprobs)

    @property
    def mean(self) -> float | None:
        """Over all tokens; None if the engine reports none."""
        return self._sum / self._count if self._count else None

    @property
    def tail_mean(self) -> float | None:
        """Over the last `TAIL_TOKENS` tokens, or as many as there are."""
        return sum(self._tail) / len(self._tail) if self._tail else None
