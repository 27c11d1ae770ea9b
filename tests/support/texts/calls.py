"""How a model of each family calls Python."""

from __future__ import annotations

from agent.chat.dialects import chat_format
from agent.chat.family import load_family

_CALLS = {
    "chatml-fenced": "Let me see.\n```python\n{}\n```\n",
    "chatml-fenced-turns": "Let me see.\n```python\n{}\n```\n",
    "chatml-calls": 'So</think>\n<tool_call>\n{{"name": "python", "arguments": {{"code": "{}"}}}}\n</tool_call>',
    "chatml-tagged": "Let me see.\n<tool_call>\n{}\n</tool_call>",
    "r1-fenced": "Let me see.\n```python\n{}\n```\n",
    "harmony": "<|channel|>analysis<|message|>Let me see.<|end|>"
    "<|start|>assistant to=python<|channel|>analysis code<|message|>{}<|call|>",
}


def call_of(family: str, code: str) -> str:
    """What a model of the family writes to run the code; the prompts of some open the block themselves."""
    opening = chat_format(family, tools=True).opening
    call = _CALLS[load_family(family).dialect].format(code)
    for opened in ("```python\n", "<tool_call>\n"):
        if opening.startswith(opened):
            return (opened + call.partition(opened)[2]).removeprefix(opening)
    return call
