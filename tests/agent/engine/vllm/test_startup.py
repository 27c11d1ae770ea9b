"""The parts of a vLLM server's start, read from its log."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.vllm.startup import (
    COMPILATION,
    FIRST_TOKEN,
    GRAPHS,
    KV_CACHE,
    MODEL_SETUP,
    PROCESS,
    SERVER,
    WARM_UP,
    WEIGHTS,
    start_text,
    startup_parts,
    whole_start,
)
from tests.support.tiers.cases import examples

# As vLLM 0.32's CPU build wrote it, in eager mode.
CPU_LOG = """\
(APIServer pid=8426) INFO 11-28 11:57:54 [api_utils.py:347]  ▄▄ ▄█ █     █     █ ▀▄▀ █  version 0.32.0
(APIServer pid=8426) INFO 11-28 11:57:54 [model.py:733] Resolved architecture: Qwen2ForCausalLM
(EngineCore pid=8436) INFO 11-28 11:58:04 [core.py:133] Initializing a V1 LLM engine (v0.32.0) with config: model='m'
(EngineCore pid=8436) INFO 11-28 11:58:05 [cpu_model_runner.py:68] Starting to load model /models/m...
(EngineCore pid=8436) INFO 11-28 11:58:05 [base_loader.py:82] Initializing model took 0.121974 seconds
Loading safetensors checkpoint shards: 100% Completed | 1/1 [00:00<00:00,  1.53it/s]
(EngineCore pid=8436) INFO 11-28 11:58:05 [default_loader.py:501] Loading weights took 0.68 seconds
(EngineCore pid=8436) INFO 11-28 11:58:07 [kv_cache_utils.py:2327] CPU KV cache size: 87,296 tokens
(EngineCore pid=8436) INFO 11-28 11:58:07 [core.py:402] init engine (profile, create kv cache, warmup model) took 0.40 s
(APIServer pid=8426) INFO 11-28 11:58:10 [entry.py:140] Starting vLLM server on http://127.0.0.1:56741
""".splitlines()

# In the words of vLLM 0.32's source for GPUs, of two of which each says what it did.
GPU_LOG = """\
(APIServer pid=10) INFO 12-31 23:59:30 [api_utils.py:286] non-default args: {'tensor_parallel_size': 2}
(Worker_TP0 pid=21) INFO 12-31 23:59:58 [gpu_model_runner.py:5040] Starting to load model /models/QwQ...
(Worker_TP1 pid=22) INFO 01-01 00:00:01 [gpu_model_runner.py:5040] Starting to load model /models/QwQ...
(Worker_TP1 pid=22) INFO 01-01 00:01:31 [default_loader.py:501] Loading weights took 91.50 seconds
(Worker_TP0 pid=21) INFO 01-01 00:01:31 [default_loader.py:501] Loading weights took 93.10 seconds
(Worker_TP0 pid=21) INFO 01-01 00:01:36 [model_runner.py:425] Model loading took 9.17 GiB memory and 98.600000 seconds
(Worker_TP0 pid=21) INFO 01-01 00:02:10 [monitor.py:62] torch.compile took 33.25 s in total
(Worker_TP1 pid=22) INFO 01-01 00:02:11 [monitor.py:62] torch.compile took 34.50 s in total
(Worker_TP0 pid=21) INFO 01-01 00:02:13 [monitor.py:92] Initial profiling/warmup run took 2.25 s
(EngineCore pid=15) INFO 01-01 00:02:14 [kv_cache_utils.py:2327] GPU KV cache size: 233,728 tokens
(Worker_TP0 pid=21) INFO 01-01 00:02:25 [gpu_model_runner.py:6582] Graph capturing finished in 9 secs, took 0.61 GiB
(EngineCore pid=15) INFO 01-01 00:02:26 [core.py:3] init engine (profile, create kv cache, warmup model) took 50.00 s \
(compilation: 34.50 s)
""".splitlines()

# How versions before it said the same.
OLDER_LOG = """\
INFO 05-12 10:00:20 [gpu_model_runner.py:1329] Starting to load model /models/QwQ...
INFO 05-12 10:00:30 [loader.py:458] Loading weights took 8.50 seconds
INFO 05-12 10:00:31 [gpu_model_runner.py:1347] Model loading took 18.1449 GiB and 9.250000 seconds
INFO 05-12 10:00:50 [monitor.py:33] torch.compile takes 17.50 s in total
INFO 05-12 10:01:20 [gpu_model_runner.py:1686] Graph capturing finished in 22 secs, took 0.51 GiB
INFO 05-12 10:01:21 [core.py:159] init engine (profile, create kv_cache, warmup model) took 43.50 seconds
""".splitlines()


def test_a_server_on_a_cpu_tells_three_parts() -> None:
    parts = startup_parts(CPU_LOG, datetime(2026, 11, 28, 11, 57, 48, 500_000))
    assert list(parts.items()) == [(PROCESS, 16.5), (WEIGHTS, 0.68), (KV_CACHE, 0.40)]
    assert startup_parts(CPU_LOG)[PROCESS] == 11.0  # from its first line on


def test_of_several_gpus_the_slowest_counts_and_no_second_counts_twice() -> None:
    parts = startup_parts(GPU_LOG, datetime(2026, 12, 31, 23, 59, 10))
    expected = {PROCESS: 48.0, WEIGHTS: 93.1, MODEL_SETUP: 5.5, COMPILATION: 34.5, WARM_UP: 2.25, GRAPHS: 9.0}
    assert parts == pytest.approx(expected | {KV_CACHE: 50.0 - 34.5 - 2.25 - 9.0})


def test_older_versions_are_read_too() -> None:
    parts = startup_parts(OLDER_LOG)
    expected = {PROCESS: 0.0, WEIGHTS: 8.5, MODEL_SETUP: 0.75, COMPILATION: 17.5, GRAPHS: 22.0, KV_CACHE: 4.0}
    assert parts == pytest.approx(expected)


def test_compilation_that_is_told_with_the_first_run_counts() -> None:
    line = "[monitor.py:62] [backbone] torch.compile and initial profiling/warmup run together took 12.50 s in total"
    assert startup_parts([line]) == {COMPILATION: 12.5}


@given(st.dictionaries(st.text(), st.floats(0, 1e4), max_size=5), st.floats(0, 1e4), st.floats(0, 10))
def test_the_parts_of_a_whole_start_are_never_less_than_it_was(
    parts: dict[str, float], seconds: float, first_token: float
) -> None:
    whole = whole_start(parts, seconds + first_token, first_token)
    assert whole[FIRST_TOKEN] == first_token and whole[SERVER] >= 0
    assert sum(whole.values()) >= (seconds + first_token) * (1 - 1e-9)


def test_parts_that_took_no_time_are_left_out_of_the_line() -> None:
    assert (
        start_text({PROCESS: 16.04, GRAPHS: 0.04, FIRST_TOKEN: 0.21}) == "process and imports 16.0 s, first token 0.2 s"
    )


def test_what_one_process_says_of_two_models_is_added() -> None:
    log = ["(Worker_TP0 pid=1) INFO 01-01 00:00:09 [x.py:1] Loading weights took 8.00 seconds"]
    log += ["(Worker_TP0 pid=1) INFO 01-01 00:00:10 [x.py:1] Loading weights took 1.50 seconds"]
    log += ["(Worker_TP1 pid=2) INFO 01-01 00:00:09 [x.py:1] Loading weights took 9.00 seconds"]
    assert startup_parts(log) == {WEIGHTS: 9.5}


def test_a_start_over_the_end_of_the_year_or_on_an_impossible_day() -> None:
    load = "INFO 01-01 00:00:10 [x.py:1] Starting to load model m..."
    assert startup_parts([load], datetime(2026, 12, 31, 23, 59, 50)) == {PROCESS: 20.0}
    assert startup_parts([load.replace("01-01", "13-45")], datetime(2026, 12, 31)) == {}
    assert startup_parts([load.replace("01-01", "12-30")], datetime(2026, 12, 31)) == {PROCESS: 0.0}


@examples(60)
@given(st.sampled_from([CPU_LOG, GPU_LOG, OLDER_LOG]), st.data())
def test_other_lines_change_nothing_and_a_cut_log_tells_nothing_else(log: list[str], data: st.DataObject) -> None:
    """A server may be asked while it still starts; its log holds lines of any kind."""
    whole = startup_parts(log)
    noise = st.text(max_size=60).filter(lambda text: "took" not in text)
    mixed = [line for each in log for line in (*data.draw(st.lists(noise, max_size=2)), each)]
    assert startup_parts(mixed) == whole
    cut = startup_parts(log[: data.draw(st.integers(0, len(log)))])
    assert set(cut) <= set(whole)
    assert all(seconds >= 0 for seconds in cut.values())
    assert list(cut) == [part for part in whole if part in cut]


@examples(60)
@given(st.lists(st.one_of(st.sampled_from(CPU_LOG + GPU_LOG), st.text()), max_size=20), st.none() | st.datetimes())
def test_no_log_is_refused(log: list[str], began: datetime | None) -> None:
    assert all(seconds >= 0 for seconds in startup_parts(log, began).values())
