"""ChatML with function calls in JSON (Hermes): the result comes in a turn of the user's, and the assistant's turn anew.

Unlike QwQ's template, which leaves out the thinking of all earlier turns of the assistant's, the prompt keeps it unless
the family says otherwise: a prompt that changes where it was computed already costs the prefix cache at each tool call,
and the model its own work. Several calls in one turn are run one by one: each ends the turn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar

from agent.chat.box import BOX_OPEN, open_box
from agent.chat.family import WorkedExample
from agent.chat.fenced import END_OF_TURN, FencedChatML, answer_sentence, chatml_turn, without_start
from agent.chat.fences import fence_is_open, unfinished
from agent.chat.format import ForcedAnswer, OpenThing, Passage, ToolCallScanner, broken_off
from agent.chat.output_text import defused, rendered
from agent.chat.reply import Reply
from agent.chat.thinking import think_open, thinking_end
from agent.chat.tool_tags.body import read_function_call
from agent.chat.tool_tags.scanner import CLOSE, OPEN, FenceCounter, TagScanner, shown_calls

PYTHON_TOOL = {
    "type": "function",
    "function": {
        "name": "python",
        "description": "Run Python code and return what it prints. Variables stay from call to call; "
        "sympy and numpy are installed.",
        "parameters": {
            "type": "object",
            "properties": {"code": {"type": "string", "description": "The code to run."}},
            "required": ["code"],
        },
    },
}
"""The function that the model is offered, as chat templates take it."""

TOOL_SECTION = f"""\


# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{json.dumps(PYTHON_TOOL)}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
{OPEN}
{{"name": <function-name>, "arguments": <args-json-object>}}
{CLOSE}"""
"""What the system turn says of it, as QwQ's template does."""

RESPONSE_HEAD, RESPONSE_TAIL = "<tool_response>\n", "\n</tool_response>"
"""What stands around a result in the user's turn."""

_ASSISTANT = "<|im_start|>assistant\n"


