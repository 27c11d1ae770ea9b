"""Cells whose shown text must be what a notebook would show: no number in it that the code did not print."""

from __future__ import annotations

from tests.support.sandbox.cells import Cell, honest


def _silent(name: str, code: str, printed: str = "") -> Cell:
    """The last expression is a call for its effect: what it returns is not shown."""
    return honest(f"silent_{name}", code, printed)


CELLS = [
    _silent("write", "import sys\nsys.stdout.write(str(6*7))", "42"),
    _silent("write_of_a_line", "import sys\nsys.stdout.write('42\\n')", "42"),
    _silent("write_by_another_name", "from sys import stdout as out\nout.write('42')", "42"),
    _silent("write_to_stderr", "import sys\nsys.stderr.write('42')", "42"),
    _silent("write_of_lines", "import sys\nsys.stdout.writelines(['4', '2'])", "42"),
    _silent("write_of_bytes", "import sys\nsys.stdout.buffer.write(b'42\\n')", "42"),
    _silent("write_of_unfinished_bytes", "import sys\nsys.stdout.buffer.write(b'42')", "42"),
    _silent("write_of_the_system", "import os\nos.write(1, b'42')", "42"),
    _silent("write_to_a_file", "f = open('o', 'w')\nf.write('12345')"),
    _silent("write_in_a_with", "with open('o', 'w') as f: f.write('12345')"),
    _silent("write_in_a_chain", "open('o', 'w').write('12345')"),
    _silent("write_text", "from pathlib import Path\nPath('o').write_text('12345')"),
    _silent("write_bytes", "from pathlib import Path\nPath('o').write_bytes(b'12345')"),
    _silent("write_to_a_buffer", "import io\nb = io.StringIO()\nb.write('12345')"),
    _silent("print", "print(42)", "42"),
    _silent("print_unfinished", "print(42, end='')", "42"),
    _silent("assignment", "x = 42"),
    _silent("assignment_of_a_call", "import sys\nn = sys.stdout.write('42')", "42"),
    _silent("nothing", "None"),
    _silent("method", "x = [3, 1]\nx.sort()"),
    _silent("loop", "for i in range(3): i"),
    _silent("branch", "if True: 42"),
    _silent("definition", "def f(): return 42"),
    _silent("comment", "# 42"),
    _silent("semicolon", "x = 42\nx;"),
    _silent("empty", ""),
    _silent("empty_line", "print()"),
    honest("value_behind_an_unfinished_line", "print('n =', end=' ')\n42", "n = \n42"),
    honest("value_behind_an_unfinished_write", "import sys\nsys.stdout.write('4')\n6 * 7", "4\n42"),
    honest("value_behind_bytes", "import os\nos.write(1, b'4')\n6 * 7", "4\n42"),
    honest("value_behind_the_other_stream", "import sys\nsys.stderr.write('4')\n6 * 7", "4\n42"),
    honest("value_behind_a_thread", "import threading\n"
           "t = threading.Thread(target=print, args=(4,), kwargs={'end': ''})\n"
           "t.start(); t.join()\n6 * 7", "4\n42"),
    honest("value_behind_a_line", "print(4)\n6 * 7", "4\n42"),
    honest("value_twice", "x = 42\nprint(x)\nx", "42\n42"),
    honest("value_of_text", "'42'", "'42'"),
    honest("value_of_a_documentation", '"""Forty two."""', "'Forty two.'"),
    honest("value_of_a_walrus", "(y := 42)", "42"),
    honest("value_of_an_await", "import asyncio\nasync def f(): return 42\nawait f()", "42"),
    honest("value_kept", "42", "42", then="_ + 1", then_shown="43"),
    honest("value_of_a_fraction", "from fractions import Fraction\nFraction(84, 4)", "Fraction(21, 1)"),
    honest("value_of_sympy", "import sympy\nx = sympy.Symbol('x')\nsympy.factor(x**2 - 1)", "(x - 1)*(x + 1)"),
    honest("value_that_prints", "class A:\n  def __repr__(self):\n    print(7, end='')\n    return 'eight'\n"
           "A()", "7\neight"),
    honest("value_that_is_long", "list(range(3000))", out=["[0, 1, 2,", "2998, 2999]", "of output cut"]),
    honest("value_of_a_broken_text", "'\\ud800'", "'\\ud800'"),
    honest("error_behind_an_unfinished_line", "print(4, end='')\n1 / 0", expect=["error"], out=["4\nTraceback"]),
    honest("error_behind_bytes", "import os\nos.write(1, b'4')\nraise ValueError(2)", expect=["error"], out=["4\n"
           "Traceback"]),
    honest("exit_behind_an_unfinished_line", "import sys\nprint(4, end='')\nsys.exit('2')", expect=["error"],
           shown="4\nSystemExit: 2"),
    honest("limit_behind_an_unfinished_line", "print(4, end='', flush=True)\nwhile True: pass", timeout=1,
           expect=["timeout"], out=["4\n"], notout=["42"]),
    honest("order_of_streams", "import sys\nprint(1)\nprint(2, file=sys.stderr)\nprint(3)", "1\n2\n3"),
    honest("printed_by_the_next", "print(4, end='')", "4", then="print(2)", then_shown="2"),
    honest("kept_in_a_buffer", "import io, contextlib\nb = io.StringIO()\n"
           "with contextlib.redirect_stdout(b): print(99)\n"
           "print(len(b.getvalue()))", "3"),
    honest("tabs_and_letters", "print('π\\t≈ 3.14', 'שלום', '数')", "π\t≈ 3.14 שלום 数"),
    honest("surrogate_printed", "print('\\ud800 42')", "\\ud800 42"),
    honest("controls_of_8_bits", "print(chr(155) + '42 solutions')\n"
           "print(b'\\xc3\\x9d 42 \\xc3\\x9c 7'.decode('latin-1'))",
           "\\x9b42 solutions\n\xc3\\x9d 42 \xc3\\x9c 7"),
    honest("many_controls_of_8_bits", "print(chr(0x9d) * 7000)", out=["\\x9d\\x9d", "of output cut"], then="6 * 7",
           then_shown="42"),
    honest("line_written_over", "print('12345', end='\\r')\nprint('67')", "67345"),
    honest("line_erased", "print('12345', end='\\r', flush=True)\nprint('\\x1b[K67')", "67"),
    honest("many_lines", "for i in range(200): print(i)", "\n".join(map(str, range(200)))),
    honest("many_small_writes", "import sys\nfor d in '42' * 50: sys.stdout.write(d)", "42" * 50),
]  # fmt: skip
