"""Prompts of each model family, and the texts that the agent writes into a running sample."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.chat.output_text import defused, rendered
from agent.chat.thinking import thinking_end
from agent.types import Edition, Problem

END_OF_TURN = "<|im_end|>"
TURN_ENDS = (END_OF_TURN, "<|im_start|>", "<|endoftext|>")  # nothing that follows one is the model's reply
# Further ones that are not sent as stop strings, of which some servers take no more than four: the ends of other
# families' turns, and of a next question that a model invents where the server swallows the template's own tokens.
TURN_MARKS = (
    *TURN_ENDS,
    *("<|eot_id|>", "<|end_of_text|>", "<|fim_pad|>", "<\uff5cend\u2581of\u2581sentence\uff5c>"),
    *("\nuser\n", "\n\nHuman:"),
)
CODE_OPEN = "```python\n"
OUTPUT_HEAD = "\n```output\n"
OUTPUT_TAIL = "\n```\n"
BOX_OPEN = "\\boxed{"
_BRACES = re.compile(r"(?<!\\)[{}]")
_OPEN_BOX = re.compile(r"\\boxed\{([^{}\n]{0,40})$")


@dataclass(frozen=True, slots=True)
class Family:
    """How one family of models is spoken to; all here use ChatML.

    `opening` is what the assistant's turn starts with, with tools `tool_opening`; `think_close` is the tag that ends
    its thinking ("" where the model has none). `examples` are (question, worked answer) pairs that show how tools are
    used.
    """

    instructions: str
    tool_instructions: str
    opening: str = ""
    tool_opening: str = ""
    think_close: str = ""
    examples: tuple[tuple[str, str], ...] = ()


_REASON = "Reason step by step and put the final answer in \\boxed{}."
_MAY_RUN_PYTHON = (
    "You may run Python while you reason: write a ```python block that prints what you need; it is run at once and "
    "its output follows in an ```output block. Variables stay from block to block; sympy and numpy are installed."
)


def _worked(code: str, output: str) -> str:
    return f"{CODE_OPEN}{code}\n```{OUTPUT_HEAD}{output}{OUTPUT_TAIL}So the answer is {BOX_OPEN}{output}}}."


# Terse code without comments: on a CPU every token counts. Their outputs are real.
_CODER_EXAMPLES = (
    (
        "How many integers $n$ with $1 \\le n \\le 500$ make $n^2+n+1$ divisible by $7$?",
        _worked(
            "print(sum((n * n + n + 1) % 7 == 0 for n in range(1, 501)))",
            "143",
        ),
    ),
    (
        "Four couples sit down in a row of eight chairs. In how many ways can they do so if the two people of each "
        "couple are not neighbours?",
        _worked(
            "from itertools import permutations\nprint(sum(all(a // 2 != b // 2 for a, b in zip(p, p[1:])) "
            "for p in permutations(range(8))))",
            "13824",
        ),
    ),
    (
        "Positive integers $x < y$ satisfy $x+y=37$ and $x^2+y^2=709$. Find $xy$.",
        _worked(
            "for x in range(1, 37):\n    y = 37 - x\n    if x < y and x * x + y * y == 709:\n        print(x * y)",
            "330",
        ),
    ),
    (
        "In triangle $ABC$ we have $AB=13$, $BC=14$ and $CA=15$. Find the square of the median from $A$.",
        _worked(
            "from sympy import *\nx, y = symbols('x y', positive=True)\n"
            "A = solve([x**2 + y**2 - 13**2, (x - 14)**2 + y**2 - 15**2], [x, y])[0]\n"
            "print((A[0] - 7)**2 + A[1]**2)",
            "148",
        ),
    ),
)

FAMILIES = {
    "qwen-coder": Family(
        instructions=f"You solve competition mathematics. {_REASON}",
        tool_instructions=(
            "You solve competition mathematics with Python. Write one short ```python block, without comments, that "
            "finds the answer and prints it; plain loops over all cases are better than solving equations. Its output "
            "follows in an ```output block. If it is an error or makes no sense, write a corrected block. Then put the "
            "final answer in \\boxed{}."
        ),
        tool_opening=CODE_OPEN,  # a small model that starts with prose often never comes to its code
        examples=_CODER_EXAMPLES,
    ),
    "qwq": Family(
        instructions=_REASON,
        tool_instructions=f"{_REASON} {_MAY_RUN_PYTHON}",
        opening="<think>\n",
        tool_opening="<think>\n",
        think_close="</think>",
    ),
    "qwq-preview": Family(
        instructions=f"You are a helpful assistant. You think step by step. {_REASON}",
        tool_instructions=f"You are a helpful assistant. You think step by step. {_REASON} {_MAY_RUN_PYTHON}",
    ),
}


def build_prompt(family: Family, problem: Problem, edition: Edition, *, tools: bool) -> str:
    """The prompt of all samples of a problem, up to where the assistant's turn is continued."""
    return prompt_prefix(family, edition, tools=tools) + question_turn(problem.text, opening(family, tools=tools))


