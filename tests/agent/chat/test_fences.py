"""Which blocks of code in a model's text are run."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.chat.fences import FenceScanner
from agent.chat.format import ToolCall
from agent.engine.base import Chunk
from agent.lane.turn import TurnWriter
from tests.support.texts.fenced import code, scan
from tests.support.texts.loops import cut
from tests.support.tiers.cases import quick_cases

PIECES = st.sampled_from(
    [
        *(
            "```",
            "python\n",
            "py\n",
            "\n",
            " ",
            "`",
            "print(1)",
            "output\n",
            "text",
            "\t",
            "```python\n",
            "````",
            "~~~",
        ),
        *(
            "'",
            '"',
            '"""',
            "'''",
            "\\",
            "#",
            "\r\n",
            "\r",
            "> ",
            "- ",
            "{",
            ".python}",
            ' a="b"',
            "\u00a0",
            "=",
            "é",
            "`" * 9,
            "</think>",
            "</th",
        ),
    ]
)
TEXT = st.lists(PIECES, max_size=30).map("".join)
IN_CODE = st.builds(
    str.__add__, st.sampled_from(["```python\n", "> ````py\n", "~~~python\n", "```python\ns = '''\n"]), TEXT
)


def test_a_closed_block() -> None:
    text = "So:\n```python\nx = 1\nprint(x)\n```\nand"
    assert scan(text) == ToolCall("x = 1\nprint(x)\n", text.index("\nand"))


def test_an_unclosed_block_is_not_a_call() -> None:
    assert scan("```python\nprint(1)\n``") is None


OPENINGS = [
    *(
        "```python",
        "```Python3",
        "```PYTHON",
        "```py",
        "```py3",
        "```ipython3",
        "```python3.11",
        "``` python",
        "```python  ",
    ),
    *(
        "```python\t",
        "```python\r",
        "- ```python",
        "* ```python",
        "1. ```python",
        "2) ```py",
        "> ```python",
        "> - ```python",
    ),
    *("Let me compute: ```python", "**Code**:```python", "`x` is it. ```python", "  ```python", "\t```python"),
    *('```python title="a.py"', "```python title='a b.py'", "```python linenos=true hl_lines=1", "```python:main.py"),
    *("```{python}", "```{.python}", "```{ .python }", "```{python, echo=FALSE}", "```{#id .python .numberLines}"),
    *(
        "```python {.numberLines}",
        "```python{1,3-4}",
        "```python,linenos",
        "```python showLineNumbers",
        '```python "a.py"',
    ),
    *(
        "```python-exec",
        "```python_run",
        "```Python 3",
        "```python (run it)",
        "```python runs this now:",
        "```python # first",
        "```python it's done!",
        "```python\u200b",
        "\ufeff```py",
    ),
    *("~~~python", "~~~ {.python}", "1. ~~~py", "````python", "``````python", "~~~~~python"),
]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("opening", OPENINGS)
def test_what_opens_a_block(opening: str, line_end: str) -> None:
    mark = "~" if "~" in opening else "`"
    fence = mark * opening.count(mark if "`x`" not in opening else "```") * (3 if "`x`" in opening else 1)
    text = f"We try it.{line_end}{opening}{line_end}print(6 * 7){line_end}{fence}"
    assert scan(text + f"{line_end}The output is 41.") == ToolCall("print(6 * 7)\n", len(text))


@pytest.mark.parametrize(
    "opening",
    [
        *(
            "```",
            "```text",
            "```output",
            "```python-console",
            "```pycon",
            "```pythonic",
            "```cpp",
            "```{r}",
            "``python",
        ),
        *("`python`", "use ```python print(1)``` here", "``` ```python ``` opens it", "we write ~~~python", "~~~text"),
        *("such as ```python is read", "`" * 33 + "python", "```" + " " * 300 + "python", "python", "```python(x)"),
    ],
)
def test_what_opens_none(opening: str) -> None:
    assert scan(f"We try it.\n{opening}\nprint(6 * 7)\n") is None
    assert scan(f"{opening}\nprint(6 * 7)\n```\n~~~\n{'`' * 40}\n") is None


@pytest.mark.parametrize(
    "first", ["import math", "print(6*7)", "x = 5", "for n in range(3): print(n)", "from math import *"]
)
def test_code_on_the_line_of_the_fence_is_code(first: str) -> None:
    text = f"```python {first}\nprint(1)\n```"
    assert scan(text) == ToolCall(f"{first}\nprint(1)\n", len(text))


