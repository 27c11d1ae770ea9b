"""The configuration under which an engine is measured."""

from __future__ import annotations

import argparse
from pathlib import Path

from tools.bench.engine import _config


def test_the_flags_that_agent_solve_has_besides_leave_the_profile_as_it_is(tmp_path: Path) -> None:
    given = {"profile": "qwq", "url": "http://127.0.0.1:9", "model": None, "set": ["seed=3"], "tokens": 16}
    config = _config(argparse.Namespace(dummy=None, tokenizer=None, **given), tmp_path)
    assert (config.engine.url, config.seed, config.sample.max_tokens) == ("http://127.0.0.1:9", 3, 16)
    assert not config.price.known
