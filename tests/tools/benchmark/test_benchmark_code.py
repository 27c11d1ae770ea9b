"""Programs on tests of our own, whose verdicts follow from LiveCodeBench's published rules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import InputError
from agent.types import Problem
from tests.support.runs.benchmark_fixtures import KEEP_PROGRAM, PROGRAMS, SUM_PROGRAM
from tools.benchmark.grading.program_cells import same_output, same_result
from tools.benchmark.grading.programs import ProgramGrader
from tools.benchmark.question import BenchmarkQuestion, Grade, ProgramTest, ProgramTests
from tools.benchmark.sets.program_tests import program_tests

SUM = BenchmarkQuestion(
    Problem("sum", "Add."), "", ProgramTests(None, (ProgramTest("2\n1 2\n", "3\n"), ProgramTest("1\n5\n", "5")), "")
)
CALL = BenchmarkQuestion(Problem("call", "Do."), "", ProgramTests("f", (ProgramTest("[1, 2]\n3", "[3, 1, 2]"),), ""))


in_module = pytest.mark.asyncio(loop_scope="module")  # the loop of the sandbox that they share


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def grader() -> AsyncIterator[ProgramGrader]:
    """One sandbox for all, as it takes longest to start."""
    opened = ProgramGrader(seconds=20.0)
    yield opened
    await opened.close()


def fenced(source: str) -> str:
    return f"So:\n```python\n{source}\n```\n"


RIGHT = {
    "input()": "input()\nprint(sum(map(int, input().split())))",
    "descriptor 0": "print(sum(map(int, open(0).read().split()[1:])))",
    "bytes": "import sys\nsys.stdout.buffer.write(b'%d' % sum(map(int, sys.stdin.buffer.read().split()[1:])))",
    "readline": "import sys\nread = sys.stdin.readline\nread()\nprint(sum(map(int, read().split())))",
    "main": "def main():\n    print(sum(map(int, open(0).read().split()[1:])))\nif __name__ == '__main__':\n    main()",
    "exit": "input()\nprint(sum(map(int, input().split())))\nraise SystemExit(0)",
    "exit()": "input()\nprint(sum(map(int, input().split())))\nexit()",
    "a thread": "import threading\ninput()\ndef go():\n    print(sum(map(int, input().split())))\n"
    "threading.Thread(target=go).start()",
    "names that are taken for granted": "input()\nprint(reduce(add, map(int, input().split()), gcd(0, 0)))",
    "the builtin pow": "assert pow(3, 4, 5) == 1\ninput()\nprint(sum(map(int, input().split())))",
    "errors elsewhere": "import sys\nprint('debug', file=sys.stderr)\ninput()\nprint(sum(map(int, input().split())))",
    "deep recursion": "def down(n):\n    return n and 1 + down(n - 1)\nassert down(5000) == 5000\ninput()\n"
    "print(sum(map(int, input().split())))",
}
WRONG = {
    "wrong from the second test on": ("print(3)", "test 2 of 2: wrong output"),
    "more lines": ("print(3)\nprint(3)", "test 1 of 2: wrong output"),
    "nothing": ("pass", "test 1 of 2: wrong output"),
    "an error": ("print(3)\n1 / 0", "test 1 of 2: error: ZeroDivisionError: division by zero"),
    "no Python": ("print(", "test 1 of 2: error: SyntaxError: '(' was never closed"),
    "too many reads": ("while True: input()", "test 1 of 2: error: EOFError"),
    "the process ends": ("import os\nprint(3)\nos._exit(0)", "test 1 of 2: killed"),
    "exit status 1": (
        f"{RIGHT['input()']}\nimport sys\nsys.exit(1)",
        "test 1 of 2: error: RuntimeError: exit status 1",
    ),
    "exit with words": (f"{RIGHT['input()']}\nexit('bad')", "test 1 of 2: error: RuntimeError: exit status bad"),
    "other processes": ("import subprocess\nprint(subprocess.run(['echo', '3']))", "test 1 of 2: error: "),
}


@pytest.mark.process
@in_module
@pytest.mark.parametrize("case", RIGHT)
async def test_programs_that_pass(case: str, grader: ProgramGrader) -> None:
    assert await grader.grade(SUM, fenced(RIGHT[case])) == Grade(None, True)


@pytest.mark.process
@in_module
@pytest.mark.parametrize("case", WRONG)
async def test_programs_that_fail_and_why(case: str, grader: ProgramGrader) -> None:
    source, told = WRONG[case]
    grade = await grader.grade(SUM, fenced(source))
    assert not grade.right
    assert grade.note.startswith(told)


@pytest.mark.process
async def test_each_test_has_its_time_limit() -> None:
    grader = ProgramGrader(seconds=0.3)
    try:
        grade = await grader.grade(SUM, fenced("while True: pass"))
        assert grade == Grade(None, False, "test 1 of 2: time limit")
    finally:
        await grader.close()


@pytest.mark.process
@in_module
async def test_no_test_sees_what_another_left(grader: ProgramGrader) -> None:
    counting = (
        "import builtins, os\nassert not hasattr(builtins, 'seen') and not os.path.exists('seen')\n"
        "builtins.seen = open('seen', 'w')\ninput()\nprint(sum(map(int, input().split())))"
    )
    assert (await grader.grade(SUM, fenced(counting))).right


@pytest.mark.process
@in_module
async def test_megabytes_go_in_and_come_out_whole(grader: ProgramGrader) -> None:
    lines = "".join(f"{number}\n" for number in range(50_000))
    tests = ProgramTests(None, (ProgramTest(lines, lines),), "")
    echo = "import sys\nfor line in sys.stdin:\n    print(int(line))"
    assert (await grader.grade(replace(SUM, tests=tests), fenced(echo))).right


@pytest.mark.process
@in_module
@pytest.mark.parametrize(
    ("source", "right"),
    [
        ("def f(xs, y):\n    return [y, *xs]", True),
        ("class Solution:\n    def f(self, xs: List[int], y: int) -> List[int]:\n        return [y, *xs]", True),
        ("def f(xs, y):\n    print('[0]')\n    return (y, *xs)", True),  # a tuple in place of a list, and noise
        ("def f(xs, y):\n    return [float(y), True, *xs[1:]]", True),  # equal, as Python compares
        ("def f(xs, y):\n    return str([y, *xs])", False),
        ("def f(xs, y):\n    return [(y, *xs)]", False),
        ("def f(xs, y):\n    return {y}", False),
        ("def f(xs, y):\n    return object()", False),
        ("class E:\n    def __eq__(self, other):\n        return True\ndef f(xs, y):\n    return E()", False),
        ("class E:\n    def __repr__(self):\n        return '[3, 1, 2]'\ndef f(xs, y):\n    return E()", False),
        ("class E(list):\n    __repr__ = lambda self: '[3, 1, 2]'\ndef f(xs, y):\n    return E()", False),
        ("class E(int):\n    __repr__ = lambda self: '3'\ndef f(xs, y):\n    return [E(), 1, 2]", False),
        (
            "class E:\n    __module__ = 'numpy'\n    tolist = lambda self: [3, 1, 2]\ndef f(xs, y):\n    return E()",
            False,
        ),
        ("def g(xs, y):\n    return [y, *xs]", False),
        ("def f(xs):\n    return xs", False),
        ("import numpy as np\ndef f(xs, y):\n    return np.array([y, *xs])", True),
        ("import numpy as np\ndef f(xs, y):\n    return [np.int64(y), np.float32(1), *np.array(xs[1:])]", True),
        ("import numpy as np\ndef f(xs, y):\n    return (np.int64(y), *xs)", True),
        ("import numpy as np\ndef f(xs, y):\n    return np.array([y, 0, 2])", False),
        ("import numpy as np\ndef f(xs, y):\n    return [np.array([y, *xs])]", False),
    ],
)
async def test_functions_are_called_with_json(source: str, right: bool, grader: ProgramGrader) -> None:
    grade = await grader.grade(CALL, fenced(source))
    assert grade.right is right
    assert bool(grade.note) is not right


@pytest.mark.process
@in_module
@pytest.mark.parametrize(("row", "program"), [(PROGRAMS[0], SUM_PROGRAM), (PROGRAMS[1], KEEP_PROGRAM)])
async def test_hidden_tests_count_as_well(row: dict[str, str], program: str, grader: ProgramGrader) -> None:
    tests = program_tests("", row["public_test_cases"], row["private_test_cases"], row["metadata"])
    question = replace(SUM, tests=tests)
    assert (await grader.grade(question, program)).right
    shown_alone = {None: "print(3)", "keep": "def keep(values, limit):\n    return [1, 2]"}[tests.function]
    assert (await grader.grade(question, fenced(shown_alone))).note == "test 2 of 2: wrong output"


@pytest.mark.process
@in_module
async def test_a_test_without_json_is_the_files_fault(grader: ProgramGrader) -> None:
    tests = ProgramTests("f", (ProgramTest("1", "[1"),), "")
    with pytest.raises(InputError, match="question call has a test whose output is not JSON"):
        await grader.grade(replace(CALL, tests=tests), fenced("def f(x):\n    return x"))


@pytest.mark.process
@in_module
async def test_concurrent_programs_do_not_affect_each_other(grader: ProgramGrader) -> None:
    sources = list(RIGHT.values())[:3]
    grades = await asyncio.gather(*(grader.grade(SUM, fenced(source)) for source in (*sources, "print(3)")))
    assert [grade.right for grade in grades] == [True, True, True, False]


@pytest.mark.process
@in_module
async def test_of_several_programs_that_which_defines_the_function_is_run(grader: ProgramGrader) -> None:
    reply = fenced("def f(xs, y):\n    return [y, *xs]") + "For example:\n" + fenced("f = None\nprint([3, 1, 2])")
    assert not (await grader.grade(CALL, reply)).right  # f is defined anew
    assert (await grader.grade(CALL, reply.replace("f = None\n", ""))).right


@pytest.mark.process
@in_module
async def test_a_reply_without_a_program_is_reported(grader: ProgramGrader) -> None:
    assert await grader.grade(SUM, "print(3)") == Grade(None, False, "no program")


@pytest.mark.parametrize(
    ("printed", "wanted", "same"),
    [
        ("3", "3\n", True),
        ("  3 \n\n", "3", True),
        ("1 2\n 3", "1 2\n3", True),
        ("1\n2", "1 2", False),
        ("1\n\n2", "1\n2", False),
        ("0.50", "0.5", True),
        ("1e3 2", "1000 2.0", True),
        ("0.333333", "0.3333333", False),  # decimals are compared exactly
        ("50000000000000001", "50000000000000000", False),
        ("1  2", "1 2", True),
        ("a  b", "a b", False),  # only numbers may be spaced otherwise
        ("YES", "yes", False),
        ("", "", True),
        ("NaN", "nan", False),
    ],
)
def test_outputs_are_compared_line_by_line(printed: str, wanted: str, same: bool) -> None:
    assert same_output(printed, ProgramTest("", wanted)) is same


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r"))), st.text(" \t\n", max_size=3))
def test_white_space_around_lines_never_matters(lines: list[str], space: str) -> None:
    loose = space + "\n".join(f" {line}\t" for line in lines) + space
    assert same_output(loose, ProgramTest("", "\n".join(lines)))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=8))
def test_a_result_equals_its_own_json(value: object) -> None:
    import json

    assert same_result(repr(value), ProgramTest("", json.dumps(value)))


@given(st.text(max_size=40))
def test_whatever_a_cell_prints_is_compared_without_an_error(printed: str) -> None:
    assert same_result(printed, ProgramTest("", '["a result"]')) is (printed.strip() == "['a result']")
    assert same_result("(" * 5_000, ProgramTest("", "1")) is False
