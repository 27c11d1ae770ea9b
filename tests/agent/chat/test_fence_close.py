"""Where a block of code ends: strings, comments and fences of other lengths in it."""

from __future__ import annotations

import pytest

from agent.chat.fence_close import DOUBT_CHARACTERS
from agent.chat.format import ToolCall
from tests.support.texts.fenced import code, scan


@pytest.mark.parametrize(
    "inside",
    [
        "s = '```'\nprint(s)\n",
        's = "a```b"\nprint(s)\n',
        "s = 'it\\'s ```'\n",
        "s = '' + '```'\n",
        's = "" + "```"\n',
        "s = '\\\n```'\n",
        "x = 1  # between ``` and ```\n",
        "# like ```x```\nprint(1)\n",
        'def f():\n    """Example:\n    ```\n    f()\n    ```\n    """\n    return 42\n',
        'def f():\n    """Example:\n    ```python\n    f()\n    ```\n    """\n    return 42\n',
        's = """\n```\na\n```\n"""\nprint(s)\n',
        "s = '''\n```python\nprint(1)\n```\n'''\nprint(s)\n",
        "s = r'''\n```text\n\\'''\n```\n'''\n",
        "a, b = '', \"\"\n'''\n```\n'''\n",
        '"""\n```\n"""\n"""\n```\n"""\n',
        "s = '''</think>\n```\n<think>\n'''\n",
        's = """It\'s "quoted" ```\n```\n""" + \'"""\'\n',
    ],
)
def test_a_fence_in_a_string_or_a_comment_does_not_close(inside: str) -> None:
    text = f"```python\n{inside}```"
    assert scan(text + "\nSo it is.\n") == ToolCall(inside, len(text))


@pytest.mark.parametrize(
    "line", ["print(6*7)", "x = f(1)  # a comment", "x = 'a'", "print('never ended", 'y = """a"""', "1  "]
)
def test_a_fence_at_the_end_of_a_line_of_code_closes(line: str) -> None:
    text = f"```python\nx = 1\n{line}```\nThe output is 41."
    assert code(text) == f"x = 1\n{line}"
    assert scan(*text) == scan(text), "however it is cut"


def test_the_closing_fence_counts_whatever_follows_it() -> None:
    block = scan("```python\n1\n```output\n9\n```")
    assert block == ToolCall("1\n", 15)


@pytest.mark.parametrize("fence", ["````", "`````", "~~~", "~~~~"])
def test_a_block_is_closed_by_its_own_fence_or_a_longer_one(fence: str) -> None:
    other = "~~~" if fence[0] == "`" else "```"
    inside = f"x = 1\n{fence[:-1]}\n{other}\n"
    assert code(f"{fence}python\n{inside}{fence}") == inside
    assert code(f"{fence}python\nx = 1\n{fence}{fence}\n") == "x = 1\n"
    assert scan(f"{fence}python\n{inside}") is None


@pytest.mark.parametrize(
    "after", ["```output\n41\n", "```python\nprint(2)\n```", "</think>\n", "and so on. " * 90 + "\n" * 2, "\n" * 1_100]
)
def test_a_string_that_is_never_ended_does_not_keep_the_block_open(after: str) -> None:
    broken = 'x = 1\nprint("""Sum: ", x)\n'
    assert len(broken + after) < 2 * DOUBT_CHARACTERS
    assert code(f"```python\n{broken}```\nThe output is 41.\n{after}\n") == broken
    assert code(f"```python\n{broken}```output\n") == broken


@pytest.mark.parametrize(
    "after",
    [
        "```output\n",
        "```\n</think>",
        "```\nSo.\n```python\n",
        "```\nSo.\n```c\n",
        "```\nSo.\n```a_word_of_many_letters",
        f"```\n{'a' * DOUBT_CHARACTERS}\n",
    ],
)
def test_a_block_with_a_string_that_is_never_ended_ends_with_what_has_told_so(after: str) -> None:
    broken = "print('''Sum: ', x)\n"
    text = f"```python\n{broken}{after}and more"
    shortest = next(text[:end] for end in range(len(text) + 1) if scan(text[:end]))
    assert scan(text) == scan(shortest) == ToolCall(broken, len(shortest))
