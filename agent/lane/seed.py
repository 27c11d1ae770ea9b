"""The seed of one sample."""

from __future__ import annotations

import hashlib
from functools import lru_cache


@lru_cache(maxsize=4_096)  # a replay asks twice
def sample_seed(run_seed: int, problem_id: str, index: int) -> int:
    """Derive the seed of one sample (31 bits) from run, problem and index, never from the order of things."""
    digest = hashlib.sha256(f"{run_seed}\0{problem_id}\0{index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
