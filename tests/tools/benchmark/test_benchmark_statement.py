"""The answer that a reply states outside or inside a box."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.benchmark.reading.boxes import ends_in_box, find_boxes
from tools.benchmark.reading.statement import stated_answers
from tools.benchmark.reading.thinking import behind_thinking

STATED = {
    r"It is \boxed{42}.": ["42"],
    r"\fbox{42}": ["42"],
    r"\framebox{42}": ["42"],
    r"\framebox[3cm][c]{42}": ["42"],
    r"\boxed42": ["42"],
    r"$\boxed 42$": ["42"],
    r"\boxed\frac12": [r"\frac12"],
    "\boxed{42}": ["42"],
    "\x0cbox{42}": ["42"],
    r"\\boxed{42}": ["42"],
    "\\boxed\n {42}": ["42"],
    r"\boxed{\boxed{4} + 1}": [r"\boxed{4} + 1"],
    r"\boxed{\left\{1, 2\right\}}": [r"\left\{1, 2\right\}"],
    r"\boxed{42}. I put it in \boxed{}.": ["42"],
    r"\boxed{42}, as in `\boxed{answer}` or \boxed{\text{your answer}} or \boxed{\dots}": ["42"],
    r"I use \boxed for it: \boxed{42}": ["42"],
    r"\boxed{41 and then \boxed{42}": ["42"],
    r"First \boxed{5}, which misses one; with it \boxed{7}.": ["5", "7"],
    r"First \boxed{5}. With the other one \boxed{7}.": ["7"],
    "\\boxed{3}. So $x=\\boxed{5}$\n\nor\n\n$x=\\boxed{7}$": ["5", "7"],
    "The answer is 7.": ["7"],
    "The answer is $\\frac12$.": [r"\frac12"],
    "The final answer is therefore: **7**": ["7"],
    "The answers are $5$, $6$ and \\(7\\).": ["5", "6", "7"],
    "Answer: (1, 2)": ["(1, 2)"],
    "Not 41 but 43 was excluded, so the answer is 42.": ["42"],
    "If x is odd, then the answer is 42.": ["42"],
    r"If x is odd, it is \boxed{42}.": ["42"],
    r"Is it \boxed{42}? Yes.": ["42"],
    "I'd say the answer is 42.": ["42"],
    r"If all the balls are alike and none of the boxes is empty there are \boxed{42} ways.": ["42"],
    r"Could it be 41? No. It is \boxed{42}.": ["42"],
    r"There is no waiting time: \boxed{42} with no rest.": ["42"],
    "**Answer:** It is **15**, as was to be shown.": ["15"],
    "**Final Answer**\n\n42": ["42"],
    "### Final Answer:\n\\[x = 42\\]": ["x = 42"],
    "Final answer: x = 3.5 cm.": ["x = 3.5 cm"],
    "The answer is Monday.": ["Monday"],
    "The answer is 7. I checked that the answer is right.": ["7"],
    "The answer is $4$. Wait, the answer is $5$.": ["5"],
    r"\boxed{4}. Wait, the final answer is 5.": ["5"],
    r"\boxed{4}. This answer is in simplest form.": ["4"],
    r"The answer is \boxed{4}, as the answer is a number of sides.": ["4"],
}
NOT_STATED = [
    "",
    "42",
    "Left over are 3, 5 and 7, and none of the tests tells them apart.",
    "So $x = 7$.",
    "So we get **7**.",
    "We give the answer in simplest form.",
    r"\boxed{}",
    r"\boxed{?}",
    r"Perhaps \boxed{42}. On second thought the parity fails, hence \boxed{4",
    "\\boxed{42}, or rather \\boxed{",
    "\\boxed{42}, or rather \\boxed",
    "\\boxed{42}, or rather \\bo",
    r"The answer is 42, or \boxed{\frac{1}{2}",
    r"The answer is not \boxed{42}.",
    r"The answer is not $\boxed{42}$.",
    r"It can't be \boxed{42}.",
    r"Is it \boxed{42}? No.",
    r"So \boxed{42} is wrong.",
    r"So \(\boxed{42}\) cannot be right.",
    r"If it is \boxed{42}, the sum is odd.",
    r"\boxed{42}. Is it $\boxed{42}$? No.",
    r"\boxed{42}. Wait, no.",
    "\\boxed{42}\n\nHmm, let me recheck.",
    "The answer cannot be 42.",
    "The answer can't be 42.",
    "The answer could be $42$.",
    "I doubt that the answer is 42.",
    "The wrong answer is 42.",
    "Suppose the answer is 42. That fails.",
    "Assume that the answer is $42$. That fails.",
    "If the answer is 42, then the sum is odd.",
    "The final answer is 42?",
    "Is the answer $42$?",
    "The answer is 42. Wait, that is wrong.",
    "The answer is 41. The answer cannot be 42.",
]


@pytest.mark.parametrize("text", STATED)
def test_the_last_statement_is_the_answer(text: str) -> None:
    assert stated_answers(text) == STATED[text]


@pytest.mark.parametrize("text", NOT_STATED)
def test_nothing_else_is_an_answer(text: str) -> None:
    assert stated_answers(text) == []


@given(
    st.text(st.sampled_from("12+x^ "), min_size=1).filter(str.strip),
    st.text(st.characters(exclude_characters="\\\b\f")),
)
def test_whatever_stands_in_the_last_box_is_the_answer(content: str, before: str) -> None:
    assert stated_answers(f"{before}. \\boxed{{{content}}}")[-1:] == [content]


PIECES = st.sampled_from(["\\boxed{", "\\boxed", "\\", "bo", "{", "}", "7", " ", "\boxed", "\\fbox[", "]", "\n"])


@given(st.text(max_size=60) | st.lists(PIECES).map("".join))
def test_boxes_of_any_text_lie_in_it_one_behind_the_other(text: str) -> None:
    boxes = find_boxes(text)
    assert all(0 <= box.start < box.end <= len(text) for box in boxes)
    assert all(one.end <= other.start for one, other in pairwise(boxes) if one.content is not None)
    assert ends_in_box(text) is (bool(find_boxes(text.rstrip())) and find_boxes(text.rstrip())[-1].content is None)
    stated_answers(text)


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("<think>5?</think>\n42", "\n42"),
        ("5?</think>\n42", "\n42"),  # the prompt opened it
        ("42", "42"),
        ("42\n</think>\n\n</think>\n", "42\n\n\n\n"),
        ("<think>5?</think>42</think>", "42"),
        ("<think>5?</think>\n</think>\n42", "\n\n42"),
        ("<think>5?</think>42<think>6?</think>43", "43"),
        ("<think>42</think>", ""),
        ("<think>\\boxed{42}", ""),
        ("So 41.<think>42", "So 41."),
        ("<think>41</think>42<think>43", "42"),
        ("<think>```x```</think>```y```", "```y```"),
        ("<think>```python\nx\n```</think>```python\ny\n```", "```python\ny\n```"),
        ("<think>```python\nx\n```\n</think>```python\ny\n```", "```python\ny\n```"),
        ("<think>42</think>\n\n", "\n\n"),
        ("The tag `</think>` ends it: 42", "The tag `</think>` ends it: 42"),
        ("42\n```\nprint('</think>')\n```\n", "42\n```\nprint('</think>')\n```\n"),
        ("5?\n```\nx\n</think>\n42", "\n42"),  # code that was never closed
    ],
)
def test_what_stands_behind_the_thinking_is_the_reply(text: str, reply: str) -> None:
    assert behind_thinking(text) == reply


@given(
    st.text(st.characters(exclude_characters="<`~")), st.text(st.characters(exclude_characters="<`~")).filter(str.strip)
)
def test_thinking_is_never_read(thinking: str, reply: str) -> None:
    assert behind_thinking(f"<think>{thinking}</think>{reply}") == reply
    assert behind_thinking(f"{thinking}</think>{reply}") == reply
    assert behind_thinking(f"{thinking}</think>{reply}</think>") == reply