def system_turn(instructions: str) -> str:
    """The turn that tells a model how to reply."""
    return _turn("system", instructions)


def question_turn(text: str, begun: str) -> str:
    """The turn that asks, and the start of the reply, of which `begun` is given."""
    return f"{_turn('user', _plain(text))}<|im_start|>assistant\n{begun}"


def opening(family: Family, *, tools: bool) -> str:
    """The start of the assistant's turn, which the model goes on from; the prompt ends with it."""
    return family.tool_opening if tools else family.opening


def prompt_prefix(family: Family, edition: Edition, *, tools: bool) -> str:
    """What the prompts of all problems begin with: the instructions and the examples."""
    instructions = family.tool_instructions if tools else family.instructions
    turns = [system_turn(f"{instructions} {answer_rule(edition)}")]
    if tools:
        for question, worked in family.examples:
            turns += [_turn("user", question), _turn("assistant", worked)]
    return "".join(turns)


def answer_rule(edition: Edition) -> str:
    """The edition's rule for answers, in a sentence."""
    if edition.modulus is not None:
        return f"The answer is an integer; give it modulo {edition.modulus}, from 0 to {edition.max_answer}."
    return f"The answer is an integer from 0 to {edition.max_answer}."


def tool_output(output: str) -> str:
    """What is written behind a closed code block: its output, defused, in the format of the examples."""
    return f"{OUTPUT_HEAD}{defused(rendered(output).strip(chr(10)))}{OUTPUT_TAIL}"


def answer_nudge(family: Family, said: str, *, ended: bool = False) -> str:
    """What makes an unfinished sample that has said this give its answer: close the thinking, open the box.

    Empty if a box is open already, unless the model had `ended` its turn in it. Budget forcing as in s1 (Muennighoff et
    al., 2025); the model then needs about 20 tokens.
    """
    if open_box(said) is not None and not ended:
        return ""
    close_fence = "\n```" if said.count("```") % 2 else ""
    is_open = family.think_close and thinking_end(said, family.think_close) is None
    close_thinking = f"\n{family.think_close}" if is_open else ""
    return f"{close_fence}{close_thinking}\n\n**Final Answer**\n\n{BOX_OPEN}"


def open_box(text: str) -> str | None:
    """What stands in the box at the end of a text that was cut inside it, else None."""
    found = _OPEN_BOX.search(text)
    return found and found[1]


def first_box(text: str) -> str:
    """A reply that continues a box, up to the brace that closes it: what else it says was not asked for."""
    depth = 0
    for brace in _BRACES.finditer(text):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return text[: brace.end()]
    return text


def _turn(role: str, content: str) -> str:
    return f"<|im_start|>{role}\n{content}{END_OF_TURN}\n"


def _plain(text: str) -> str:
    """The text with the template's control tokens defused, so that nobody's text can speak as another role."""
    return text.replace("<|", "< |")
