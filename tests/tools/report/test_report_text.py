"""Model text as HTML: what is a formula and what is not, and that nothing in it ever becomes a part of the page."""

from __future__ import annotations

import time
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.types import ToolRun, ToolStatus, Turn
from tests.support.doubles import config_with
from tests.support.samples import sample
from tests.support.texts.fenced import tool_result
from tests.support.tiers.cases import examples, quick_cases
from tools.report.svg import Segment, stacked_bar
from tools.report.transcript import transcript
from tools.shared.markup import LONGEST_CODE, code_css, code_html, pieces, printable, to_html

MATHML = """
    math mi mn mo ms mtext mspace mrow mfrac msqrt mroot mstyle merror mpadded mphantom menclose msub msup msubsup
    munder mover munderover mmultiscripts mprescripts none mtable mtr mtd
"""
MARKUP = {*MATHML.split(), "code", "pre", "span", "div", "h5", "p", "b", "i", "u"}
ATTRIBUTES = """
    class style title display displaystyle scriptlevel lspace rspace stretchy accent accentunder width height depth
    voffset notation linethickness mathvariant form minsize maxsize movablelimits symmetric separator columnspan largeop
"""
FRAGMENTS = r"""
    $ $$ \( \) \[ \] \boxed{ { } ` ``` \text{ \frac \begin{align} \end{align} & \href{javascript:alert(1)} \style{ ^ _
    \class{ </script> <script> <img/src=x/onerror=alert(1)> <!-- --> " ' > < &lt; onclick="x" \ \newcommand{\a} red
    \color{ \left( \right) </pre> </math> 1 x
"""
NASTY = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=()), max_size=6),
        st.sampled_from([*FRAGMENTS.split(), "\n", "\n\n", " ", "\ud800", "\0", "```python\n"]),
    ),
    max_size=14,
).map("".join)


