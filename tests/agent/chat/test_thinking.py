"""Where a thinking ends, which of its boxes is its answer, and where a turn ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chat.box import first_box
from agent.chat.dialects import chat_format
from agent.chat.reply import Reply, finished_answer, settled_answer
from agent.chat.task import CompetitionTask
from agent.chat.thinking import TurnEndScanner, near_its_end, thinking_end
from agent.editions import EDITIONS

CLOSE = "</think>"
QWQ = chat_format("qwq", tools=True)
TURN_ENDS = QWQ.stop_strings
TASK = CompetitionTask(EDITIONS["aimo3"])


class Letters:
    """A kind of question that is answered by a letter, which is not voted on."""

    def instructions(self, usual: str) -> str:
        return usual

    def read(self, text: str) -> str | None:
        return text[-2] if text.endswith("}") else None


def test_a_stream_that_breaks_behind_its_box_has_answered_if_that_is_a_vote() -> None:
    whole, cut = Reply("", "So it is \\boxed{7}"), Reply("So it is \\boxed{7}", None)
    assert (finished_answer(TASK, whole), settled_answer(TASK, whole)) == (7, 7)
    assert settled_answer(TASK, cut) is settled_answer(TASK, Reply("", "\\boxed{7}, and then")) is None
    assert (finished_answer(Letters(), whole), settled_answer(Letters(), whole)) == ("7", None)


def read(text: str) -> int | str | None:
    return finished_answer(TASK, QWQ.reply(text, thinking=True))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Hmm \\boxed{5}?</think>\n\nThe answer is \\boxed{42}.", 42),
        ("Hmm \\boxed{5}.</think>\n\nFirst \\boxed{6}, then \\boxed{42}.", 42),
        ("So it is \\boxed{42}.\n</think>", 42),
        ("So it is \\boxed{42}.\n</think>\n\n", 42),
        ("**Final Answer**\n\\boxed{42}\n</think>\n\nThat is the answer.", 42),
        ("So it is $\\boxed{42}$.\n</think>\n\nThe answer is 42.", 42),
        ("So it is \\boxed{42}.\n</think>\n</think>\n", 42),
        ("The answer is \\boxed{42}.\n</think>\n\n</think>", 42),
        ("Is it \\boxed{5}? No: \\boxed{42}.</think>", 42),
        # Nothing that counts: the lane is asked.
        ("So it is \\boxed{42}.", None),
        ("So it is \\boxed{42}. But wait", None),
        ("Maybe \\boxed{5}? No, the sum is wrong.\n</think>\n\nThe answer is **42**.", None),
        ("So \\boxed{42}?\n</think>\n\nThe answer is **7**.", None),
        ("It is \\boxed{5}.\n</think>\n\nThe answer is **42**.", None),
        ("It is \\boxed{5}. Hmm, that is not it.\n</think>", None),
        (f"It is \\boxed{{5}}. {'More words follow it here. ' * 10}</think>\n\nDone.", None),
        ("No box at all.</think>\n\nThe answer is 42.", None),
        ("So \\boxed{42}.</think>\n\nThe answer is \\boxed{x}.", None),
        ("So \\boxed{42}.</think>\n\nThe answer is \\boxed{4", None),
        ("So \\boxed{42}.</think> The answer is not 42.", None),
        ("So \\boxed{42}.</think> 42 is wrong, it is 43.", None),
        ("So \\boxed{42}.</think> The answer is 42.5", None),
        ("So \\boxed{42}.</think> The answer is -42", None),
        ("So \\boxed{42}.</think> The answer is 2^42", None),
        ("So \\boxed{42}.</think> I could not solve it.", None),
        ("Maybe \\boxed{42}.</think>", None),
        ("It is not \\boxed{42}.</think>", None),
        # A tag in code closes nothing.
        ("print: `</think>` \\boxed{5} and more", None),
        ("```python\nprint('</think>')\n```\n \\boxed{5} and more", None),
        ("```\n</think>\n```\nso \\boxed{5}? no.</think> It is \\boxed{42}", 42),
        ("~~~\n</think>\n~~~\nso \\boxed{5}", None),
        # What only looks like code hides no tag.
        ("With $x=3,~~~y=4$.</think> \\boxed{42}", 42),
        ("```python\nx = 1\n</think> \\boxed{42}", 42),
        ("Use ``` here.\n</think> \\boxed{42}", 42),
        ("Let f` be.\n</think> f` \\boxed{42}", 42),
        # A number in the reply is the box's, however it is written.
        ("So \\boxed{1000}.</think> The answer is 1,000.", 1000),
    ],
)
def test_what_counts_of_a_reply_that_has_ended(text: str, answer: int | None) -> None:
    assert read(text) == answer


@pytest.mark.parametrize("text", ["\\boxed{42}", "\\boxed{5}? No. \\boxed{42}"])
def test_a_family_that_does_not_think_is_read_whole(text: str) -> None:
    assert finished_answer(TASK, chat_format("qwq-preview", tools=True).reply(text, thinking=True)) == 42


def test_a_box_far_from_the_end_of_the_thinking_is_not_its_answer() -> None:
    assert near_its_end(f"\\boxed{{42}}{' and so on' * 30}") == ""
    assert near_its_end(f"{'on and on ' * 30}so \\boxed{{42}}.") == "\\boxed{42}."


DOUBTS = (
    *("wait", "no", "not", "but", "however", "wrong", "incorrect", "actually", "hmm", "hmmm", "alternatively", "maybe"),
    *("perhaps", "check", "recheck", "verify", "let", "cannot", "can't", "could", "unable", "unsure", "isn't", "?"),
)


@pytest.mark.parametrize("word", DOUBTS)
def test_a_box_behind_which_a_doubt_follows_is_no_answer(word: str) -> None:
    for doubt in (word, word.upper()):
        assert near_its_end(f"So \\boxed{{42}}. Well, {doubt} that") == ""
        assert finished_answer(TASK, Reply("So \\boxed{42}.", f"Well, {doubt} that")) is None
    within = f"\\boxed{{42}}. Well, x{word.strip('?')}x that"
    assert near_its_end(f"So {within}") == within
    assert finished_answer(TASK, Reply("So \\boxed{42}.", within.partition(" ")[2])) == 42


@pytest.mark.parametrize("word", ["not", "maybe", "perhaps", "guess", "suppose", "assume"])
def test_a_box_before_which_a_tentative_word_stands_is_no_answer(word: str) -> None:
    assert near_its_end(f"So {word} it is \\boxed{{42}}.") == ""
    for settled in (f"So {word} it. It is \\boxed{{42}}.", f"So x{word}x it is \\boxed{{42}}."):
        assert near_its_end(settled) == "\\boxed{42}."


words = st.sampled_from(
    ["a ", "<", "<|", "|>", "im_end", "<|im_end|>", "<|im_", "end|>", "<|endoftext|>", "\n", "</think>"]
)
pieces = st.lists(words | st.text("<|im_endtof>/hk ", max_size=6), max_size=12)


@given(pieces)
def test_a_turn_end_is_found_where_it_begins_however_the_stream_is_cut(stream: list[str]) -> None:
    scanner = TurnEndScanner(TURN_ENDS)
    text, found = "", None
    for piece in stream:
        text += piece
        found = scanner.feed(piece)
        if found is not None:
            break
        assert not any(mark in text for mark in TURN_ENDS)
        # As much is held as may be the beginning of a mark, and no more.
        beginnings = [mark[:n] for mark in TURN_ENDS for n in range(1, len(mark))]
        assert scanner.held == max((len(each) for each in beginnings if text.endswith(each)), default=0)
    places = [text.find(mark) for mark in TURN_ENDS if mark in text]
    assert found == (min(places) if places else None)


def box_end(text: str) -> int | None:
    """Where a box that this text begins with is closed, read sign by sign."""
    depth = 0
    for place, sign in enumerate(text):
        if sign in "{}" and not (place and text[place - 1] == "\\"):
            depth += 1 if sign == "{" else -1
            if not depth:
                return place + 1
    return None


braces = st.lists(st.text("{}\\4\n", max_size=4) | st.sampled_from(TURN_ENDS), max_size=10)


@given(st.sampled_from(["\\boxed{", "\\boxed{4", "\\boxed{\\frac{1"]), braces)
def test_a_turn_that_completes_a_box_ends_behind_it_however_the_stream_is_cut(begun: str, stream: list[str]) -> None:
    scanner = TurnEndScanner(TURN_ENDS, begun)
    text, found = "", None
    for piece in stream:
        text += piece
        found = scanner.feed(piece)
        if found is not None:
            break
    closed = box_end(begun + text)
    ends = [text.find(mark) for mark in TURN_ENDS if mark in text]
    ends += [] if closed is None else [closed - len(begun)]
    assert found == (min(ends) if ends else None)
    assert first_box(begun + text) == (begun + text)[:closed]


@given(st.text("ab`~\n", max_size=40), st.text("ab \n", max_size=20))
def test_a_tag_behind_everything_else_closes_the_thinking_unless_it_stands_in_code(before: str, behind: str) -> None:
    text = f"{before}{CLOSE}{behind}"
    end = thinking_end(text, CLOSE)
    assert end in (None, len(before))
    if "`" not in before and "~~~" not in before:
        assert end == len(before)


def test_hostile_text_is_read_in_linear_time() -> None:
    for unit in ("`", "```\n", CLOSE, f"`{CLOSE}`", "\\boxed{", "~~~"):
        assert read(unit * 20_000) is None
