from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.fences import CodeBlock, FenceScanner

PIECES = st.sampled_from(
    ["```", "python\n", "py\n", "\n", " ", "`", "print(1)", "output\n", "text", "\t", "```python\n"]
)
TEXT = st.lists(PIECES, max_size=30).map("".join)


def scan(*pieces: str) -> CodeBlock | None:
    scanner = FenceScanner()
    for piece in pieces:
        if block := scanner.feed(piece):
            return block
    return None


def test_a_closed_block() -> None:
    text = "So:\n```python\nx = 1\nprint(x)\n```\nand"
    assert scan(text) == CodeBlock("x = 1\nprint(x)\n", text.index("\nand"))


def test_an_open_block_is_none() -> None:
    assert scan("```python\nprint(1)\n``") is None


def test_other_languages_and_inline_backticks_are_text() -> None:
    assert scan("```text\nx\n```\n `a` ```python print(1)``` ```\nx\n```\n") is None


def test_a_block_behind_another_languages_block() -> None:
    assert scan("```output\n3\n```\n```python\n4\n```") == CodeBlock("4\n", 31)


def test_backticks_inside_a_line_do_not_close() -> None:
    block = scan("```python\ns = '```'\nprint(s)\n```")
    assert block is not None
    assert block.code == "s = '```'\nprint(s)\n"


def test_the_closing_fence_counts_whatever_follows_it() -> None:
    block = scan("```python\n1\n```output\n9\n```")
    assert block == CodeBlock("1\n", 15)


def test_an_indented_block_is_dedented() -> None:
    block = scan("1. Do:\n   ```py\n   if x:\n       y\n   ```\n")
    assert block is not None
    assert block.code == "if x:\n    y\n"


def test_an_empty_block() -> None:
    assert scan("```python\n```") == CodeBlock("", 13)


@given(TEXT, st.data())
def test_chunking_does_not_matter(text: str, data: st.DataObject) -> None:
    """The block is the one of the shortest prefix that has one, however the text comes."""
    whole = next((block for end in range(len(text) + 1) if (block := scan(text[:end]))), None)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert scan(*pieces) == whole
    assert scan(text) == whole
