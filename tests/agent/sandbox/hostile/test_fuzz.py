"""Random bytes and random Python as cells never break the controller."""

from __future__ import annotations

import json
import random
import sys

import pytest

from tests.support.sandbox import jail
from tests.support.sandbox.jail import Rights

_CELLS = 400
_WORDS = [
    'import', 'os', 'sys', 'gc', 'ctypes', 'signal', 'threading', 'def', 'class', 'lambda', 'yield',
    'await', 'async', 'with', 'for', 'while', 'try', 'except', 'raise', 'return\nexec', 'eval', 'open',
    'print', 'del', 'None', 'True', 'self', '(', ')', '[', ']', '{', '}', ':', ';', ',', '.', '=', '+',
    '-', '*', '/', '%', '@', '**', '->', '\n', '\n', "'", '"', '#', '\\', '0', '1', '1e9', 'x',
    'y\nos._exit(1)', 'os.fork()', 'sys.exit()', '[0]*10**8', '"\\x00"', '__import__', '__builtins__',
    'globals()', 'sys.modules', 'raise', 'SystemExit',
]  # fmt: skip


def _cells(draw: random.Random) -> list[str]:
    cells = []
    for _ in range(_CELLS // 2):
        cells.append(draw.randbytes(draw.randrange(200)).decode("latin-1"))
        cells.append(" ".join(draw.choices(_WORDS, k=draw.randrange(1, 40))))
    return cells


@pytest.mark.parametrize("seed", [1, 2])
def test_random_cells_are_answered_one_by_one(seed: int) -> None:
    if reason := jail.missing():
        pytest.skip(reason)
    cells = _cells(random.Random(seed))
    lines = [json.dumps({"session": n % 8, "code": code, "timeout": 0.5}) for n, code in enumerate(cells)]
    lines += [json.dumps({"session": n, "code": "print(6 * 7)", "timeout": 20}) for n in range(8)]
    script = f"cd {jail.REPO} && exec {sys.executable} -m agent.sandbox run --memory-mib 256"
    with jail.run(Rights.ROOT, ["sh", "-c", script]) as jailed:
        assert jailed.stdin is not None and jailed.stdout is not None
        jailed.stdin.write("".join(line + "\n" for line in lines))
        jailed.stdin.close()
        answers = [json.loads(line) for line in jailed.stdout]
        assert jailed.wait(timeout=30) == 0
    assert len(answers) == len(lines)
    assert all(answer["status"] in ("ok", "error", "timeout", "killed") for answer in answers)
    last = {answer["session"]: answer for answer in answers}
    assert all("42" in answer["output"] for answer in last.values())
