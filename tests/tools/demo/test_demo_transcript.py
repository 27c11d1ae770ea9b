"""A lane's text on the demo's page: its last lines, code, outputs and formulas, and where the thinking ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.chat.dialects import chat_format
from tools.demo.transcript import end_of, transcript_html

PREVIEW = chat_format("qwq-preview", tools=True)
PIECES = st.lists(st.sampled_from(["```python\n", "```output\n", "\n```\n", "$", "x", "\n# "]), max_size=12).map(
    "".join
)


@given(st.text(alphabet="ab`\n", max_size=200) | PIECES, st.integers(1, 120))
def test_the_end_of_a_text_is_its_last_lines(text: str, most: int) -> None:
    end = end_of(text, most)
    if len(text) <= most:
        assert end == text
    else:
        last = text.rpartition("\n")[2]
        assert end.endswith(last[-most:])
        assert len(end) <= most + max((len(line) + 1 for line in text.split("\n")), default=0)


def test_code_whose_beginning_is_cut_off_stays_code() -> None:
    text = "```python\n" + "x = 1\n" * 50 + "print(x)"
    html = str(transcript_html(end_of(text, 40), PREVIEW))
    assert html.startswith('<pre class="code">')
    assert html.count("<pre") == 1


def test_code_output_and_formulas_are_told_apart() -> None:
    text = "So $x^2$:\n```python\nprint(1)\n```\n```output\n1\n```\nThus **done** \\boxed{1}."
    html = str(transcript_html(text, PREVIEW))
    assert [html.count(f'<pre class="{kind}"') for kind in ("code", "output")] == [1, 1]
    assert html.count("<math") == 2
    assert "<strong>done</strong>" in html


def test_the_end_of_the_thinking_is_shown_once_and_none_of_its_marks() -> None:
    chat = chat_format("qwq", tools=True)
    result = chat.tool_result("1")
    turn = f"{chat.opening}So\n```python\nprint(1)\n```{result}good.\n</think>\n\nIt is 1."
    html = str(transcript_html(turn, chat))
    assert html.count("end of the thinking") == 1 and "think&gt;" not in html
    before, _, behind = html.partition("end of the thinking")
    assert 'class="output"' in before and "It is 1." in behind
    for unclosed in (turn.partition("</think>")[0], chat.opening):
        assert "end of the thinking" not in str(transcript_html(unclosed, chat))
    assert "end of the thinking" not in str(transcript_html("It is 1.", PREVIEW))
