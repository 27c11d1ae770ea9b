"""Cells that attack the sandbox or use it in good faith, and what each must come to.

A cell is a dict in the format that `jailed_hostile.judge` reads: name, cat, code, timeout (seconds), expect (statuses);
`out` and `notout` (in the output, or not), `shown` (the output itself); the same of the next cell of the session with
`then`, `then_out`, `then_notout`, `then_shown`; `fresh`, `fresh_out` of a cell in a new session; `differs` (the same
code must print something else in a new session); `quiet` (nothing may use the CPU afterwards).
"""

from __future__ import annotations

import textwrap
from typing import Any

Cell = dict[str, Any]
ANY = ["ok", "error", "killed", "timeout"]
# In one interpreter nothing is safe from other code in it: what rewrites the runner, or strikes from a thread while the
# next cell runs, may spoil later cells of its own session.
OPEN = {
    "runner_found_by_gc",
    "runner_modules_replaced",
    "thread_forges_the_next_end",
    "thread_holds_the_lock",
    "thread_interrupts",
    "thread_raises",
    "thread_swallows",
    "thread_takes_print",
}


def attack(name: str, category: str, code: str, **more: Any) -> Cell:
    """A cell that may end in any way, but the next one must work, or be preceded by words on what was lost."""
    common = {"timeout": 3.0, "expect": ANY, "then": "print(6*7)", "then_out": "42"}
    return {"name": name, "cat": category, "code": textwrap.dedent(code).strip("\n"), **common, **more}


def honest(name: str, code: str, shown: str | None = None, **more: Any) -> Cell:
    """A cell written in good faith, which must show exactly this."""
    exactly = {} if shown is None else {"shown": shown}
    common = {"timeout": 6.0, "expect": ["ok"], **exactly}
    return {"name": f"legit_{name}", "cat": "legit", "code": textwrap.dedent(code).strip("\n"), **common, **more}
