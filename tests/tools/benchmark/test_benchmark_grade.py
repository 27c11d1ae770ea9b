"""Which replies are graded right."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agent.errors import InputError, JournalError
from agent.types import Problem
from tools.benchmark.grading.expressions import MathGrader
from tools.benchmark.grading.grade import VerdictFile, grade_completions, open_grader
from tools.benchmark.question import BenchmarkQuestion, Completion, Grade, GradedCompletion
from tools.benchmark.reading.letter import read_letter
from tools.benchmark.sets.known import LETTERS, SETS

pytestmark = pytest.mark.process

QUIET = Console(quiet=True)


def question(truth: str, id_: str = "q") -> BenchmarkQuestion:
    return BenchmarkQuestion(Problem(id_, "What?"), truth)


def grade(name: str, truth: str, text: str) -> Grade:
    (verdict,) = grade_completions(SETS[name], {"q": question(truth)}, [Completion("q", 0, text)], None, QUIET)
    return verdict.grade


@pytest.mark.parametrize(
    ("name", "truth", "text", "answer", "right"),
    [
        ("aime2024", "7", "so \\boxed{007}", "7", True),
        ("aime2024", "7", "so \\boxed{8}", "8", False),
        ("aime2024", "7", "so \\boxed{1007}", None, False),  # AIME knows no modulus
        ("aime2024", "7", "the answer is 7", None, False),
        ("aime2024", "7", "\\boxed{7} or rather \\boxed{9}", "9", False),
        ("aime2024", "7", "<think>\\boxed{7}</think> I do not know", None, False),
        ("aime2024", "7", "\\boxed{7}\n</think>\n\n</think>\n", "7", True),
        ("aime2024", "7", "<think>\\boxed{7}?</think>\n\nThe answer is **9**.", None, False),
        ("aime2024", "7", "\\boxed{7}. No: \\boxed{1", None, False),  # cut, so the first one is withdrawn
        ("aimo1-reference", "7", "\\boxed{1007}", "7", True),
        ("aimo2-reference", "100", "\\boxed{-900}", "100", True),
        ("aimo3-reference", "100", "\\boxed{-900}", None, False),
        ("aimo3-reference", "1007", "\\boxed{1007}", "1007", True),
        ("gpqa-diamond", "C", '{"answer": "C"}', "C", True),
        ("gpqa-diamond", "C", '"answer": "A", no: "answer":"C"', "C", True),
        ("gpqa-diamond", "C", "\\boxed{\\text{C}}", "C", True),
        ("gpqa-diamond", "C", "I take C", None, False),
        ("gpqa-diamond", "C", '"answer": "E"', None, False),
        ("gpqa-diamond", "C", '"answer": "Carbon"', None, False),
        ("gpqa-diamond", "C", "", None, False),
    ],
)
def test_answers_that_are_read(name: str, truth: str, text: str, answer: str | None, right: bool) -> None:
    found = grade(name, truth, text)
    assert (found.answer, found.right) == (answer, right)
    assert found.note == ("" if answer is not None else "no answer")


@given(st.text(), st.sampled_from(LETTERS), st.sampled_from(['"answer": "{}"', '{{"answer":"{}"}}', "\\boxed{{({})}}"]))
def test_the_last_letter_in_a_known_form_is_the_choice(before: str, letter: str, form: str) -> None:
    assert read_letter(f"{before}\n{form.format(letter)}") == letter


PAIRS = [
    ("\\frac{1}{6}", "It is $\\boxed{1/6}$.", True),
    ("\\frac{1}{5}", "\\boxed{0.2}", True),
    ("\\frac{1}{6}", "\\boxed{0.1666667}", False),
    ("(1, 2)", "\\boxed{(1,2)}", True),
    ("(1, 2)", "\\boxed{(2,1)}", False),
    ("2, 5", "\\boxed{5} and \\boxed{2}", True),
    ("x^2 + 2x + 1", "thus \\boxed{(x+1)^2}", True),
    ("\\sqrt{8}", "\\boxed{2\\sqrt2}", True),
    ("[0, 3)", "\\boxed{0 \\le x < 3}", True),
    ("45^\\circ", "\\boxed{45}", True),
    ("\\text{Monday}", "\\boxed{\\text{Monday}}", True),
    ("\\text{Monday}", "\\boxed{\\text{Friday}}", False),
    ("1,000", "\\boxed{1000}", True),
    ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\boxed{\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}}", True),
    ("12", "The final answer is $12$.", True),
    ("12", "nothing", False),
    ("12", "", False),
]


def test_mathematics_is_graded_by_what_it_means() -> None:
    questions = {str(index): question(truth, str(index)) for index, (truth, _, _) in enumerate(PAIRS)}
    completions = [Completion(str(index), 0, text) for index, (_, text, _) in enumerate(PAIRS)]
    verdicts = grade_completions(SETS["math500"], questions, completions, None, QUIET)
    assert [verdict.grade.right for verdict in verdicts] == [right for _, _, right in PAIRS]
    assert [verdict.grade.answer for verdict in verdicts[:2]] == ["1/6", "1/5"]
    assert [verdict.grade.note for verdict in verdicts[-2:]] == ["no answer", "no answer"]


def test_an_answer_far_from_the_end_is_found_too() -> None:
    filler = "Let us check it once more. " * 2_000
    assert grade("math500", "\\frac{1}{6}", f"{filler}\\boxed{{\\frac16}} {filler}").right


def run(work: Coroutine[Any, Any, Grade]) -> Grade:
    return asyncio.run(work)


def test_a_comparison_without_end_is_killed_and_the_next_one_works() -> None:
    async def work() -> tuple[Grade, Grade]:
        grader = MathGrader(seconds=2.0)
        try:
            endless = await grader.grade(question("1"), "\\boxed{9^{9^{9^{9}}}!}")
            return endless, await grader.grade(question("1"), "\\boxed{1}")
        finally:
            await grader.close()
            await grader.close()

    endless, good = asyncio.run(work())
    assert not endless.right
    assert good == Grade("1", True)


def test_a_comparison_that_takes_too_long_is_reported() -> None:
    async def work() -> Grade:
        grader = MathGrader(seconds=1e-4)
        try:
            return await grader.grade(question("1"), "\\boxed{1}")
        finally:
            await grader.close()

    assert run(work()) == Grade(None, False, "math-verify took more than 0.0001 s")


def test_a_process_that_dies_costs_one_grade() -> None:
    async def work() -> tuple[Grade, Grade]:
        grader = MathGrader()
        try:
            await grader.grade(question("1"), "\\boxed{1}")
            process = grader._process
            assert process is not None
            process.kill()
            await process.wait()
            return await grader.grade(question("1"), "\\boxed{1}"), await grader.grade(question("1"), "\\boxed{1}")
        finally:
            await grader.close()

    lost, good = asyncio.run(work())
    assert lost == Grade(None, False, "math-verify failed")
    assert good.right


def test_without_math_verify_a_one_line_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'aimo-agent\[benchmark\]'"):
        open_grader(SETS["math500"])


def test_a_sample_that_was_cut_is_wrong_and_says_why() -> None:
    completions = [Completion("q", 0, None, "token limit"), Completion("q", 1, "\\boxed{7}")]
    verdicts = grade_completions(SETS["aime2024"], {"q": question("7")}, completions, None, QUIET)
    assert [verdict.grade for verdict in verdicts] == [Grade(None, False, "token limit"), Grade("7", True)]


def test_what_was_judged_is_kept_and_torn_lines_are_judged_again(tmp_path: Path) -> None:
    store = VerdictFile(tmp_path / "verdicts.jsonl")
    completions = [Completion("q", index, "\\boxed{7}") for index in range(3)]

    def judged(known: Sequence[Completion]) -> list[GradedCompletion]:
        return grade_completions(SETS["aime2024"], {"q": question("7")}, known, store, QUIET)

    judged(completions[:1])
    with (tmp_path / "verdicts.jsonl").open("a") as file:
        file.write('\n{"question": "q", "index": 1, "gra')
    store.add(GradedCompletion("q", 2, Grade("9", False)))
    verdicts = judged(completions)
    assert [verdict.grade.answer for verdict in verdicts] == ["7", "7", "9"]  # the last one was not judged again
    assert len(store.read()) == 3


def test_verdicts_that_cannot_be_written_are_reported(tmp_path: Path) -> None:
    store = VerdictFile(tmp_path / "missing" / "verdicts.jsonl")
    with pytest.raises(JournalError, match=r"verdicts\.jsonl cannot be written"):
        grade_completions(SETS["aime2024"], {"q": question("7")}, [Completion("q", 0, "x")], store, QUIET)
