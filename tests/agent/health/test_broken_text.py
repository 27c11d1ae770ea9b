"""What a broken model writes is told from language, however bad that is."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.health.broken_text import broken_text
from agent.journal.journal import read_run

RECORDINGS = Path(__file__).parents[3] / "tools" / "recordings"
WORDS = ("so", "we", "see", "that", "the", "sum", "is", "even", "and", "hence", "one", "term", "has", "to", "be", "odd")
SCRIPTS = ("abc def", "где они", "שלום רב", "ไทยภาษา", "한국어로", "हिन्दी में", "العربية")


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("?" * 400, "one character over and over"),
        ("!" * 12, "one character over and over"),
        ("0000000000000 0000000000000", "one character over and over"),
        (" \n" * 40, "white space"),
        ("\ufffd\ufffd a \ufffd b \ufffd cc dd ee", "not readable"),
        ("\x00\x01 text \x02 text \x03", "not readable"),
        ("Let me see. " + "the the " * 40, "one piece over and over"),
        ("wonderful" * 30, "one piece over and over"),
        ("Wait, 1/2. " * 30, "one piece over and over"),
        (" ".join(SCRIPTS), "letters of 7 scripts"),
    ],
)
def test_what_broken_models_write_is_broken(text: str, phrase: str) -> None:
    assert broken_text(text) == phrase


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "150",
        "\\boxed{150}",
        "100 + 50 = 150",
        "????",
        "print(100 + 50)\n```\n```output\n150\n```\n",
        "让我们来计算一下:$2^{10} = 1024$,所以 π + β = 24。答案是 \\boxed{24}。",
        "まず、2の10乗を計算します。カタカナもあります。漢字と英語 words と π β θ。",
        "Посчитаем: 100 + 50 = 150. Ответ: \\boxed{150}. Wait, π β θ.",
        "1/3 = 0.333333333333, and 10^20 = 100000000000000000000; so the sum of these is not an integer.",
        "|---|---|---|\n| a | b | c |\n| 1 | 2 | 3 |\nSo the table says that the answer is 6.",
        "I do not know. I do not know. Perhaps it is 3? Or 4?",
    ],
)
def test_language_is_not_broken_whatever_it_says(text: str) -> None:
    assert broken_text(text) == ""


@pytest.mark.parametrize("name", ["practice-text", "practice-tools"])
def test_no_recorded_sample_of_a_sound_model_is_broken(name: str) -> None:
    samples = read_run(RECORDINGS / name).samples
    texts = ["".join(turn.text for turn in sample.turns) for sample in samples]
    assert len(texts) > 900
    assert [text for text in texts if broken_text(text)] == []


@given(st.text(min_size=1, max_size=20).filter(lambda piece: len("".join(piece.split())) >= 1))
def test_a_piece_that_is_written_over_and_over_is_broken_whatever_it_is(piece: str) -> None:
    assert broken_text(piece * 200)


@given(st.text(max_size=11))
def test_a_few_characters_say_nothing(text: str) -> None:
    assert broken_text(text) == ""


@given(st.integers(), st.text())
def test_sound_text_with_anything_short_in_it_is_sound(seed: int, strange: str) -> None:
    prose = " ".join(random.Random(seed).choices(WORDS, k=400))
    assert broken_text(prose + strange[:8] + prose) == ""