class Page(HTMLParser):
    """What a browser would make of a piece of HTML: its elements, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: dict[str, list[str]] = {}
        self.words: list[str] = []
        self.feed(str(html))  # not Markup, which would escape what is added to it
        self.close()

    @property
    def text(self) -> str:
        return "".join(self.words)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value or "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"a declaration: {decl}")


def is_harmless(html: str) -> bool:
    page = Page(html)
    styles = "".join(page.attributes.get("style", ()))
    assert page.tags <= MARKUP, page.tags
    assert page.attributes.keys() <= set(ATTRIBUTES.split()), page.attributes
    assert all(link.startswith("#") for link in page.attributes.get("href", ()))
    return "url" not in styles and "expression" not in styles


def kinds(text: str) -> list[tuple[str, str]]:
    return [(piece.kind, piece.body) for piece in pieces(text) if piece.kind != "text"]


@pytest.mark.parametrize(
    "text",
    [
        "It costs $5 and $6, or $7.",
        "between $5-$6 a piece",
        "from $ 5 to 6 $",
        r"\$5 and \$6$",
        "a $x\n\ny$ b",
        "$",
        "$$ $$",
        r"\(never closed",
        r"\boxed{never closed",
        r"\frac{1}{2} without a mark",
    ],
)
def test_prices_and_open_marks_are_no_formulas(text: str) -> None:
    assert kinds(text) == []
    assert "<math" not in to_html(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("let $x$, $y$-axis and $5$", [("inline", "x"), ("inline", "y"), ("inline", "5")]),
        ("a $x\n+y$ b", [("inline", "x\n+y")]),
        (r"\( a \) and \[ b \] and $$c$$", [("inline", " a "), ("display", " b "), ("display", "c")]),
        (r"so \boxed{42}.", [("inline", r"\boxed{42}")]),
        (r"\boxed{\frac{1}{2}}!", [("inline", r"\boxed{\frac{1}{2}}")]),
        (r"$\boxed{42}$", [("inline", r"\boxed{42}")]),
        (r"\begin{align} a &= b \end{align}", [("display", r"\begin{align} a &= b \end{align}")]),
        ("```python\nx = '$a$'\n```\n$b$", [("code", "x = '$a$'\n"), ("inline", "b")]),
        ("```\nnever $closed$", [("code", "never $closed$")]),
        ("use `$PATH$` here", [("tick", "$PATH$")]),
        (r"costs \$5, not $x$", [("inline", "x")]),
    ],
)
def test_formulas_and_code_are_found(text: str, found: list[tuple[str, str]]) -> None:
    assert kinds(text) == found


def test_formulas_become_mathml_and_code_is_highlighted() -> None:
    html = to_html("$x^2$ and $$\\sum_{\\substack{i\\\\j}} i \\tag{1}$$\n```python\nfor i in x: pass\n```")
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in html
    assert 'display="block"' in html
    assert '<span class="k">for</span>' in html
    assert "<msup>" in to_html(r"\boxed{x^2}")


def test_a_block_needs_no_empty_lines_around_it() -> None:
    assert Page(to_html("first\n\n$$\nx\n$$\n\nthen $y$\n\nlast")).text == "firstxthen y\n\nlast"


def test_a_broken_formula_shows_its_source() -> None:
    page = Page(to_html(r"so $\frac{1}$ and $\nosuchcommand<b>$"))
    assert page.text == r"so $\frac{1}$ and $\nosuchcommand<b>$"
    assert page.tags == {"code"}


def test_long_code_is_shown_plain_and_whole() -> None:
    code = "x = 1\n" * LONGEST_CODE
    assert Page(code_html(code, python=True)).text == code.strip("\n")


def test_control_characters_are_seen_and_surrogates_replaced() -> None:
    assert printable("a\x00\x1b[31m\r\nb\rc\ud800\u202e\x7f\t") == "a␀␛[31m\nb\nc\ufffd\ufffd␡\t"


def test_code_has_colours_for_light_and_dark() -> None:
    assert "light-dark(#" in code_css()


@given(NASTY)
@examples(300)
def test_nothing_is_lost_and_nothing_gets_out(text: str) -> None:
    assert "".join(piece.source for piece in pieces(text)) == printable(text)
    html = to_html(text)
    html.encode()
    assert is_harmless(html)


@given(NASTY, NASTY, NASTY, st.sampled_from(ToolStatus), st.booleans())
@examples(100)
def test_a_transcript_shows_all_and_nothing_gets_out(
    text: str, code: str, output: str, status: ToolStatus, after: bool
) -> None:
    run = ToolRun(code, output, status, 1.0)
    written = f"{text}\n```python\n{code}\n```" if after else text
    turns = (Turn(written, 3, 1.0, tool_result(output), run), Turn(text, 2, 1.0, text))
    html = transcript(replace(sample(1), turns=turns, forced=True), config_with())
    assert is_harmless(html)
    shown = Page(html).text
    assert printable(output).rstrip("\n") in shown
    assert printable(code).strip("\n") in shown


def test_code_that_was_run_is_shown_once_with_its_output() -> None:
    run = ToolRun("print(1)\n", "1\n", ToolStatus.OK, 0.25)
    text = "First:\n```python\nprint(1)\n```"
    html = transcript(replace(sample(1), turns=(Turn(text, 9, 1.0, tool_result("1\n"), run),)), config_with())
    shown = Page(html).text
    assert shown.count("print(1)") == 1
    assert "First:" in shown
    assert "output · ok · 0.25 s1" in shown
    assert "the agent wrote" not in shown
    cut = Turn(text, 9, 1.0, tool_result("\\boxed{7} cut") + "\n\n\\boxed{", run)
    shown = Page(transcript(replace(sample(1), turns=(cut,)), config_with())).text
    assert "the agent wrote \\boxed{" in shown and "7" not in shown
    assert (
        "the agent wrote \\boxed{"
        in Page(transcript(replace(sample(1), turns=(Turn("a", 1, 1.0, "\n\\boxed{"),)), config_with())).text
    )


@pytest.mark.parametrize(
    "unit",
    quick_cases(
        2, ["$a", "\\(", "\\boxed{", "`a", "$$", "```\n", "\\begin{a}", "{", "\\boxed{{", "$x y $", "\\", "\n```x y"]
    ),
)
def test_hostile_text_takes_no_more_than_linear_time(unit: str) -> None:
    def cost(characters: int) -> float:
        text, started = unit * (characters // len(unit)), time.process_time()
        to_html(text)
        return time.process_time() - started

    # Eight times the text; a quadratic one would cost 64 times as much.
    limit = 3 * 8 * min(cost(4_000) for _ in range(3))
    assert any(cost(32_000) < limit for _ in range(3))


@given(NASTY)
def test_what_a_chart_says_is_text(text: str) -> None:
    bar = stacked_bar([Segment("right", 1.0, text)], text)
    bar.encode()
    assert Page(bar).tags == {"svg", "rect", "title"}
