"""What is shown of a cell: what it printed, its last value and its error, each on lines of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from agent.sandbox.forkserver import ForkServerSandbox
from agent.sandbox.inside.session.streams import ERRORS_EDGE, LINE_START
from agent.sandbox.line_starts import LineStarts
from agent.types import ToolStatus
from tests.support.sandbox.sandboxes import sandbox, told

in_module = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def box() -> AsyncIterator[ForkServerSandbox]:
    async with sandbox() as made:
        yield made


_TEXT = st.lists(st.binary(max_size=4).map(lambda data: data.replace(b"\xff", b"\n")), max_size=8)


@given(_TEXT)
def test_a_mark_becomes_a_newline_only_where_a_line_has_begun(pieces: list[bytes]) -> None:
    wanted = b""
    for number, piece in enumerate(pieces):
        if number and wanted and not wanted.endswith(b"\n"):
            wanted += b"\n"
        wanted += piece
    assert LineStarts().take(LINE_START.join(pieces)) == wanted


@given(st.lists(st.tuples(st.booleans(), st.sampled_from((b"", b"a", b"a\n", b"\r7"))), max_size=8))
def test_no_line_holds_text_of_both_streams(texts: list[tuple[bool, bytes]]) -> None:
    lines, wanted, before = LineStarts(), b"", False
    for is_error, text in texts:
        if text and is_error is not before and wanted and not wanted.endswith(b"\n"):
            wanted += b"\n"
        wanted, before = wanted + text, is_error if text else before
    edge = {False: b"", True: ERRORS_EDGE}
    assert b"".join(lines.take(edge[is_error] + text + edge[is_error]) for is_error, text in texts) == wanted


@given(_TEXT, st.lists(st.integers(1, 5)))
def test_output_in_pieces_reads_as_in_one(pieces: list[bytes], sizes: list[int]) -> None:
    whole, lines, read = LINE_START.join(pieces), LineStarts(), b""
    rest = whole
    for size in [*sizes, len(whole)]:
        read += lines.take(rest[:size])
        rest = rest[size:]
    assert read.replace(b"\xff\n", b"\n").splitlines() == LineStarts().take(whole).splitlines() or b"\xff" in read


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_output_without_marks_stays_as_it_is(pieces: list[bytes]) -> None:
    lines = LineStarts()
    if not any(mark in b"".join(pieces) for mark in (LINE_START, ERRORS_EDGE)):
        assert b"".join(map(lines.take, pieces)) == b"".join(pieces)


SHOWN = {
    "import sys\nsys.stdout.write(str(6*7))": "42",
    "import sys\nsys.stderr.write(str(6*7))": "42",
    "sys.stdout.write('4'); sys.stdout.write('2')": "42",
    "sys.stderr.write('\\r5')\nprint(42)": "5\n42",
    "print('4', end='')\nprint('2', file=sys.stderr)": "4\n2",
    "print(7, file=sys.stderr, end='')\nprint(42)": "7\n42",
    "for n in range(5): print(f'\\r{n} of 4', end='', file=sys.stderr)\nprint('done')": "4 of 4\ndone",
    "sys.stderr.writelines(['a', 'b'])": "ab",
    "import os\nos.write(1, b'42')": "42",
    "sys.stdout.buffer.write(b'42')": "42",
    "sys.stdout.writelines(['4', '2'])": "42",
    "print('42', end='')\n7": "42\n7",
    "sys.stderr.write('42')\n7": "42\n7",
    "n = os.write(1, b'42')\n7": "42\n7",
    "n = os.write(2, b'42')\n7": "42\n7",
    "with open('/proc/self/fd/1' if os.path.exists('/proc/self/fd/1') else 1, 'w', closefd=True) if 0 else "
    "open(1, 'w', closefd=False) as f: f.write('42')\n7": "42\n7",
    "f = os.fdopen(os.dup(1), 'w'); n = f.write('42'); f.close(); n": "42\n2",
    "import ctypes\nn = ctypes.CDLL(None).write(1, b'42', 2)\n7": "42\n7",
    "print('42')\n7": "42\n7",
    "print('a\\r', end='')\n7": None,
    "print('42', end='')\n1 / 0": "42\nTraceback",
    "os.write(1, b'42')\n1 / 0": "42\nTraceback",
    "open('f', 'w').write('abc')": "",
    "import pathlib\npathlib.Path('f').write_text('abc')": "",
    "pathlib.Path('f').write_bytes(b'abc')": "",
    "f = open('f', 'r+'); f.seek(2)": "",
    "f.truncate(1)": "",
    "f.tell()": "2",
    "f.read()": "''",
    "f.close()": "",
    "import csv\ncsv.writer(open('g', 'w')).writerow([1, 2])": "",
    "[sys.stdout.write(c) for c in '42']": "42",
    "[print(n) for n in (4, 2)]": "4\n2",
    "sys.stdout.write('4'), sys.stdout.write('2')": "42",
    "sys.stdout.write('42') if f else sys.stdout.write('7')": "42",
    "f and sys.stdout.write('42')": "42",
    "(n := sys.stdout.write('42'))": "42",
    "w = sys.stdout.write\nw('42')": "42",
    "put = print\nput(42)": "42",
    "class Tape:\n    def write(self, n): return n * 2\ntape = Tape()\ntape.write(21)": "42",
    "def write(n): return n * 2\nwrite(21)": "42",
    "del write\n6 * 7;": "",
    "6 * 7 ; # the answer": "",
    "(6 *\n 7) # a line ; with a mark": "42",
    "'a;b'": "'a;b'",
    "x = 5; x": "5",
    "'\u00e9;', 6 * 7;": "",
    "6 * 7 # comment": "42",
    "6 * 7\n# comment\n\n": "42",
    "None": "",
    "...": "Ellipsis",
    "(y := 42)": "42",
    "x = 42": "",
    "'two\\nlines'": "'two\\nlines'",
    "'\\udcff'": "'\\udcff'",
    "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as b: print(7)\nb.getvalue()": "'7\\n'",
    "sys.stdout = io.StringIO()\nprint(7)\n42": "42",
    "sys.displayhook = lambda value: None\n42": "42",
    "print('a', end=''); print('b', file=sys.stderr); print('c')": "a\nb\nc",
    "print('a', end='', file=sys.stderr); print('b')": "a\nb",
    "class R:\n    def __repr__(self): print('made'); return 'R'\nR()": "made\nR",
    "class R:\n    def __repr__(self): print('made', end=''); return 'R'\nR()": "made\nR",
    "class S(str):\n    def encode(self, *a): return b'7'\n    def __add__(self, o): return '8'\n"
    "class R:\n    def __repr__(self): return S('42')\nR()": "42",
    "for n in range(3): print(n, end='\\r')\n": None,
    "b'\\xff\\x1e'": "b'\\xff\\x1e'",
    "7": "7",
    "_ * 6": "42",
    "_, __": "(42, 7)",
    "_ = 9\n8": "8",
    "_": "9",
}


VALUES = {
    "ans = 42\nans or print('none')": "42",
    "sols = []\nsols and print(sols)": "[]",
    "print('bad') if ans < 0 else ans": "42",
    "import sys\nsys.stdout.write('yes') if ans < 0 else 42": "42",
    "sys.stdout.write('yes') if ans else 42": "yes",
    "ans or sys.stdout.write('none')": "42",
    "0 or sys.stdout.write('none')": "none",
    "sys.stdout.write('yes\\n') and 42": "yes\n42",
    "ans and ([] or sys.stdout.write('yes'))": "yes",
    "from sympy import *\nx = symbols('x')\nstr(fps(exp(x)).truncate(2))": "'1 + x + O(x**2)'",
    "fps(exp(x)).truncate(2)": "1 + x + O(x**2)",
    "class T:\n    def __init__(self, n): self.n = n\n    def print(self): return self.n\n"
    "    def write(self, n): return n * self.n\nT(5).print()": "5",
    "def make(): return T(2)\nmake().write(4)": "8",
    "d = {'k': T(5)}\nd['k'].print()": "5",
    "d['k'].write(2), 3": "(10, 3)",
    "sys.stdout.write(''), ans": "(0, 42)",
    "import types\ntypes.SimpleNamespace(write=lambda k: k * 2).write(4)": "8",
    "T.write = staticmethod(lambda n: n + 1)\nT.write(41)": "42",
    "import tempfile, io\ntempfile.NamedTemporaryFile('w').write('abc')": "",
    "io.StringIO().write('abc')": "",
    "sys.stdout.isatty() or sys.stdout.fileno()": "1",
    "[k for k in globals() if 'called' in k]": "[]",
    "sys.stdout.write(1 / 0)": None,
    "[k for k in dir() if 'called' in k]": "[]",
}


@in_module
async def test_a_value_is_hidden_only_if_a_write_to_a_file_or_stream_returned_it(box: ForkServerSandbox) -> None:
    session = await box.session()
    for code, wanted in VALUES.items():
        output = await told(session, code)
        assert wanted is None or output == wanted, code
    await session.close()


@in_module
async def test_what_was_written_and_what_a_value_is_stand_on_lines_of_their_own(box: ForkServerSandbox) -> None:
    session = await box.session()
    for code, wanted in SHOWN.items():
        output = await told(session, code)
        if wanted is not None and wanted.endswith("Traceback"):
            assert output.startswith(wanted), code
        else:
            assert wanted is None or output == wanted, code
    await session.close()


ERRORS = {
    "class R:\n    def __repr__(self): return 7\nR()": "TypeError: __repr__ returned non-string",
    "class R:\n    def __repr__(self): return 1 / 0\nR()": "ZeroDivisionError: division by zero",
    "e = ValueError('bad')\ne.add_note('a note')\nraise e": "ValueError: bad\na note",
    "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])": "    | TypeError: 2",
    "class E(Exception):\n    def __str__(self): return 1 / 0\nraise E": "E: <exception str() failed>",
    "try:\n    1 / 0\nexcept ZeroDivisionError:\n    [][1]": "IndexError: list index out of range",
    "raise KeyError from ValueError('why')": "KeyError",
    "import sys\nsys.exit('stopped')": "SystemExit: stopped",
    "def f(): sys.exit(3)\nf()": "SystemExit: 3",
    "assert 1 == 2, 'no'": "AssertionError: no",
}


@in_module
@pytest.mark.parametrize("code", ERRORS)
async def test_an_error_is_shown_as_python_shows_it(box: ForkServerSandbox, code: str) -> None:
    session = await box.session()
    run = await session.run("import sys\nprint('begun', end='')\n" + code)
    assert run.status is ToolStatus.ERROR and ERRORS[code] in run.output, run.output
    assert run.output.startswith("begun\n") and "agent/sandbox" not in run.output
    await session.close()


@in_module
async def test_a_long_chain_of_errors_ends_with_the_last(box: ForkServerSandbox) -> None:
    code = "e = None\nfor n in range(2_000):\n    new = ValueError(n); new.__cause__ = e; e = new\nraise e"
    session = await box.session()
    assert "ValueError" in await told(session, code)
    assert await told(session, "6 * 7") == "42"
    await session.close()


@in_module
async def test_no_link_of_a_chain_of_errors_shows_the_runner(box: ForkServerSandbox) -> None:
    session = await box.session()
    await session.run("cause = ValueError('why')\nraise cause")
    for code in ("raise KeyError from cause", "raise ExceptionGroup('several', [cause])"):
        output = await told(session, code)
        assert "ValueError: why" in output and "agent" not in output and "inside" not in output
    await session.close()


@in_module
async def test_a_note_on_what_was_typed_needs_no_public_tool(box: ForkServerSandbox) -> None:
    session = await box.session()
    await session.run("import unicodedata\nunicodedata.name = None")
    assert (await told(session, "8 \u2212 1")).endswith("U+2212 MINUS SIGN as '-'.)\n7")
    await session.close()