def test_a_block_behind_another_languages_block() -> None:
    assert scan("```output\n3\n```\n```python\n4\n```") == ToolCall("4\n", 31)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1. Do:\n   ```py\n   if x:\n       y\n   ```\n", "if x:\n    y\n"),
        ("- ```python\n  if x:\n      y\n  ```\n", "if x:\n    y\n"),
        ("> ```python\n> if x:\n>     y\n>\n> z\n> ```\n", "if x:\n    y\n\nz\n"),
        ("> > ```python\n> > x >> 1\n> > ```\n", "x >> 1\n"),
        ("   ```py\n   s = '''\na'''\n   y\n   ```\n", "s = '''\na'''\ny\n"),
        ("```py\n    # Far in.\nx\n```\n", "    # Far in.\nx\n"),
        ("```py\r\nx\r\n\r\ny\r\n```\r\n", "x\n\ny\n"),
    ],
)
def test_the_margin_of_a_block_is_not_the_codes(text: str, wanted: str) -> None:
    assert code(text) == wanted


PROGRAM = "print(6 * 7)\n```"


@pytest.mark.parametrize("text", ["```python\n```", "~~~python\n~~~\n", "```py\n\n \n```\nprint(1)\n```"])
def test_an_empty_block_is_not_a_call(text: str) -> None:
    assert scan(text) is None


@pytest.mark.parametrize(
    "before",
    [
        "```python\n```python\n",
        "```python\n```python\n```python\n",
        "```python\n\n```py\n",
        "```\n```python\n",
        "```python\n```\n\n```python\n",
        "```python\n```\nThis is it: ```python\n",
        "```python\n \n```\n```text\nx\n```\n```python\n",
        "~~~python\n~~~\n```python\n",
    ],
)
def test_the_program_behind_an_empty_block_is_run(before: str) -> None:
    text = f"So:\n{before}{PROGRAM}"
    wanted = ToolCall("print(6 * 7)\n", len(text))
    assert scan(text + "\nand") == scan(*text) == scan(*cut(text, [7])) == wanted


def test_a_fence_opened_twice_in_a_list_or_a_quotation_keeps_its_margin() -> None:
    assert code("> ```python\n> ```python\n> x\n> y\n> ```\n") == "x\ny\n"
    assert code("- ```python\n  ```python\n  if x:\n      y\n  ```\n") == "if x:\n    y\n"


@given(st.one_of(TEXT, IN_CODE), st.data())
@settings(deadline=None)
def test_chunking_does_not_matter(text: str, data: st.DataObject) -> None:
    """The block is the one of the shortest prefix that has one, and ends with that, however the text comes."""
    end, whole = next(((end, block) for end in range(len(text) + 1) if (block := scan(text[:end]))), (0, None))
    assert whole is None or whole.end == end
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert scan(*pieces) == whole
    assert scan(text) == scan(*text) == whole


@given(st.one_of(TEXT, IN_CODE))
def test_a_block_is_found_again_in_the_text_that_ends_with_it(text: str) -> None:
    block = scan(text)
    assert block is None or scan(text[: block.end]) == block


LEADS = [
    "",
    "```python\n",
    "```python\n# ",
    "```python\ns = '",
    "```python\ns = '''\n",
    "~~~python\n",
    "````py\n'''```\n",
]
UNITS = [
    "abcd ",
    " ",
    "`",
    "a``",
    "~",
    "'",
    "\\",
    "\n",
    "\n```text\n",
    "```py ",
    "> ",
    "'''\n```\n'''\n",
    "x = 1\n",
    "# ```x```\n",
]


def scanning_seconds(text: str) -> float:
    scanner, begin = FenceScanner(), time.process_time()
    for piece in cut(text, [4]):
        scanner.feed(piece)
    return time.process_time() - begin


@pytest.mark.parametrize("lead", quick_cases(1, LEADS))
def test_no_text_costs_more_than_its_length(lead: str) -> None:
    for unit in UNITS:
        short, long = (lead + unit * 2_000)[:2_000], (lead + unit * 16_000)[:16_000]
        limit = 30 * max(min(scanning_seconds(short) for _ in range(3)), 1e-3)
        # Eight times the text: 8 where the cost is linear, 64 where it is quadratic.
        assert any(scanning_seconds(long) < limit for _ in range(3)), unit


def turn_of(text: str, *, tools: bool = True, before: str = "") -> TurnWriter:
    writer = TurnWriter(FenceScanner() if tools else None, before)
    any(writer.write(Chunk(piece, 1)) for piece in cut(text, [3]))
    return writer


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("No code, but ``` here.\n```\n1\n```\n```text\n2\n```\n", 0),
        ("```python\nprint(1)\n```\n", 0),
        ("```python\nprint(1)\n", 1),
        ("```pycon\n>>> 1\n1\n```\n", 1),
        ("```python-repl\n1\n```\n```python\n1\n", 2),
        ("```pycon\n>>> 1\n```\n```python\nprint(1)\n```\n", 1),
    ],
)
def test_blocks_of_code_that_were_not_run_are_counted(text: str, count: int) -> None:
    assert turn_of(text).turn(1.0).unrun_blocks == count
    assert turn_of(text, tools=False).turn(1.0).unrun_blocks == 0


def test_a_turn_ends_with_the_block_that_was_begun_before_it() -> None:
    writer = turn_of("print(1)\n```\nand more", before="I compute.\n```python\n")
    assert (writer.text, writer.length) == ("print(1)\n```", 12)
