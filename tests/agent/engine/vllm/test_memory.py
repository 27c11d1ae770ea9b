"""The memory of a vLLM server, read from its log, and what the driver adds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.vllm.memory import memory_told, server_memory
from agent.events import ServerMemory

# In the words of vLLM 0.32's source, of two GPUs of which each tells its own.
LOG = """\
(Worker_TP0 pid=21) INFO 01-01 00:01:36 [gpu_model_runner.py:5149] Model loading took 9.17 GiB memory and 98.6 seconds
(Worker_TP1 pid=22) INFO 01-01 00:01:36 [gpu_model_runner.py:5149] Model loading took 9.21 GiB memory and 98.7 seconds
(Worker_TP0 pid=21) INFO 01-01 00:02:13 [gpu_worker.py:759] Available KV cache memory: 11.05 GiB
(Worker_TP1 pid=22) INFO 01-01 00:02:13 [gpu_worker.py:759] Available KV cache memory: 10.9 GiB
(EngineCore pid=15) INFO 01-01 00:02:14 [kv_cache_utils.py:9] GPU KV cache size: 233,728 tokens, Maximum concurrency \
for 12,288 tokens per request: 19.02x
""".splitlines()
# How versions before it said the same, with two decimals more and on a line of its own.
OLDER = """\
INFO 05-12 10:00:31 [gpu_model_runner.py:1347] Model loading took 18.1449 GiB and 9.250000 seconds
INFO 05-12 10:00:50 [gpu_worker.py:276] Available KV cache memory: 2.26 GiB
INFO 05-12 10:00:51 [kv_cache_utils.py:864] GPU KV cache size: 9,248 tokens
INFO 05-12 10:00:51 [kv_cache_utils.py:868] Maximum concurrency for 8,192 tokens per request: 1.13x
""".splitlines()
RESERVED = (
    "INFO [gpu_worker.py:668] Initial free memory 138.2 GiB, reserved 20.0 GiB memory for KV Cache as specified by "
    "kv_cache_memory_bytes config and skipped memory profiling."
)


@pytest.mark.parametrize(
    ("log", "told"),
    [
        (LOG, ServerMemory(9.21, 10.9, 233_728)),
        (OLDER, ServerMemory(18.1449, 2.26, 9_248)),
        ([RESERVED], ServerMemory(kv_cache_gib=20.0)),
        (["[kv_cache_utils.py:2327] CPU KV cache size: 87,296 tokens"], ServerMemory(kv_cache_tokens=87_296)),
        (
            ["Model loading took . GiB", "KV cache size: , tokens", "Available KV cache memory: -1.2 GiB"],
            ServerMemory(),
        ),
    ],
    ids=["two GPUs", "older", "reserved", "CPU", "no numbers"],
)
def test_the_fullest_gpu_of_a_server_is_told(log: list[str], told: ServerMemory) -> None:
    assert memory_told(log) == told


@given(st.lists(st.text() | st.sampled_from([*LOG, *OLDER, RESERVED])))
def test_any_log_is_read_and_what_is_told_of_it_is_one_line(lines: list[str]) -> None:
    assert len(memory_told(lines).text.splitlines()) <= 1


def test_the_driver_is_asked_for_a_server_on_gpus_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.engine.vllm.memory.used_memory", lambda: (20 << 30, 48 << 30))
    told = server_memory(LOG, "L4")
    assert told == ServerMemory(9.21, 10.9, 233_728, 20.0, 48.0)
    assert told.text == (
        "weights 9.21 GiB a GPU · KV cache 10.90 GiB a GPU, 233,728 tokens · 20.0 of 48.0 GiB in use on all GPUs"
    )
    assert server_memory([], "cpu").text == ""
    monkeypatch.setattr("agent.engine.vllm.memory.used_memory", lambda: None)
    assert server_memory(LOG, "") == memory_told(LOG)
