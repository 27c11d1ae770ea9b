"""What is emitted of a sample's text: each character and each token once, and nothing that is still held back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.lane.text_events import TextEmitter
from tests.support.doubles import Recorder

CHUNKS = st.lists(st.tuples(st.text("ab<|", max_size=6), st.integers(0, 4), st.integers(0, 8)), max_size=12)


@given(st.lists(st.tuples(CHUNKS, st.text("x\n", max_size=3)), max_size=4))
def test_each_character_and_each_token_is_emitted_once(turns: list[tuple[list[tuple[str, int, int]], str]]) -> None:
    recorder = Recorder()
    emitter = TextEmitter(recorder, "p", 3)
    whole, tokens = "", 0
    for chunks, inserted in turns:
        written = ""
        for text, count, held in chunks:
            emitter.count(count)
            emitter.grow(text, held)
            written, tokens = written + text, tokens + count
            seen = "".join(piece for _, piece, _ in recorder.texts)
            assert (whole + written).startswith(seen) and recorder.tokens == tokens
        emitter.end_turn(written)
        emitter.insert(inserted, "result")
        whole += written + inserted
    assert "".join(piece for _, piece, _ in recorder.texts) == whole
    assert recorder.tokens == tokens
    assert all(index == 3 for index, _, _ in recorder.texts)


def test_what_may_be_the_mark_of_a_turns_end_is_held_until_it_is_settled() -> None:
    recorder = Recorder()
    emitter = TextEmitter(recorder, "p", 0)
    emitter.grow("so 42<|im", held=4)
    assert [text for _, text, _ in recorder.texts] == ["so 42"]
    emitter.grow("_end|>", held=0)
    assert [text for _, text, _ in recorder.texts] == ["so 42", "<|im_end|>"]


def test_an_end_that_was_held_and_is_no_part_of_the_turn_is_never_emitted_and_its_tokens_are() -> None:
    recorder = Recorder()
    emitter = TextEmitter(recorder, "p", 0)
    emitter.count(5)
    emitter.grow("so 42<|im", held=4)
    emitter.count(2)
    emitter.end_turn("so 42")
    assert "".join(text for _, text, _ in recorder.texts) == "so 42"
    assert recorder.tokens == 7


def test_nothing_is_no_event() -> None:
    recorder = Recorder()
    emitter = TextEmitter(recorder, "p", 0)
    emitter.grow("", held=0)
    emitter.end_turn("")
    emitter.insert("", "forcing")
    assert (recorder.texts, recorder.tokens) == ([], 0)
