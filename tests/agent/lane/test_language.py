"""Letters of scripts that mathematics in English does not use."""

# ruff: noqa: RUF001 - characters that look like others are what this is about
from __future__ import annotations

import time
import unicodedata
from itertools import accumulate, cycle, pairwise, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.lane.language import LanguageMixingCounter


def counts(*pieces: str) -> tuple[int, int]:
    """Letters of other scripts, and stretches of them."""
    counter = LanguageMixingCounter()
    for piece in pieces:
        counter.feed(piece)
    return counter.letters, counter.stretches


def cut(text: str, sizes: list[int]) -> list[str]:
    bounds = list(takewhile(lambda bound: bound < len(text), accumulate(cycle(sizes), initial=0)))
    return [text[start:end] for start, end in pairwise([*bounds, len(text)])]


@pytest.mark.parametrize(
    "text",
    [
        "Let x be a root of f, so that sin(x) = 1/2 \\frac{1}{2} \\text{ and } y_1 = x^2.",
        "ℝ ℂ ℕ ℤ ℚ ℓ ℘ ℜ ℑ ℵ ℶ ℷ ℏ ∑ ∏ ∫ √ ∞ ≡ ≤ ∈ ∅ ∀ ∃ → ⟨ ⟩ ⌊ ⌋ ⊕ ½ ² ³ ⁿ ₁ ₙ ᵢ ⱼ ᵀ ᵈ Ⅳ",
        "𝑥 𝐀 𝒞 𝔽 𝔭 𝕊 𝜋 𝛁 𝟙 𝟎 𝚤",
        "αβγδε ΑΒΓΔΩ ϕ ϑ ϵ ἀρχή π",
        "１２３ ＋ ＝ ａｂｃ ＸＹＺ",
        "naïve Gödel Erdős Poincaré Łoś straße ﬁnite ŷ x̄ ə ʃ ª º µ",
        "٣ ৩ ३ 〇",
        "，。、（）：「」！？～ … — “ ” ’",
        "✓ ✗ 😀 🎉 ① ㎝ ♠ ♥ ■ □ │ ─",
        "\ufeff\u200b\u00a0\ud800\udfff",
        "",
    ],
)
def test_mathematics_in_english_is_no_language_mixing(text: str) -> None:
    assert counts(text) == (0, 0)


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("所以答案是", 5),
        ("つまりカタカナー", 8),
        ("ｶﾀｶﾅ", 4),
        ("따라서", 3),
        ("\u1100\u1161", 2),  # Hangul in parts
        ("Следовательно", 13),
        ("إذن", 3),
        ("לכן", 3),
        ("इस", 2),
        ("ดังนั้น", 4),  # the vowel and tone marks above are no letters
        ("հետ", 3),
        ("მაშ", 3),
        ("𠀀𠮷", 2),
    ],
)
def test_letters_of_other_scripts_count(text: str, letters: int) -> None:
    assert counts(text) == (letters, 1)
    assert counts(f"So we get {text} and then 5.") == (letters, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("所以 x = 5，因此 y ≡ 3 (mod 7)。", (4, 1)),
        ("所以 a b c d\n\n因此", (4, 1)),
        ("所以 the answer 因此", (4, 2)),
        ("所以 is 因此 of 所", (5, 3)),
        ("所以 λx 因此", (4, 2)),
        ("所x以y因z此", (4, 1)),
        ("The answer 是 5 and the sum 是 7.", (2, 2)),
        ("Ответ: x, затем y", (10, 1)),
        ("所1ab所", (2, 2)),
        ("\u0400\u2bff", (1, 1)),
    ],
)
def test_a_stretch_ends_at_a_word(text: str, expected: tuple[int, int]) -> None:
    assert counts(text) == expected
    assert counts(*text) == expected


alphabet = st.sampled_from("ab xyλ 5=，所以因дж\u0301ℝ𝑥ｘ\n")
mixed = st.one_of(st.text(alphabet), st.text(st.characters(codec="utf-8")))


@given(mixed, st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_the_cuts_do_not_matter(text: str, sizes: list[int]) -> None:
    assert counts(text) == counts(*cut(text, sizes)) == counts(*text)


@given(mixed, mixed)
def test_counts_only_grow_and_agree(before: str, after: str) -> None:
    counter = LanguageMixingCounter()
    counter.feed(before)
    letters, stretches = counter.letters, counter.stretches
    assert stretches <= letters
    assert (letters > 0) == (stretches > 0)
    counter.feed(after)
    assert counter.letters == letters + counts(after)[0]
    assert stretches <= counter.stretches <= stretches + counts(after)[1]
    assert counter.stretches >= counts(after)[1] - 1 + stretches


@given(st.characters())
def test_only_letters_count_and_no_ascii(char: str) -> None:
    letters, _ = counts(char)
    assert letters in (0, 1)
    if letters:
        assert unicodedata.category(char).startswith("L")
        assert not unicodedata.name(char, "").startswith(("LATIN", "GREEK", "MATHEMATICAL"))


@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=1))
def test_every_chinese_character_counts(text: str) -> None:
    assert counts(text) == (len(text), 1)


def test_the_cost_is_linear_and_small() -> None:
    # Ten seconds of 64 lanes, all of them mixing languages, in pieces of a token each.
    pieces = ["所以答案"] * 20_000
    start = time.process_time()
    assert counts(*pieces) == (80_000, 1)
    assert time.process_time() - start < 1.0
