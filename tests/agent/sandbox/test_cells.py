"""What models write into cells that is not quite Python, or asks for what a session does not have."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from agent.sandbox.forkserver import ForkServerSandbox
from agent.sandbox.inside.session.hints import Hints
from agent.sandbox.inside.session.reading import read
from agent.types import ToolStatus
from tests.support.sandbox.sandboxes import sandbox, told

in_module = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def box() -> AsyncIterator[ForkServerSandbox]:
    async with sandbox() as made:
        yield made


TYPED = {
    "print(1)\u00a0": "print(1) ",
    "x\ufeff = 1": "x = 1",
    "if x:\n\u00a0\u00a0\u00a0\u00a0y = 1": "if x:\n    y = 1",
    "if x:\n\u3000y = 1": "if x:\n y = 1",
    "x\u200b = 5 \u2212 3": "x = 5 - 3",
    "x = 5 \u2013 3 \u2014 1": "x = 5 - 3 - 1",
    "x = 2 \u00d7 3 \u00f7 4": "x = 2 * 3 / 4",
    "x = y \u2264 3 \u2260 z \u2265 1": "x = y <= 3 != z >= 1",
    "x = y\u00b2 + z\u00b9\u2070": "x = y**2 + z**10",
    "print(\u201chi\u201d)": 'print("hi")',
    "print(\u2018hi\u2019, \u201ca b\u201d)": "print('hi', \"a b\")",
    'print("hi\u201d)': 'print("hi")',
    "print(\u201chi')": None,
    "print(\u2018don\u2019t\u2019)": "print('don\u2019t')",
    "print(\u2018a\u2019, \u2018it\u2019s b\u2019)": "print('a', 'it\u2019s b')",
    "print(f\u201c{x}\u201d)": 'print(f"{x}")',
    "print\uff081\uff0c2\uff09": "print(1,2)",
    "print(\u201c5 \u2212 3\u201d, 1\u00a0)": 'print("5 \u2212 3", 1 )',
    "x = '\u2212\u00a0\u201c'\u00a0# \u2212\u00a0": "x = '\u2212\u00a0\u201c' # \u2212\u00a0",
    's = """\u2212 \u201ca\u201d\n\u00a0"""\u00a0': 's = """\u2212 \u201ca\u201d\n\u00a0""" ',
    "x = 1\u2028y = 2": "x = 1\ny = 2",
    "def f() \u2192 int: return 1": "def f() -> int: return 1",
    "x = f'{5 \u2212 3} \u2212'": "x = f'{5 - 3} \u2212'",
    "x = rf'{a\u00a0}' + '{a\u00a0}'": "x = rf'{a }' + '{a\u00a0}'",
    "x = (1\u00a0": None,
    "x = \u221a2": None,
    "\u2212": None,
}


def test_a_byte_order_mark_is_left_out_without_a_word() -> None:
    tree, text, note = read("\ufeffx = 1", "<cell 1>")
    assert (text, note) == ("x = 1", "") and ast.dump(tree) == ast.dump(ast.parse("x = 1"))


@pytest.mark.parametrize("source", TYPED)
def test_what_is_not_python_as_it_was_typed_is_put_right_outside_of_strings(source: str) -> None:
    wanted = TYPED[source]
    if wanted is None:
        with pytest.raises(SyntaxError) as caught:
            read(source, "<cell 1>")
        assert caught.value.text is None or caught.value.text.strip("\n") in source
        return
    tree, text, note = read(source, "<cell 1>")
    assert text == wanted and ast.dump(tree) == ast.dump(ast.parse(wanted))
    assert note.startswith("(") and note.endswith(")\n") and "U+" in note and note.count("\n") == 1


@pytest.mark.parametrize(
    "source", ["", "x = 1", "s = '\u2212\u00a0'", "# \u201c", "\u03c0 = 3", "await f()", "x = (a\n%b)"]
)
def test_what_compiles_stays_as_it_is(source: str) -> None:
    assert read(source, "<cell 1>")[1:] == (source, "")


@given(
    st.text(
        st.sampled_from("ab1 =+-(),:\n\"'#\\%!\u00a0\u200b\u2212\u201c\u201d\u2018\u2019\u00b2\u00d7\uff08"),
        max_size=40,
    )
)
def test_any_source_is_read_or_refused_as_python_does(source: str) -> None:
    try:
        wanted = ast.dump(ast.parse(source))
    except SyntaxError:
        wanted = ""
    try:
        tree, text, note = read(source, "<cell 1>")
    except SyntaxError:
        assert not wanted
        return
    assert ast.dump(tree) == ast.dump(ast.parse(text))
    assert (text == source) == bool(wanted)
    is_bare = text.split() == source.replace("```", "").split()  # only what stands around the code is left out
    assert note or wanted or is_bare


def test_a_note_names_what_it_was_about() -> None:
    note = read("x = 5 \u2212 3\u00a0\u200b", "<cell 1>")[2]
    assert "U+2212 MINUS SIGN as '-'" in note and "U+00A0 NO-BREAK SPACE as ' '" in note
    assert "U+200B ZERO WIDTH SPACE left out" in note
    assert "and others" in read("x = 1 \u2212 2 \u2013 3 \u00d7 4 \u00f7 5\u00a0", "<cell 1>")[2]


FRAMED = {
    "    x = 1\n    print(x)": "x = 1\nprint(x)",
    "\n  if x:\n    y = 1\n\n  print(y)\n": "\nif x:\n  y = 1\n\nprint(y)\n",
    "\tx = 1\n# comment\n\ty = 2": "x = 1\n# comment\ny = 2",
    "x = 1\n```": "x = 1",
    "x = 1\n```\n\n": "x = 1",
    "```python\nx = 1\n```": "x = 1",
    "  ```py\n  x = 1\n  ```": "x = 1",
}


@pytest.mark.parametrize("source", FRAMED)
def test_text_around_code_is_ignored_silently(source: str) -> None:
    assert read(source, "<cell 1>")[1:] == (FRAMED[source], "")


def test_code_that_is_indented_and_oddly_typed_is_put_right_in_both() -> None:
    _, text, note = read("  x = 5 \u2212 3\n  %matplotlib inline\n```", "<cell 1>")
    assert text == "x = 5 - 3\npass" and "MINUS SIGN" in note and "matplotlib" in note


@pytest.mark.parametrize(
    "source", ["  x = 1\ny = 2", "x = 1\n  y = 2", "def f():\n```", 'x = """\n```\n', "  if x:\n y"]
)
def test_what_is_wrong_within_code_stays_an_error(source: str) -> None:
    with pytest.raises(SyntaxError):
        read(source, "<cell 1>")


LEFT_OUT = {
    "%pip install sympy\nx = 1": "pass\nx = 1",
    "!pip install -q networkx\nimport math": "pass\nimport math",
    "x = 1\n%timeit f(x)": "x = 1\npass",
    "%matplotlib inline\nx = 1\n!ls 'a": "pass\nx = 1\npass",
    "%%time\nx = 1": "pass\nx = 1",
    "if x:\n    !ls\n": "if x:\n    pass\n",
    "!ls\ns = '''\n!ls\n'''": "pass\ns = '''\n!ls\n'''",
    "%pip install x\nprint(1)\u00a0": "pass\nprint(1) ",
    "pip install sympy\nx = 1": "pass\nx = 1",
    "python -m pip install -U sympy\nx = 1": "pass\nx = 1",
    "%time x = 6 * 7\n!ls": "x = 6 * 7\npass",
    "%timeit 3\nprint('%d items'\n      %n)": "pass\nprint('%d items'\n      %n)",
    "%timeit f(\nx = {1: '%d)'\n  %n}  # (\n!ls": "pass\nx = {1: '%d)'\n  %n}  # (\npass",
    "!ls\nx = 5 \\\n %n": "pass\nx = 5 \\\n %n",
    "!pip install a \\\n  b\nx = 1": "pass\nx = 1",
}


@pytest.mark.parametrize("source", LEFT_OUT)
def test_lines_that_are_no_python_are_left_out_and_said(source: str) -> None:
    _, text, note = read(source, "<cell 1>")
    assert text == LEFT_OUT[source]
    assert "Left out" in note and next(line for line in source.splitlines() if line.strip()[0] in "%!ip").strip()[:5]


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("%time x = 6 * 7\nprint(x)", "x = 6 * 7\nprint(x)"),
        ("if y:\n    %time f(3)", "if y:\n    f(3)"),
        (">>> print(42)", "print(42)\n"),
        (
            ">>> x = 1\n>>> for i in (1, 2):\n...     print(i)\n...\n1\n2\n>>> x",
            "x = 1\nfor i in (1, 2):\n    print(i)\n\nx\n",
        ),
    ],
)
def test_code_behind_a_prompt_or_a_clock_is_run(source: str, wanted: str) -> None:
    _, text, note = read(source, "<cell 1>")
    assert text == wanted and note.startswith("(") and "Left out" not in note


ONLY_MAGIC = [
    "%timeit f()",
    "!ls -l",
    "%%bash\nls",
    "%%writefile a.py\nx = 1",
    "files = !ls",
    "x = %timeit f()",
    "print?",
    "pip install sympy",
    "conda install -y sympy",
    "?print",
]


@pytest.mark.parametrize("source", ONLY_MAGIC)
def test_what_is_only_a_magic_or_the_shells_gets_a_message(source: str) -> None:
    with pytest.raises(SyntaxError) as caught:
        read(source, "<cell 1>")
    assert "magics" in Hints(["sympy"], 1 << 30).about(caught.value, [], source)


@pytest.mark.parametrize(
    "source", ["def f(:", "x = = 2", "print 1", "for x in y\n  z", "x = 7 %", "print('%d'\n  %n) y", "x = y \\\n %n z"]
)
def test_other_errors_get_no_message(source: str) -> None:
    with pytest.raises(SyntaxError) as caught:
        read(source, "<cell 1>")
    assert Hints(["sympy"], 1 << 30).about(caught.value, [], source) == ""


def test_a_hint_names_what_there_is() -> None:
    error = ModuleNotFoundError("No module named 'sage'")
    assert Hints([], 1 << 30).about(error, [], "").endswith("use the standard library.")
    assert Hints(["sympy"], 1 << 30).about(error, [], "").endswith("use the standard library or sympy.")
    assert Hints(["sympy", "numpy"], 1 << 30).about(error, [], "").endswith("use the standard library, sympy or numpy.")


F = "import asyncio\nasync def f(n=5):\n    await asyncio.sleep(0)\n    return n\n"
T = F + "async def g():\n    print(await f(9))\n"
CELLS = {
    F + "print(await f())": "5",
    F + "await f(7)": "7",
    F + "x = await f()\nx + 1": "6",
    F + "task = asyncio.create_task(f())\nawait task": "5",
    F + "sum(await asyncio.gather(*(f(n) for n in range(4))))": "6",
    F + "[await f(n) for n in range(3)]": "[0, 1, 2]",
    F + "async with asyncio.timeout(5):\n    print(await f())": "5",
    F + "async def g():\n    for n in range(3): yield n\nasync for n in g(): print(n)": "0\n1\n2",
    F + "asyncio.run(f())": "5",
    F + "print(await f())\nprint(asyncio.run(f(8)))": "5\n8",
    F + "async def g(): return asyncio.run(f(8)) + await f()\nawait g()": "13",
    F + "from asyncio import run\nprint(run(f(8)), await f())": "8 5",
    T + "t = asyncio.create_task(g())\nprint('first')": "first\n9",
    T + "from asyncio import ensure_future as e, ensure_future\nfor _ in 'ab': ensure_future(g())": "9\n9",
    T + "loop = asyncio.get_running_loop()\ntask = loop.create_task(g())": "9",
    T + "await f()\nt = asyncio.create_task(g())": "9",
    T + "async def main(): await asyncio.create_task(g())\nasyncio.run(main())": "9",
    T + "loop = asyncio.new_event_loop()\nloop.run_until_complete(loop.create_task(g()))": "9",
    "f": None,
    "print(5 \u2212 3)": "2",
    "%pip install sympy\nimport sympy\nsympy.sqrt(16)": "4",
}


@in_module
@pytest.mark.parametrize("code", CELLS)
async def test_a_cell_may_await_and_be_oddly_typed(box: ForkServerSandbox, code: str) -> None:
    session = await box.session()
    run = await session.run(code)
    wanted = CELLS[code]
    assert (run.status is ToolStatus.OK) == (wanted is not None), run.output
    assert wanted is None or run.output.endswith(wanted)
    assert await told(session, "6 * 7") == "42"
    await session.close()


@in_module
@pytest.mark.parametrize("code", ["display(1)", "get_ipython().run_line_magic('ls', '')"])
async def test_what_only_a_notebook_has_gets_a_message(box: ForkServerSandbox, code: str) -> None:
    assert "use print" in await told(await box.session(), code)
    assert "use print" not in await told(await box.session(), "displayed(1)")


@in_module
async def test_an_error_in_awaited_code_shows_the_cell_only(box: ForkServerSandbox) -> None:
    output = await told(await box.session(), "async def f():\n    return 1 / 0\nawait f()")
    assert "<cell 1>" in output and "1 / 0" in output and "interpreter.py" not in output and "asyncio" not in output


@in_module
async def test_an_await_that_never_ends_is_interrupted(box: ForkServerSandbox) -> None:
    session = await box.session()
    run = await session.run("x = 7\nimport asyncio\nawait asyncio.sleep(60)", 0.3)
    assert run.status is ToolStatus.TIMEOUT and "variables are kept" in run.output
    assert await told(session, "x") == "7"


@in_module
async def test_the_hint_names_only_what_can_be_imported(box: ForkServerSandbox) -> None:
    session = await box.session()
    names = (
        (await told(session, "import sage")).rpartition("the standard library, ")[2].rstrip(".)").replace(" or ", ", ")
    )
    assert "scipy" in names and "networkx" in names
    run = await session.run(
        f"import {names}\nfrom scipy.optimize import linprog\nround(linprog([1], bounds=[(2, 5)]).fun)"
    )
    assert run.output == "2"
