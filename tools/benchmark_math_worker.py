"""The process in which math-verify runs: `python -m tools.benchmark_math_worker SECONDS`.

It reads JSON lines {"truth", "text"} and answers each with {"answer", "right"}. Its parent kills it when a comparison
takes too long; should the parent be gone, an alarm does.
"""

from __future__ import annotations

import json
import logging
import resource
import signal
import sys

_MEMORY = 4 << 30
_GRACE_SECONDS = 5.0
_MOST_CHARS = 1_000  # of an answer's one spelling


def main() -> None:
    """Answer until standard input ends."""
    from math_verify import parse, verify

    logging.disable()  # it warns that its own time limits are off
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    alarm = float(sys.argv[1]) + _GRACE_SECONDS
    print("ready", flush=True)
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_REAL, alarm)
        asked = json.loads(line)
        truth = parse(f"\\boxed{{{asked['truth']}}}", parsing_timeout=None)
        given = parse(asked["text"], parsing_timeout=None)
        right = bool(given) and verify(truth, given, timeout_seconds=None)
        answer = str(given[0])[:_MOST_CHARS] if given else None
        print(json.dumps({"answer": answer, "right": right}), flush=True)
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
