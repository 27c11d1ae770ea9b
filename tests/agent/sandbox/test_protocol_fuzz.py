"""What controller and session say to each other, fuzzed on both sides in virtual time; see tools.fuzz."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.sandbox.process import SessionProcess
from agent.sandbox.protocol import SessionDecoder
from tests.support.tiers.cases import examples
from tools.fuzz import checks as fuzz_checks

_BYTES = st.binary(max_size=120)
_HONEST, _LIFE, _STARVED, _CROWDED, _LARGE, _PACKETS = 1, 2, 4, 8, 16, 32
_BEGIN, _STATUS, _WAIT, _HARM, _SAY_TOKEN_AND_STATUS, _ANSWER = 11, 4, 6, 9, 10, 5


@examples(400)
@given(_BYTES)
@example(bytes([_HONEST | _LARGE, _BEGIN, 0, _STATUS, 0]))  # an answer to what cannot have been read
@example(bytes([_LIFE, _BEGIN, 0, _WAIT, 7, _STATUS, 0]))  # a status after the end
@example(bytes([_STARVED, _WAIT, 5, _BEGIN, 0]))
@example(bytes([_HONEST | _PACKETS, _ANSWER, 0]))
@example(bytes([_LIFE, _ANSWER, 0, _WAIT, 1, _STATUS, 0, _ANSWER, 0]))  # a word while nothing is asked
@example(bytes([_HONEST, _SAY_TOKEN_AND_STATUS, 0, _HARM, 6]))
def test_a_run_ends_in_time_with_its_own_end_whatever_the_process_does(data: bytes) -> None:
    fuzz_checks.check_running(data)


@examples(150)
@given(_BYTES)
@example(bytes([_CROWDED | _LARGE, _BEGIN, 0, _HARM, 7, 255, _BEGIN, 0, _HARM, 1]))
@example(bytes([0, 0, 0, 19, 44, 48, 44, 81]))  # a time limit after cells that can be run again
def test_a_session_gives_each_cell_an_answer_of_its_own_whatever_its_processes_do(data: bytes) -> None:
    fuzz_checks.check_session(data)


@examples(500)
@given(_BYTES)
@pytest.mark.further
def test_a_session_runs_only_what_was_sent_to_it_whole(data: bytes) -> None:
    fuzz_checks.check_serving(data)


@examples(500)
@given(_BYTES)
def test_a_status_counts_only_behind_the_whole_token(data: bytes) -> None:
    fuzz_checks.check_decoder(data)


def test_a_controller_that_lets_breaches_pass_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SessionDecoder, "broken", property(lambda self: False))
    with pytest.raises((AssertionError, ValueError)):
        fuzz_checks.check_running(bytes([_LIFE, _ANSWER, 0, _WAIT, 1, _STATUS, 0]))
    with pytest.raises(AssertionError):
        fuzz_checks.check_decoder(bytes([4, 5]))


def test_a_controller_that_waits_for_ever_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SessionProcess, "_check", lambda self: None)
    with pytest.raises(RuntimeError, match="hang"):
        fuzz_checks.check_running(bytes([0, _BEGIN, 0]))


@pytest.mark.process
def test_fuzzing_without_its_library_is_a_one_line_message() -> None:
    hidden = "import sys; sys.modules['atheris'] = None; from tools.fuzz.command import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "Fuzzing needs atheris: install the extra, pip install -e '.[fuzz]'.\n"
