"""Where a text breaks off in a box, and whether it ends with one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chat.box import NEAR_END, breaks_off_in_box, ends_with_box, open_box

COMMANDS = ("\\boxed", "\\fbox", "\\framebox", "\x08oxed")
plain = st.text(st.characters(exclude_characters="{}\n"), max_size=60)


@given(st.text(max_size=20), plain)
def test_a_box_is_continued_that_holds_a_few_characters_of_one_line(before: str, content: str) -> None:
    text = f"{before}\\boxed{{{content}"
    assert open_box(text) == (content if len(content) <= 40 else None)
    assert open_box(f"{text}}}") is None and open_box(f"{text}\n") is None


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("behind", "within"),
    [
        ("", True),
        (" ", True),
        ("{", True),
        (" {4", True),
        ("{\\frac{84}{2}", True),
        ("{\\text{so \\}", True),
        ("{4}", False),
        (" {4} {", False),
        ("{\\frac{84}{2}}.", False),
        (" 42", False),
        ("{4} or \\boxed{", True),
        ("{4 \\boxed{42}", False),
    ],
)
def test_a_text_ends_within_its_last_box_unless_that_is_closed(command: str, behind: str, within: bool) -> None:
    assert breaks_off_in_box(f"It is {command}{behind}") is within


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("behind", "ends"),
    [
        ("{7}", True),
        ("{7}$.\n", True),
        ("{\\frac{14}{2}})**", True),
        ("{{7}}.", True),
        ("{{7}", False),
        (" 7.", True),
        ("{5} \\boxed{7}", True),
        ("{7}, or", False),
        ("{7} 8", False),
        ("{7}{8}", False),
        ("{7", False),
    ],
)
def test_a_text_ends_with_a_box_if_no_word_or_number_follows_the_last_one(
    command: str, behind: str, ends: bool
) -> None:
    assert ends_with_box(f"It is {command}{behind}") is ends


def test_a_box_counts_up_to_some_distance_from_the_end_and_no_further() -> None:
    for extra, near in ((0, True), (1, False)):
        closed, begun = "\\boxed{7}", "\\boxed{"
        assert ends_with_box(f"so {closed}{'.' * (NEAR_END - len(closed) + extra)}") is near
        assert breaks_off_in_box(f"so {begun}{'7' * (NEAR_END - len(begun) + extra)}") is near
    assert not ends_with_box("") and not breaks_off_in_box("") and not breaks_off_in_box("It is 7.")