class FunctionCalls(FencedChatML):
    """A `ChatFormat` of the families whose templates describe functions to the model."""

    __slots__ = ()
    result_frame: ClassVar[tuple[str, str]] = (RESPONSE_HEAD, RESPONSE_TAIL)

    @property
    def hint(self) -> None:
        """None: calls stand behind the thinking."""
        return None

    @property
    def rethinks(self) -> bool:
        """Yes, where the family thinks: its turn begins anew."""
        return bool(self.think_close)

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """The tags of calls too, which some vocabularies hold for control tokens."""
        return (*super().control_tokens, OPEN, CLOSE)

    def next_prompt(self, prompt: str, written: str) -> str:
        """Both, without the thinking before the call where the family does not keep it.

        As QwQ's template leaves it out: all up to the last tag that closes it, and the line breaks at the start of the
        rest. Thinking in which a call stands without such a tag is content for the template, and stays.
        """
        turn, head, result = written.rpartition(self._result_head)
        if self.family.keeps_thinking or not self.think_close or not head:
            return prompt + written
        openings = filter(None, (self.opening, self.family.opening))
        opening = next((text for text in openings if prompt.endswith(text)), "")
        said, tag, call = (opening + turn).rpartition(OPEN)
        tag_of_prompt = think_open(self.think_close) if self._opens_thinking else ""
        content = (without_start(said, tag_of_prompt) if tag_of_prompt else said).removesuffix("\n")
        kept = content.rpartition(self.think_close)[2].lstrip("\n")
        line = f"{kept}\n" if content else ""
        return f"{prompt.removesuffix(opening)}{line}{tag}{call}{head}{result}"

    def call_scanner(self, *, has_called: bool = False) -> ToolCallScanner:
        """A scanner for function calls; in a sample without any it counts fenced code behind the thinking too."""
        return self._tag_scanner() if has_called else FenceCounter(self._tag_scanner(), self._answer_text)

    def tool_result(self, output: str) -> str:
        """The end of the turn, the output in the user's with every mark in it broken, and the next turn's start."""
        return f"{self._result_head}{defused(rendered(output).strip(chr(10)))}{self._result_tail}{self.family.opening}"

    def after_result(self, calls_left: int) -> str:
        """Nothing: no model is known that was trained on it in these turns."""
        return ""

    def behind_result(self, inserted: str) -> str:
        """What follows the start of that turn."""
        return inserted.rpartition(f"{self._result_tail}{self.family.opening}")[2]

    def force_answer(self, said: str, *, ended: bool = False) -> ForcedAnswer:
        """Close an open call and the thinking, then open the box; a box that is open is continued."""
        stretch, call_is_open = self._last_stretch(self.opening + said)
        begun = None if ended or call_is_open else open_box(stretch)
        if begun is not None:
            return ForcedAnswer("", BOX_OPEN + begun)
        close_call = f"\n{CLOSE}" if call_is_open else ""
        close_fence = "\n```" if not call_is_open and fence_is_open(stretch) else ""
        thinks = self._thinks(stretch) and thinking_end(stretch, self.think_close) is None
        close_thinking = f"\n{self.think_close}" if thinks else ""
        closes: OpenThing = "call" if call_is_open else broken_off(stretch, code=bool(close_fence), thinking=thinks)
        inserted = f"{close_call}{close_fence}{close_thinking}\n\n**Final Answer**\n\n{BOX_OPEN}"
        return ForcedAnswer(inserted, BOX_OPEN, closes)

    def reply(self, text: str, *, thinking: bool) -> Reply:
        """The text before and after the tag that closes the thinking, where the model has begun to think."""
        if not (thinking and self._thinks(text)):
            return Reply("", text)
        return super().reply(text, thinking=True)

    def shown(self, text: str) -> str:
        """The text with its calls as blocks of code."""
        return shown_calls(text, read_function_call)

    def passages(self, turn: str) -> Iterator[Passage]:
        """Thinking and answer of each of the turns, with calls as blocks of code, and the results between them."""
        *rounds, last = turn.split(self._result_tail)
        for said, head, output in (round_.rpartition(self._result_head) for round_ in rounds):
            if head:
                yield from self._passages(said)
            yield Passage("result", output)
        yield from self._passages(last)

    def _passages(self, stretch: str) -> Iterator[Passage]:
        reply = self.reply(stretch, thinking=True)
        if self._thinks(stretch):
            yield Passage("thinking", self.shown(reply.thinking))
        if reply.answer_text is not None:
            yield Passage("answer", self.shown(reply.answer_text))

    @property
    def _result_head(self) -> str:
        return f"{END_OF_TURN}\n<|im_start|>user\n{self.result_frame[0]}"

    @property
    def _result_tail(self) -> str:
        return f"{self.result_frame[1]}{END_OF_TURN}\n{_ASSISTANT}"

    def _answer_text(self, stretch: str) -> str:
        return self.reply(stretch, thinking=True).answer_text or ""

    @property
    def _opens_thinking(self) -> bool:
        """Whether the assistant's turns begin within the thinking."""
        return bool(self.think_close) and think_open(self.think_close) in self.family.opening

    def _thinks(self, stretch: str) -> bool:
        """Whether the stretch, with which a turn begins, begins with thinking: the tag may be the model's to write."""
        begun = self._opens_thinking or stretch.lstrip().startswith(think_open(self.think_close))
        return bool(self.think_close) and (begun or self.think_close in stretch)

    def _last_stretch(self, written: str) -> tuple[str, bool]:
        """What was written since the last tool call that has a result, and whether a call is open in it."""
        return unfinished(written, self._tag_scanner) if self.tools else (written, False)

    def _tag_scanner(self) -> TagScanner:
        return TagScanner(read_function_call, self.think_close, thinking=self._opens_thinking)

    @property
    def _tool_section(self) -> str:
        return TOOL_SECTION if self.tools else ""

    def _worked(self, example: WorkedExample) -> str:
        """A question, the call that answers it, its result, and the answer."""
        run = f"{_ASSISTANT}{self._called(example.code)}{self._result_head}{example.output}{self._result_tail}"
        return f"{chatml_turn('user', example.question)}{run}{answer_sentence(example)}{END_OF_TURN}\n"

    def _called(self, code: str) -> str:
        """A call of Python as the model writes it."""
        call = json.dumps({"name": "python", "arguments": {"code": code}}, ensure_ascii=False)
        return f"{OPEN}\n{call}\n{CLOSE}"
