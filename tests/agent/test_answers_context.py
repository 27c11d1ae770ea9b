r"""Text directly before or after the last box: some of it changes the number in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.answers import extract_answer, last_boxed
from agent.editions import EDITIONS

AIMO3 = EDITIONS["aimo3"]

CHANGED = [
    *[r"#\times 10^3", r"# \cdot 2", r"#^2", r"#^{2}", "#!", "#!.", r"#\,\times 5", r"{#}^2", "# + 1", "#-1", "#/7"],
    *["# - x", "#*2", "#x", "#5", "#,000", "#.5", "#_7", r"#_{8}", r"#\pi", r"#\sqrt{2}", r"# \div 2", r"# + \frac12"],
    *["-#", r"= -#", "$-#$", r"\(-#\)", "$x = - #$", "2#", "1 + #", "$2^{#}$", r"2 \times #", r"2 \cdot #", "3 * #"],
    *[r"\frac{#}{2}", r"\frac{1}{#}", r"\sqrt{#}", r"\log #", "10 - #", "84/#", r"x = \sqrt{ #}", r"(-#)", "84 / #"],
    *[r"# \text{ million}", "# million", "$#$ million", "**#** thousand", r"# \text{ or more}", "# Millionen", "#万"],
    *[
        "# is wrong",
        "#, but that's wrong",
        "$#$ is incorrect.",
        "#, which is impossible",
        "# is not the answer",
        "#不对",
    ],
    *["# isn't correct", "# (this is wrong)", "# is too big.", "# is a lower bound", r"#\text{ is wrong}", "# billion"],
    *["The answer is not #", "it can't be #", "it cannot be $#$", "# squared", "# dozen", "# hundred"],
]
UNCHANGED = [
    *["#", "= #", "x = #", "$#$.", r"# \text{ cm}", "**#**", r"#$ \times", r"#\%", "The answer is #. But wait", "(#)"],
    *["- #", "* #", "+ #", "- $#$", "> #", "1. #", "Answer - #", "Answer: #", "=> #", "-> #", "*#*", "_#_", "# cm"],
    *[
        r"\[ # \]",
        "$$#$$",
        r"#^\circ",
        r"#^{\circ}",
        r"#^{\text{th}}",
        "#, since n is 3",
        "# is the answer",
        "#\n- 1 is",
    ],
    *[
        r"x \equiv # \pmod{1000}",
        "#, not 43",
        "#\n\n2 is",
        "#; done",
        "# - as was to be shown",
        r"#\text{ since no}",
        "#。",
    ],
    *[
        r"# = 6 \cdot 7",
        r"\displaystyle #",
        r"{#}",
        r"\mathbf{#}",
        r"\text{Answer: }#",
        r"#_{10}",
        "$#$!",
        "# m",
        "答案是#",
    ],
    *["It is not 41 but #", "2, #", r"n=2 \Rightarrow #", "# for n = 2", "# ways (which is not prime)", "# \u2014 yes"],
]
values = st.integers(10, 99_999)


@given(values, st.sampled_from(CHANGED), st.sampled_from(["", "First \\boxed{7}, so the total.\n\n"]))
def test_what_makes_another_number_of_the_last_box_leaves_none(value: int, form: str, before: str) -> None:
    text = before + form.replace("#", rf"\boxed{{{value}}}")
    assert extract_answer(text, AIMO3) is None
    assert last_boxed(text) == f"{value}"


@given(values, st.sampled_from(UNCHANGED), st.sampled_from(CHANGED))
def test_what_leaves_the_number_alone_is_read_over(value: int, form: str, earlier: str) -> None:
    text = form.replace("#", rf"\boxed{{{value}}}")
    assert extract_answer(text, AIMO3) == value
    assert extract_answer(f"{earlier}\nNo. Instead:\n".replace("#", r"\boxed{7}") + text, AIMO3) == value


@given(
    values,
    values,
    st.sampled_from(
        ["", ",", ", ", " ", " and ", " or ", "$, $", "$ or $", r"\quad", r" \text{ or } ", "$ and $y = ", ";"]
    ),
)
def test_boxes_side_by_side_are_a_list_unless_they_agree(first: int, second: int, between: str) -> None:
    for last in (rf"\boxed{{{second}}}", rf"\boxed{{\boxed{{{second}}}}}"):
        text = rf"So $x = \boxed{{{first}}}{between}{last}$."
        assert extract_answer(text, AIMO3) == (second if first == second else None)


@given(values, st.sampled_from(["x", ""]), st.sampled_from(["", "First \\boxed{7}, so the total.\n\n"]))
def test_boxes_within_the_last_one_are_no_list_with_it(value: int, inner: str, before: str) -> None:
    assert extract_answer(rf"{before}\boxed{{\boxed{{{inner}}} = \boxed{{{value}}}}}", AIMO3) == value


@pytest.mark.parametrize("between", [" then ", ", which misses a case; the count is ", ". Half of it is ", " no: "])
def test_words_between_boxes_leave_the_last_one_its_value(between: str) -> None:
    assert extract_answer(rf"\boxed{{5}}{between}\boxed{{7}}", AIMO3) == 7
