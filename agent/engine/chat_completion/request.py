"""The body of a request for the next message of a conversation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.chat.box import BOX_OPEN, open_box
from agent.chat.messages.conversation import THINK_CLOSE, ChatMessage, Conversation, split_thinking
from agent.chat.thinking import think_open
from agent.chat.tool_tags.body import read_function_call
from agent.chat.tool_tags.function_calls import PYTHON_TOOL, RESPONSE_HEAD, RESPONSE_TAIL, TOOL_SECTION
from agent.chat.tool_tags.scanner import CLOSE, OPEN, without_calls
from agent.engine.base import SamplingParams
from agent.engine.chat_completion.manner import ChatManner, Prefix
from agent.engine.completion.fields import Server, sampling_fields

CONTINUE = "Your last message was cut off. Continue it exactly where it ends, without repeating any of it."
FORCE_ANSWER = f"Stop here and give your final answer now: reply with {BOX_OPEN}...}} and nothing else."
_CALL_ID = "call{:05d}"  # nine letters and digits, as Mistral's servers want it

Wire = dict[str, Any]
"""A message as it is sent."""


@dataclass(frozen=True, slots=True)
class BegunTurn:
    """What has been begun of the assistant's turn, as far as the server can be shown it.

    `text` is that as it stands, `said` without the marks of its thinking and without a box that is still open.
    `continued` is whether the request continues it, and the user does not ask for that.
    """

    text: str
    said: str
    continued: bool


def begun_turn(conversation: Conversation, manner: ChatManner) -> BegunTurn:
    """What has been begun of a conversation's last turn.

    A call in it was cut off, or not run. It is left out where the server reads calls: llama.cpp would continue it as a
    call without a beginning, others as text.
    """
    reads_calls = conversation.tools and manner.tools
    text = without_calls(conversation.begun) if reads_calls else conversation.begun
    said = _without_marks(text)
    return BegunTurn(text, said, bool(said) and manner.prefix is not Prefix.NONE)


def chat_body(
    conversation: Conversation,
    begun: BegunTurn,
    params: SamplingParams,
    server: Server,
    manner: ChatManner,
    model: str | None,
) -> dict[str, Any]:
    """The body of a request that streams the next message, or the rest of the one that has been begun."""
    body: dict[str, Any] = {
        "messages": _messages(conversation, begun, params, manner),
        manner.length: params.max_tokens,
        **sampling_fields(server, params),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    optional: dict[str, Any] = {"model": model, "seed": params.seed}
    if conversation.tools and manner.tools:  # for a forced answer too: they are part of what the server has computed
        optional |= {"tools": [PYTHON_TOOL], "parallel_tool_calls": False}
        optional |= {"tool_choice": "none"} if params.forces_answer else {}
    if begun.continued and manner.prefix is Prefix.CONTINUED:
        optional |= {"continue_final_message": True, "add_generation_prompt": False}
    return body | {key: value for key, value in optional.items() if value is not None}


def _without_marks(begun: str) -> str:
    box = open_box(begun)
    text = begun if box is None else begun[: len(begun) - len(BOX_OPEN + box)]
    if text.lstrip().startswith(think_open(THINK_CLOSE)) or THINK_CLOSE in text:
        text = "\n\n".join(filter(None, split_thinking(text)))
    return text.strip()


def _messages(conversation: Conversation, begun: BegunTurn, params: SamplingParams, manner: ChatManner) -> list[Wire]:
    sent = list(_earlier(conversation, manner))
    if begun.continued:
        last: Wire = {"role": "assistant", "content": begun.text}
        return [*sent, last | ({"prefix": True} if manner.prefix is Prefix.FLAGGED else {})]
    asked = FORCE_ANSWER if params.forces_answer else CONTINUE if begun.said else ""
    if begun.said:
        sent.append({"role": "assistant", "content": begun.said})
    if asked and sent and sent[-1]["role"] == "user":  # some servers want the two sides to alternate
        sent[-1] = {"role": "user", "content": f"{sent[-1]['content']}\n\n{asked}"}
    elif asked:
        sent.append({"role": "user", "content": asked})
    return sent


def _earlier(conversation: Conversation, manner: ChatManner) -> Iterator[Wire]:
    """The messages before the assistant's turn."""
    described = conversation.tools and not manner.tools
    calls = 0
    for number, message in enumerate(conversation.messages):
        text = message.text + (TOOL_SECTION if described and number == 0 else "")
        if message.role == "assistant" and message.call is not None:
            calls += 1
            yield _with_call(message, calls, manner)
        elif message.role == "assistant":
            yield {"role": "assistant", **_said(text, manner)}
        elif message.role == "tool" and manner.tools:
            yield {"role": "tool", "tool_call_id": _CALL_ID.format(calls), "content": text}
        elif message.role == "tool":
            yield {"role": "user", "content": f"{RESPONSE_HEAD}{text}{RESPONSE_TAIL}"}
        elif text.strip():
            yield {"role": message.role, "content": text}


def _with_call(message: ChatMessage, number: int, manner: ChatManner) -> Wire:
    """A message with a call: as the protocol has it, or in words."""
    if not manner.tools:
        return {"role": "assistant", **_said(f"{message.text}{OPEN}\n{(message.call or '').strip()}\n{CLOSE}", manner)}
    arguments = json.dumps(_arguments(message.call or ""), ensure_ascii=False)
    function = {"name": "python", "arguments": arguments}
    call = {"id": _CALL_ID.format(number), "type": "function", "function": function}
    said = _said(message.text, manner)
    return {"role": "assistant", **said, "content": said["content"] or manner.blank, "tool_calls": [call]}


def _arguments(call: str) -> Mapping[str, Any]:
    """The arguments of a call: those that it has, or the code that can be read in it, or all of it."""
    try:
        arguments = json.loads(call)["arguments"]
    except (ValueError, RecursionError, TypeError, KeyError):
        arguments = None
    return arguments if isinstance(arguments, dict) else {"code": read_function_call(call).code or call.strip()}


def _said(text: str, manner: ChatManner) -> Wire:
    """What the assistant said, with its thinking where the server sent it: apart, or in the text."""
    if manner.thinking == "":
        return {"content": text.strip()}
    thinking, said = split_thinking(text)
    apart = {manner.thinking: thinking} if thinking and manner.thinking else {}
    return {"content": said.strip(), **apart}
