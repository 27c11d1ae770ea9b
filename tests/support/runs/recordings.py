"""Made-up recordings for tests of the replay, and the setting that they are played in."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from agent.hardware.roofline import HARDWARE
from tools.replay.run import Setting

TRACES = Path(__file__).parents[3].parent / "shared" / "traces"
CONSTANT = HARDWARE["constant"]


def write_traces(path: Path, *, model: str = "model", problems: int = 12, samples: int = 24, seed: int = 1) -> Path:
    """A trace file: harder problems have longer samples and more wrong ones, and wrong ones are longer."""
    rng = random.Random(seed)
    rows = []
    for number in range(problems):
        hardness = number / problems
        drawn = []
        for _ in range(samples):
            right = rng.random() > hardness
            tokens = int(2_000 * (1 + 4 * hardness) * rng.lognormvariate(0, 0.3) * (1 if right else 1.6))
            answer = number if right else rng.choice([100, 101, 102, 103, None])
            drawn.append({"answer": answer, "tokens": tokens})
        drawn[0] = {"answer": None, "tokens": 30_000, "truncated": True}
        rows.append({"problem_id": f"p{number}", "answer": number, "model": model, "samples": drawn})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def setting(limit: float = 1e5, **changes: Any) -> Setting:
    plain: dict[str, Any] = {"samples": 8, "problems": 12, "token_cap": None, "seed": 0}
    return Setting(hardware=CONSTANT, limit=limit, **(plain | changes))
