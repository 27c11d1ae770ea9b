"""Which letter a reply to a multiple-choice question chooses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.benchmark.reading.letter import read_letter

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
        r"\boxed{B. 5 m}",
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
        "Answer: C. The momentum is conserved.",
        "Answer\uff1a C",
        "Answer: \uff23",
        "Answer:\u200b C\u200b",
        "\u200bAnswer: \u200bC",
        "\u7b54\u6848\uff1aC",
        "\u7b54\u6848\u662fC\u3002",
        "I choose C.",
        "Answer: C\n\nOne may think of B, but that is wrong.",
        "I would choose (C)",
        "Thus, C is correct.",
        "The others fail. C is correct.",
        "<think>Answer: A</think>Answer: C",
        "If A held, the sum would be odd. So the answer is C.",
        "It is not B, so the answer is C.",
        "I doubt that the answer is A. The answer is C.",
        r"\boxed{A}? No: \boxed{C}",
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
    "The wrong answer is A.",
    "The incorrect answer is (A).",
    "Answer: A is wrong.",
    "Answer: A is not correct.",
    "The answer cannot be A",
    "The answer can't be A.",
    "The answer can\u2019t be A.",
    "I doubt that the answer is A.",
    "I am not sure that the answer is A.",
    "The answer could be A.",
    "The answer might be A.",
    "If the answer is A, then the field is zero.",
    "Suppose the answer is A. Then the field is zero.",
    "Is the answer A?",
    "The answer is A?",
    "The answer is A. Wait, no.",
    "The answer is B. The answer cannot be B.",
    "Answer: A\n\nHmm, wait. Let me recheck",
    r"\boxed{A}. Wait, that is wrong.",
    r"The answer is not \boxed{A}.",
    r"\boxed{C. elegans}",
    "Answer: C. elegans",
    "Answer: B. subtilis",
    "The answer is **D. melanogaster**",
    r"\boxed{A} or \boxed{B}",
    r"$\boxed{A}$ and $\boxed{B}$",
    "<think>Answer: A</think>",
    "<think>Answer: A",
    "The answer is A. But that is wrong.",
    "I choose C over D, or rather neither.",
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
