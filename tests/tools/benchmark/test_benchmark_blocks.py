"""Replies with programs, in the shapes that models give them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.benchmark.reading.blocks import read_program

P = "print(int(input()) ** 2)\n"
F = "def f(n):\n    return n\n"
LABELS = ["python", "py", "Python", "python3", "py3", "python3.11", "{.python}", 'python title="a.py"', ""]
BEHIND = [
    "```",
    "```\nnever closed",
    "```bash\npython a.py\n```",
    "```text\n5\n25\n```",
    "```\n5\n25\n```",
    "```\n[1, 2, 3]\n```\ngives\n```\nTrue\n```",
    "```\nInput: 5\n```",
    "```console\n$ python a.py\n```",
    "```json\n{}\n```",
    "```cpp\nint main() {}\n```",
    "```python\n>>> 5 ** 2\n25\n```",
    "~~~\n25\n~~~",
    "```python\nassert 5 ** 2 == 25\n```",
    "```python\nimport math\nlimit = 5\n```",
    "```python\nfrom solution import square\nassert square(5) == 25\n```",
    "It takes `O(1)` and no more than ```1``` s.",
]
TEXTS = {
    "```python\nprint(1)\n```": "print(1)\n",
    "```\nold\n```\nbetter:\n```py\nnew\n```\nDone.": "new\n",
    "```python\nprint(1)\n```\n```python\nprint(2)\n```": "print(2)\n",
    "```python\nprint(1)\n```\n```python\nprint(\n```": "print(\n",
    "```python\nprint(1)```\nDone.": "print(1)\n",
    "So:```python\nprint(1)\n```": "print(1)\n",
    "1. So:\n   ```python\n   if 1:\n       print(1)\n   ```": "if 1:\n    print(1)\n",
    "> ```python\n> print(1)\n> ```": "print(1)\n",
    "```python\r\nprint(1)\r\nprint(2)\r\n```\r\n": "print(1)\nprint(2)\n",
    f"```python\nopen at first\n```python\n{P}```": P,
    f"```python\n{F}```\nSo\n```python\nprint(f(3))\n```": F,
    f"```python\n{F}```\nSo\n```\nprint(f(3))\n```\ngives\n```\n3\n```": F,
    f"```python\n{F}```\nor\n```python\n{F}print(f(3))\n```": f"{F}print(f(3))\n",
    "```\npseudo code\n```": "pseudo code\n",
    "no fence": None,
    "```python\nnever closed": None,
    "```python\n```": None,
    "": None,
}
WITH_FENCES = [
    f'"""\n```\nexample\n```\n"""\n{P}',
    f'"""\n```python\n>>> f(1)\n```\n"""\n{P}',
    f"# ```python\n# f(1)\n# ```\n{P}",
    f"print('```')\n{P}",
    f"'''\n~~~\n'''\n{P}",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_last_fenced_program_is_read(text: str) -> None:
    assert read_program(text) == TEXTS[text]


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("fence", ["```", "````", "~~~", "~~~~~"])
def test_a_program_is_known_by_its_label_or_by_being_one(fence: str, label: str) -> None:
    assert read_program(f"Here:\n\n{fence}{label}\n{P}{fence}\n\nDone.") == P


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("label", ["python", ""])
def test_what_is_no_program_does_not_hide_the_one_before(label: str, behind: str) -> None:
    assert read_program(f"```{label}\n{P}```\nRun it:\n{behind}\n") == P


@pytest.mark.parametrize("program", WITH_FENCES)
def test_a_fence_in_a_text_or_a_comment_ends_no_program(program: str) -> None:
    for fence in ("```", "~~~"):
        assert read_program(f"So:\n{fence}python\n{program}{fence}\nDone.\n```\n") == program
    assert read_program(f"````\n{program}````") == program


def test_the_program_that_defines_the_function_is_read() -> None:
    other = "import sys\nprint(sys.version)\n"
    method = "class Solution:\n    def f(self, n):\n        return n\n"
    for program in (F, method):
        assert read_program(f"```python\n{program}```\n```python\n{other}```", "f") == program
    assert read_program(f"```python\n{other}```", "f") == other


@pytest.mark.parametrize(
    "test",
    [
        "assert f(3) == 3",
        "print(f(3))",
        "def test():\n    assert f(3) == 3\ntest()",
        "from solution import f\nassert f(3) == 3",
        "from solution import f\nprint(f(3))",
    ],
)
def test_tests_behind_a_program_are_not_the_program(test: str) -> None:
    for function in ("f", None):
        assert read_program(f"```python\n{F}```\n```python\n{test}\n```", function) == F


@pytest.mark.parametrize("between", ["</think>", "\n</think>", "</think>\n"])
def test_code_in_the_thinking_is_not_the_program(between: str) -> None:
    assert read_program(f"<think>```python\nprint(1)\n```{between}```python\n{P}```") == P
    assert read_program(f"<think>```python print(1)```{between}```python\n{P}```") == P
    assert read_program(f"<think>```python\n{P}```{between}") is None


LINES = st.lists(st.text(st.characters(exclude_characters="`~\r\n\f\x0b\x1c\x1d\x1e\x85\u2028\u2029", codec="utf-8")))


@given(LINES, LINES)
def test_a_labelled_block_is_read_whatever_it_holds(before: list[str], lines: list[str]) -> None:
    program = "".join(f"x{line}\n" for line in lines)
    text = "".join(f"{line}\n" for line in before)
    assert read_program(f"{text}```python\n{program}```\n") == (program or None)


@given(st.lists(st.sampled_from(["```", "```python", "~~~", "x = 1", "'''", "> ", "", "print(x)", "  "]), max_size=14))
def test_any_mixture_of_fences_is_read(lines: list[str]) -> None:
    program = read_program("\n".join(lines))
    assert program is None or program.strip() or {"```", "```python", "~~~"} & set(lines)
