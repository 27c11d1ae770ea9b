"""The process in which math-verify runs: `python -m tools.benchmark.grading.expressions_worker SECONDS`.

It reads JSON lines {"truth", "answers"} and answers each with {"answer", "right"}. Its parent kills it when a
comparison takes too long; should the parent be gone, an alarm does.
"""

from __future__ import annotations

import json
import logging
import resource
import signal
import sys

_MEMORY = 4 << 30
_GRACE_SECONDS = 5.0


def main() -> None:
    """Answer until standard input ends."""
    from tools.benchmark.grading.compare import judged

    logging.disable()  # it warns that its own time limits are off
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    alarm = float(sys.argv[1]) + _GRACE_SECONDS
    print("ready", flush=True)
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_REAL, alarm)
        asked = json.loads(line)
        answer, right = judged(asked["truth"], asked["answers"])
        print(json.dumps({"answer": answer, "right": right}), flush=True)
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
