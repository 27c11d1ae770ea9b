"""The rehearsal in the zygote: it leaves bytecode that is adapted to cells, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_REHEARSE = """
import dis, json, linecache, os, random, signal, sys
from agent.sandbox.inside.rehearsal import adapt_bytecode
from agent.sandbox.inside.session.interpreter import Interpreter

def state():
    files = [(os.fstat(number).st_dev, os.fstat(number).st_ino, os.get_inheritable(number)) for number in range(3)]
    names = [id(value) for value in vars(sys).values()]
    return files, names, len(os.listdir("/dev/fd")), os.umask(0o027), [*linecache.cache], [
        repr(each) for each in (signal.getsignal(signal.SIGINT), sys.modules["__main__"], random.getstate())
    ]

def adapted():
    return [each.opname for each in dis.get_instructions(Interpreter.run, adaptive=True)]

os.umask(0o027)
signal.signal(signal.SIGINT, signal.SIG_IGN)
plain, before = adapted(), state()
adapt_bytecode()
print(json.dumps([before, state(), plain == adapted()]))
"""


@pytest.mark.process
def test_a_rehearsal_adapts_the_bytecode_and_leaves_the_process_as_it_was() -> None:
    done = subprocess.run([sys.executable, "-c", _REHEARSE], capture_output=True, text=True, check=True, timeout=60)
    before, after, is_plain = json.loads(done.stdout)
    assert before == after
    assert not is_plain
    assert done.stderr == ""
