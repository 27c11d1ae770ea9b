"""What a run says of itself before it starts."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from agent.cli.arguments import parse_arguments
from agent.cli.run_spec import make_run_spec, spoken_seconds
from agent.types import Problem
from tests.support.runs.report_runs import vote, write_run


def announced(*words: str) -> str:
    return make_run_spec(parse_arguments(words)).announcement


def test_a_run_says_how_many_problems_share_how_much_time() -> None:
    assert announced("--problems", "practice") == (
        "60 problems, 9 min in all (9 s a problem on average; --time-limit sets it), up to 8 samples each; "
        "profile cpu, edition aimo3, model qwen2.5-coder-1.5b"
    )
    assert announced().startswith("12 problems, 9 min in all (45 s a problem on average;")
    assert announced("--time-limit", "5h", "--samples", "3", "--problems", "practice").startswith(
        "60 problems, 5 h in all (5 min a problem on average; --time-limit sets it), up to 3 samples each;"
    )


def test_a_single_problem_has_all_the_time() -> None:
    assert announced("What?").startswith("1 problem, 9 min in all, up to 8 samples; profile cpu")


def test_where_no_model_is_named_the_server_is() -> None:
    assert announced("What?", "--url", "http://127.0.0.1:9").endswith("model of http://127.0.0.1:9")
    assert announced("What?", "--url", "http://127.0.0.1:9", "--model", "m").endswith("model m")


def test_a_resumed_run_says_what_is_left(tmp_path: Path) -> None:
    problems = [Problem(str(place), "What?") for place in range(4)]
    write_run(tmp_path / "run", problems, {"0": [vote(0, 7)]})  # 10 seconds of 5 hours
    told = announced("--run-dir", str(tmp_path / "run"), "--resume", "--time-limit", "310")
    assert told.startswith("3 of 4 problems left, 5 min in all (100 s a problem on average;")


@given(st.floats(min_value=0.1, max_value=1e6))
def test_a_spoken_duration_is_the_duration_but_for_its_last_digit(seconds: float) -> None:
    found = re.fullmatch(r"([\d.e+]+) (s|min|h)", spoken_seconds(seconds))
    assert found is not None
    told = float(found[1]) * {"s": 1, "min": 60, "h": 3600}[found[2]]
    assert abs(told - seconds) <= 0.006 * seconds


def doubted(directory: Path, answers: list[str], *words: str) -> str:
    rows = [f"p{n},What?,{answer}\n" for n, answer in enumerate(answers)]
    (directory / "set.csv").write_text("".join(["id,problem,answer\n", *rows]), encoding="utf-8")
    return make_run_spec(parse_arguments(["--problems", str(directory / "set.csv"), *words])).doubt


def test_known_answers_that_the_edition_does_not_allow_are_named_before_a_run(tmp_path: Path) -> None:
    assert doubted(tmp_path, ["4", "99999", "0", ""]) == ""
    assert doubted(tmp_path, ["4", "100000", "-1", ""]) == (
        "2 of 3 known answers, like 100000 of p1, cannot be right under edition aimo3, whose answers go from 0 to "
        "99999: see that --edition is the problems' own"
    )
    assert doubted(tmp_path, ["4", "1000"], "--edition", "aimo2").startswith("1 of 2 known answers, like 1000 of p1,")
    assert doubted(tmp_path, ["4", "999"], "--edition", "aimo2") == ""


def test_a_run_that_is_resumed_is_not_doubted_again(tmp_path: Path) -> None:
    problems = [Problem("p1", "What?", 123_456), Problem("p2", "And?", 7)]
    write_run(tmp_path, problems, {"p2": [vote(0, 7)]})
    assert make_run_spec(parse_arguments(["--run-dir", str(tmp_path), "--resume"])).doubt == ""
