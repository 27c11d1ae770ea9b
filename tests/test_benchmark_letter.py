from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.benchmark_letter import read_letter

CHOSEN = {
    "A": [
        "ANSWER: **A**",
        "ANSWER: $A$",
        "It is 11 m, the first one.\n\nAnswer: A\n",
        "The answer is A because it is the only one left",
        "Final Answer: **(A)**",
        "A",
    ],
    "B": [
        r"\boxed{\text{(B)}}",
        r"\boxed{B.}",
        "So:\n\n**B**",
        "Answer: B) 11 m",
        "**Answer:** (B) 11 m/s",
        "The answer is A. No, the answer is B.",
        "**B. 11 m**",
        r"\fbox{B}",
        "\boxed{B}",
        "The answer is \u201cB\u201d.",
        "I would say option B.",
        "answer = B",
        r"\boxed{(b)}",
    ],
    "C": [
        "{'answer': 'C'}",
        '{"Answer": "C"}',
        '{"answer": "c"}',
        '```json\n{"answer": "C"}\n```',
        '"answer": "C) 11 m"',
        r"\boxed{\mathrm{C}}",
        r"\boxed{\textbf{(C)}\ 5}",
        r"\boxed{\text{Option C}}",
        "The correct answer is (C).",
        "**Final Answer**\n\nC",
        r"Answer: \boxed{C}",
        "Answer is C, and not D",
        "`C`",
        "<answer>C</answer>",
        "\\boxed{A} is wrong. \\boxed{C}",
        "I pick option C over D.",
        "Thus (C) is correct.",
        "So C is the correct answer.",
        "Choice C is right.",
        '{"final_answer": "C"}',
        '{"choice": "C", "reason": "A is wrong"}',
        "__Answer:__ C",
    ],
    "D": [
        "We get \\boxed{A = \\pi r^2}, which matches the last one.\n\n**Answer: D**",
        "\\boxed{\\hbar\\omega \\gg k_B T} holds, so the answer is **D**.",
        "The answer is option D",
        "Therefore, option D is correct.",
        r"The answer is \(D\).",
        "Answer: D\n\nOption A is wrong.",
        "The correct choice is D: 11 m",
        "\\boxed{D}\n\nAnswer: D is right, as A fails.",
    ],
}
NOTHING_CHOSEN = [
    "",
    "I take C",
    '"answer": "E"',
    '"answer": "Carbon"',
    r"\boxed{A catalyst}",
    r"\boxed{A = \pi r^2}",
    r"\boxed{AB}",
    r"\boxed{A_1}",
    "Answer: $A = \\pi r^2$",
    "Answer: B-field",
    "Answer: Dopamine",
    "The answer is A catalyst",
    "The answer is not A.",
    "The answer is either A or B.",
    "The answer is (A) and (C).",
    "Answer: A/B",
    r"\boxed{A, C}",
    r"\boxed{\text{A or B}}",
    '"answer": ["A", "C"]',
    "\\boxed{C}, or rather \\boxed{D",
    "Dear reader, a hard case: both bounds are consistent with the data.",
    "Statement A is correct, and so is B.",
    "Answer: C6H12O6",
    r"\boxed{C \to D}",
    "A. R. Smith took Vitamin D.",
]


@pytest.mark.parametrize(("letter", "text"), [(letter, text) for letter, texts in CHOSEN.items() for text in texts])
def test_a_letter_that_is_stated_is_the_choice(letter: str, text: str) -> None:
    assert read_letter(text) == letter


@pytest.mark.parametrize("text", NOTHING_CHOSEN)
def test_no_other_letter_is_a_choice(text: str) -> None:
    assert read_letter(text) is None


FORMS = ["Answer: {}", "The answer is ({}).", "**Answer: {}**", "\\boxed{{{}}}", '{{"answer": "{}"}}', "**{}**", "({})"]


@given(st.sampled_from("ABCD"), st.sampled_from("ABCD"), st.sampled_from(FORMS[:5]), st.sampled_from(FORMS))
def test_the_last_statement_wins(first: str, last: str, one: str, other: str) -> None:
    assert read_letter(f"{one.format(first)}\n\nWait.\n\n{other.format(last)}") == last


@given(st.sampled_from(FORMS[:5]), st.text("abcdefgxyz", min_size=1), st.sampled_from("ABCD"))
def test_a_letter_that_begins_a_word_is_none(form: str, word: str, letter: str) -> None:
    assert read_letter(form.format(letter + word)) is None
