"""Where a hint belongs, however the text is cut into pieces."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.chat.dialects import chat_format
from agent.chat.family import check_keys
from agent.chat.format import turn_start
from agent.chat.hints import Hint, HintScanner
from agent.errors import ConfigError
from agent.types import Turn

HINT = Hint("Try code.", "```python\n", ("Wait", "Alternatively"), True, most=2, apart_chars=0)


def place_in(pieces: list[str], hint: Hint = HINT, opening: str = "<think>\n") -> tuple[int, str] | None:
    """Where the first hint belongs in the joined pieces, and what it replaces."""
    scanner, fed = HintScanner(hint, "</think>", opening), 0
    for piece in pieces:
        fed += len(piece)
        place = scanner.feed(piece)
        if place is not None:
            return fed - place.dropped, place.replaced
        assert 0 <= scanner.held <= fed
    return None


def first(text: str, **changes: object) -> tuple[int, str] | None:
    return place_in([text], replace(HINT, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("So 5. Wait, no.", "So 5. "),
        ("Wait, no.", ""),
        ("So\n\nWait\nno", "So\n\n"),
        ("So $x = 5$. Alternatively, count.", "So $x = 5$. "),
        ("so \\(x=5.\\) Wait, no", "so \\(x=5.\\) "),
        ("So?\n**Wait**, no", "So?\n"),
        ("(so.) Wait!", "(so.) "),
        ("> Wait, no", "> "),
        ("It is \\boxed{5}.\n</think>\n\n5", "It is \\boxed{5}.\n"),
        ("It is 5.</think>", "It is 5."),
        ("```text\nWait, no\n```\nSo. Wait, no.", "```text\nWait, no\n```\nSo. "),
        ("so `</think>` closes. Wait, no", "so `</think>` closes. "),
    ],
)
def test_a_hint_belongs_before_a_doubt_or_the_end_of_the_thinking(text: str, before: str) -> None:
    found = first(text)
    assert found is not None and text[: found[0]] == before
    assert text[found[0] :].startswith(found[1]) and found[1].strip("*") in ("Wait", "Alternatively", "</think>")


@pytest.mark.parametrize(
    "text",
    [
        "So 5. Waiting helps.",
        "So I wait, no. But Wait",
        "Hmm, Wait, no.",
        "So 5. Wait",  # the word may go on
        "```python\n# x.\nWait, no",
        "```python\nprint('</think>')",
        "<tool_call>\nx = 1. Wait, no",
        "a </thinking> </think",
        "so `</think>` is a tag",
        "Waits. wait, no. Alternative: x",
    ],
)
def test_no_hint_belongs_elsewhere(text: str) -> None:
    assert first(text) is None


def test_what_a_thinking_is_followed_by_gets_no_hint() -> None:
    assert first("So.\n</think>\nWait, no.", before_think_close=False) is None
    assert first("So.\n</think>\nWait, no.") == (4, "</think>")


def test_a_word_gets_a_hint_only_so_many_characters_after_the_beginning_and_the_last_hint() -> None:
    text = "Wait, no. " * 9
    at = first(text, apart_chars=35)
    assert at is not None and at[0] == 30  # behind the opening's 8
    scanner = HintScanner(HINT, "</think>", "")
    assert scanner.feed("Wait, no") is not None
    assert scanner.feed("```\nSo. Wait, no") is not None
    assert scanner.feed("```\nSo. Wait, no</think> Wait, no") is None and scanner.held == 0
    scanner = HintScanner(Hint("a", "b", ("Wait",), True, most=2, apart_chars=30), "</think>", "x" * 40)
    assert scanner.feed(".\nWait, no") is not None
    assert scanner.feed("```\nSo. Wait, no\n</think>") is None, "the end of the thinking is accepted soon after a hint"


def test_a_hint_is_given_once_more_only_where_its_code_was_closed() -> None:
    scanner = HintScanner(HINT, "</think>", "")
    assert scanner.feed("Wait, no") is not None
    assert scanner.feed("x = 1\n# So.\nWait, no </think>\n") is None
    assert scanner.feed("```\nWell. ") is None
    place = scanner.feed("</think>")
    assert place is not None and (place.replaced, place.dropped) == ("</think>", 8)


WORDS = ["Wait", "Wai", "t, no", "Alternatively,", " ", ". ", "\n", "**", "`", "```", "```python\n", "</think>", "</th"]
texts = st.lists(st.sampled_from([*WORDS, "<tool_call>\n", "</tool_call>", "x", "$", "\\)"]), max_size=14).map("".join)


@given(texts, st.lists(st.integers(0, 90), max_size=12), st.booleans(), st.sampled_from([0, 15]))
def test_the_place_does_not_depend_on_how_the_text_is_cut(
    text: str, cuts: list[int], before_close: bool, apart: int
) -> None:
    hint = Hint("Try.", "```python\n", HINT.at, before_close, 2, apart)
    ends = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[start:end] for start, end in pairwise(ends)]
    assert place_in([text], hint) == place_in(pieces, hint) == place_in(list(text), hint)


@given(texts, st.sampled_from([1, 3]))
@example("So. Wait, no", 1)
@example("So. **Alternatively**, no", 1)
@example("So.\n</think>", 1)
def test_nothing_is_replaced_that_was_not_held_back(text: str, size: int) -> None:
    scanner, settled, fed = HintScanner(HINT, "</think>", ""), 0, 0
    for start in range(0, len(text), size):
        piece = text[start : start + size]
        fed += len(piece)
        place = scanner.feed(piece)
        if place is not None:
            assert settled <= fed - place.dropped
            break
        settled = max(settled, fed - scanner.held)


def test_the_cost_of_a_character_is_constant() -> None:
    scanner = HintScanner(HINT, "</think>", "")
    for _ in range(20_000):
        assert scanner.feed("so on, Wait") is None
    assert len(scanner._tail) < 100


def test_a_family_tells_its_hint_and_when() -> None:
    hint = chat_format("qwq-hint", tools=True).hint
    assert hint is not None and hint.at == ("Wait", "Alternatively") and hint.before_think_close
    assert hint.inserted("So. ") == f"{hint.text}\n```python\n"
    assert hint.inserted("So.") == f"\n\n{hint.text}\n```python\n"
    assert chat_format("qwq-hint", tools=False).hint is None and chat_format("qwq", tools=True).hint is None


def test_the_turn_behind_a_hint_begins_with_its_code() -> None:
    chat = chat_format("qwq-hint", tools=True)
    assert turn_start(chat, []) == "<think>\n"
    assert turn_start(chat, [Turn("so", 1, 1.0, "hint", hint_at="Wait")]) == "```python\n"
    assert turn_start(chat, [Turn("so", 1, 1.0, "\n</think>")]) == ""


def test_the_hint_is_an_own_passage_and_its_code_the_models() -> None:
    chat = chat_format("qwq-hint", tools=True)
    assert chat.hint is not None
    turn = f"So.\n{chat.hint.inserted(chr(10))}print(1)\n```{chat.tool_result('1')}Good.\n</think>\n\\boxed{{1}}"
    assert [(passage.kind, passage.text) for passage in chat.passages(chat.opening + turn)] == [
        ("thinking", "So.\n"),
        ("agent", chat.hint.text),
        ("thinking", "```python\nprint(1)\n```"),
        ("result", "1"),
        ("thinking", "Good.\n"),
        ("answer", "\n\\boxed{1}"),
    ]


OWN = """\
dialect = "{dialect}"
instructions = "Think."
tool_instructions = "Think, or compute."
think_close = "</think>"
[hint]
text = "Compute!"
at = ["Wait"]
"""


@pytest.mark.parametrize(("dialect", "opens"), [("chatml-tagged", "<tool_call>\n"), ("r1-fenced", "```python\n")])
def test_a_family_of_ones_own_may_have_a_hint(
    tmp_path_factory: pytest.TempPathFactory, dialect: str, opens: str
) -> None:
    path = tmp_path_factory.mktemp("own") / "own.toml"
    path.write_text(OWN.format(dialect=dialect), encoding="utf-8")
    hint = chat_format(str(path), tools=True).hint
    assert hint is not None and (hint.text, hint.call_open, hint.at) == ("Compute!", opens, ("Wait",))


@pytest.mark.parametrize("dialect", ["chatml-calls", "harmony"])
def test_a_hint_is_refused_where_calls_stand_behind_the_thinking(
    tmp_path_factory: pytest.TempPathFactory, dialect: str
) -> None:
    path = tmp_path_factory.mktemp("own") / "own.toml"
    path.write_text(OWN.format(dialect=dialect), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"(hint|think_close) means nothing in the dialect .*: chatml-fenced, "):
        check_keys(str(path))
