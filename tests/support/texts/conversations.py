"""Turns as models write them in each dialect: calls in every spelling, what stands between them, and answers of 42."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

CODES = ["print(6 * 7)", "x = 'é 😀'\nprint(x)", 'print("a\\n")', "for n in range(3):\n    n", "s = '<b>|</b>'\ns"]
_NEXT = "<|end|><|start|>assistant"
_R1_END = "<\uff5cend\u2581of\u2581sentence\uff5c>"


@dataclass(frozen=True, slots=True)
class Step:
    """A turn: its text up to the end of its call, what is sampled behind that, and its code (None: refused)."""

    text: str
    more: str
    code: str | None


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a family's turns are drawn; `result` is what marks the result of a call in a prompt."""

    family: str
    result: str
    step: st.SearchStrategy[Step]
    answer: st.SearchStrategy[str]
    ends: tuple[str, ...]


def _body(code: str) -> st.SearchStrategy[str]:
    plain = [code, f"{code}\n", f"```python\n{code}\n```", f"\n{code}"]
    return st.sampled_from([*plain, json.dumps({"code": code}), json.dumps({"code": code}, ensure_ascii=False)])


_PREAMBLES = st.lists(
    st.sampled_from(
        [
            f"<|channel|>analysis<|message|>Let me see é 😀 < |> <|.{_NEXT}",
            f"<|channel|>commentary<|message|>I shall compute \\boxed{{17}}.{_NEXT}",
            f"<|channel|>commentary to=assistant<|message|>Hm.{_NEXT}",
            f"<|channel|>commentary?{_NEXT}",
            f"<|channel|>We need \\boxed{{17}}, so.{_NEXT}",
            f"<|channel|>analysis<|message|>So<|end|>{_NEXT[len('<|end|>') :]}<|start|>assistant",
        ]
    ),
    max_size=2,
).map("".join)
_HEADERS = st.sampled_from(
    [
        "<|channel|>analysis to=python code",
        "<|channel|>analysis to=python <|constrain|>code",
        "<|channel|>commentary to=python code",
        "<|channel|>commentary to=functions.python <|constrain|>json",
        "<|channel|>analysis code",
        " to=python<|channel|>analysis code",
        " to=python<|channel|>commentary <|constrain|>python",
        " to=python.exec<|channel|>analysis",
        " to=python code",
    ]
)


@st.composite
def _harmony_steps(draw: st.DrawFn) -> Step:
    before = draw(_PREAMBLES)
    if draw(st.integers(0, 5)) == 0:
        other = draw(st.sampled_from(["browser.search", "functions.get_weather", "container.exec"]))
        call = f"<|channel|>commentary to={other} <|constrain|>json<|message|>{{}}<|call|>"
        return Step(before + call, "", None)
    header, code = draw(_HEADERS), draw(st.sampled_from(CODES))
    end = draw(st.sampled_from(["<|call|>", "<|end|>"])) if "to=" in header else "<|call|>"
    more = draw(st.sampled_from(["", f"{_NEXT[len('<|end|>') :]}<|channel|>final<|message|>\\boxed{{17}}<|return|>"]))
    return Step(f"{before}{header}<|message|>{draw(_body(code))}{end}", more, code)


_HARMONY_ANSWERS = st.sampled_from(
    [
        f"<|channel|>analysis<|message|>Good.{_NEXT}<|channel|>final<|message|>It is \\boxed{{42}}.",
        "<|channel|>final<|message|>**42**, that is \\boxed{42}",
        "<|channel|>analysis<|message|>So it is \\boxed{42}.",
        f"<|channel|>analysis<|message|>\\boxed{{17}}?{_NEXT}<|channel|>final <|constrain|>x<|message|>\\boxed{{42}}",
        "<|channel|>analysis<|message|>Good<|end|><|start|>assistantfinal<|message|>\\boxed{42}",
    ]
).flatmap(lambda text: st.sampled_from([f"{text}<|return|>", f"{text}<|end|>", text]))


def _fenced(code: str) -> Step:
    return Step(f"So é 😀.\n```python\n{code}\n```", "\n```output\n17\n```\n\\boxed{17}", code)


def _called(before: str) -> Callable[[str], Step]:
    def step(code: str) -> Step:
        call = json.dumps({"name": "python", "arguments": {"code": code}}, ensure_ascii=False)
        text = f"{before}<tool_call>\n{call}\n</tool_call>"
        return Step(text, f"\n<tool_call>\n{call}\n</tool_call><|im_end|>\n", code)

    return step


def _tagged(code: str) -> Step:
    return Step(f"so <tool_call>\n{code}\n</tool_call>", "\n```output\n17\n```\n", code)


def _steps(make: Callable[[str], Step]) -> st.SearchStrategy[Step]:
    return st.sampled_from([make(code) for code in CODES])


def _answers(thought: str, *ends: str) -> st.SearchStrategy[str]:
    texts = [f"{thought}\n</think>\n\nIt is \\boxed{{42}}.", f"{thought} \\boxed{{17}}\n</think>\nSo \\boxed{{42}}"]
    return st.sampled_from([text + end for text in texts for end in ends])


_CHATML_ENDS = ("<|im_end|>", "<|im_end|>\n", "<|endoftext|>", "<|im_start|>user\nAnd \\boxed{17}?", "")
_SO, _THOUGHT = "So.\n</think>\n\n", "<think>\nSo.\n</think>\n\n"
DIALECTS = (
    Dialect("gpt-oss", "<|start|>python to=assistant", _harmony_steps(), _HARMONY_ANSWERS, ("<|call|>", "<|return|>")),
    Dialect("r1-distill-qwen", "```output\n", _steps(_fenced), _answers("so", _R1_END, ""), (_R1_END,)),
    Dialect("qwq", "```output\n", _steps(_fenced), _answers("so", *_CHATML_ENDS), ("<|im_end|>",)),
    Dialect("qwq-calls", "<tool_response>", _steps(_called(_SO)), _answers("so", *_CHATML_ENDS), ("<|im_end|>",)),
    Dialect("qwen3", "<tool_response>", _steps(_called(_THOUGHT)), _answers("<think>so", *_CHATML_ENDS), ()),
    Dialect("openmath-nemotron", "```output\n", _steps(_tagged), _answers("so", *_CHATML_ENDS), ("<|im_end|>",)),
)
"""One of each, those of function calls with the thinking opened by the prompt and by the model."""
