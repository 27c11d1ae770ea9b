"""What is sent to a chat endpoint: the conversation as messages, in the manner of the server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chat.dialects import chat_format
from agent.chat.messages.conversation import read_conversation
from agent.chat.task import CompetitionTask
from agent.editions import EDITIONS
from agent.engine.base import SamplingParams
from agent.engine.chat_completion.manner import ChatManner, Prefix, prefix_of
from agent.engine.chat_completion.request import CONTINUE, FORCE_ANSWER, begun_turn, chat_body
from agent.engine.completion.fields import Server, ServerKind
from agent.errors import ContextExceededError, EngineError, RequestRefusedError, StreamBrokenError
from agent.types import Problem
from tests.support.servers.chat_server import protocol_refusal
from tests.support.texts.chat_events import manner

TASK = CompetitionTask(EDITIONS["aimo3"])
CHAT = chat_format("chat", tools=True)
PROMPT = CHAT.prompt(TASK, Problem("a", "How many?"))
CALL = '<tool_call>\n{"name": "python", "arguments": {"code": "print(1)"}}\n</tool_call>'
ROUND = f"<think>\nSo\n</think>\n\nI compute.\n{CALL}{CHAT.tool_result('1')}"
PARAMS = SamplingParams(90, seed=3, stop=CHAT.stop_strings, answer_head=CHAT.answer_head)
FORCED = PARAMS._replace(forces_answer=True, max_tokens=24)
BOX = "\n</think>\n\n**Final Answer**\n\n\\boxed{"


def body_for(known: ChatManner, written: str = "", params: SamplingParams = PARAMS) -> dict[str, Any]:
    conversation = read_conversation(PROMPT + written)
    return chat_body(conversation, begun_turn(conversation, known), params, Server(), known, "served")


def body(written: str = "", params: SamplingParams = PARAMS, **keys: Any) -> dict[str, Any]:
    return body_for(manner(**keys), written, params)


def messages(written: str, params: SamplingParams = PARAMS, **keys: Any) -> list[dict[str, Any]]:
    return list(body(written, params, **keys)["messages"][2:])


def test_a_first_request_has_the_instructions_the_problem_and_the_tool() -> None:
    sent = body()
    assert [each["role"] for each in sent["messages"]] == ["system", "user"]
    assert sent["messages"][1]["content"] == "How many?" and "# Tools" not in sent["messages"][0]["content"]
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["python"] and sent["parallel_tool_calls"] is False
    assert (sent["max_tokens"], sent["seed"], sent["stream_options"]) == (90, 3, {"include_usage": True})
    assert "stop" not in sent, "the server ends the model's turns itself"


@pytest.mark.parametrize(
    ("thinking", "said"),
    [
        ("", {"content": "<think>\nSo\n</think>\n\nI compute."}),
        ("reasoning_content", {"content": "I compute.", "reasoning_content": "So"}),
        ("reasoning", {"content": "I compute.", "reasoning": "So"}),
        (None, {"content": "I compute."}),
    ],
)
def test_a_call_and_its_result_are_messages_and_thinking_goes_back_as_it_came(
    thinking: Any, said: dict[str, str]
) -> None:
    assistant, result = messages(ROUND, thinking=thinking)
    (call,) = assistant.pop("tool_calls")
    assert assistant == {"role": "assistant"} | said
    assert call["function"] == {"name": "python", "arguments": '{"code": "print(1)"}'}
    assert result == {"role": "tool", "tool_call_id": call["id"], "content": "1"}


def test_a_server_without_tools_is_told_of_them_in_words() -> None:
    sent = body(ROUND, tools=False)
    assert "tools" not in sent and "parallel_tool_calls" not in sent
    assert "# Tools" in sent["messages"][0]["content"]
    assert sent["messages"][2]["content"].endswith(CALL)
    assert sent["messages"][3] == {"role": "user", "content": "<tool_response>\n1\n</tool_response>"}


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("{oops", "{oops"),
        ('{"name": "python", "arguments": {"code": "print(1)"}', "print(1)"),
        ("print(1)", "print(1)"),
    ],
)
def test_a_call_that_is_no_json_goes_back_as_one_that_is(call: str, code: str) -> None:
    assistant, _ = messages(f"<tool_call>\n{call}\n</tool_call>{CHAT.tool_result('no')}")
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"code": code}


@pytest.mark.parametrize(
    ("prefix", "fields", "flag"),
    [
        (Prefix.CONTINUED, {"continue_final_message": True, "add_generation_prompt": False}, {}),
        (Prefix.FLAGGED, {}, {"prefix": True}),
        (Prefix.LAST, {}, {}),
    ],
)
def test_a_server_that_can_continues_the_message(
    prefix: Prefix, fields: dict[str, bool], flag: dict[str, bool]
) -> None:
    sent = body("<think>\nSo it", prefix=prefix)
    assert sent["messages"][-1] == {"role": "assistant", "content": "<think>\nSo it"} | flag
    assert fields.items() <= sent.items() and "stop" not in sent
    forced = body(f"<think>\nSo it{BOX}", FORCED, prefix=prefix)
    assert forced["messages"][-1]["content"].endswith("\\boxed{")


def test_other_servers_are_asked_to_continue_or_to_answer() -> None:
    begun = {"role": "assistant", "content": "So it"}
    assert messages("<think>\nSo it") == [begun, {"role": "user", "content": CONTINUE}]
    said, asked = messages(f"<think>\nSo it{BOX}", FORCED)
    assert said["content"].startswith("So it") and "boxed" not in said["content"] and "think" not in said["content"]
    assert asked == {"role": "user", "content": FORCE_ANSWER}
    assert body(f"<think>\nSo it{BOX}", FORCED)["tool_choice"] == "none"


def test_a_message_that_only_calls_has_no_text_where_the_server_refuses_an_empty_one() -> None:
    known = manner()
    written = f"{CALL}{CHAT.tool_result('1')}"
    sent = body_for(known, written)
    assert sent["messages"][2]["content"] == ""
    error = RequestRefusedError("it answered 400: messages: text content blocks must be non-empty")
    error.about = str(error)
    assert known.learn(error, sent)
    sent = body_for(known, written)
    assert sent["messages"][2]["content"] is None and not known.learn(error, sent)


@pytest.mark.parametrize("prefix", list(Prefix))
def test_a_call_that_was_cut_off_is_not_shown_to_a_server_that_reads_calls(prefix: Prefix) -> None:
    half = '<tool_call>\n{"name": "python", "arguments": {"code": "'
    for cut in (half, f"{half}\n</tool_call>"):
        assert messages(cut, prefix=prefix) == []
        said = messages(f"So it{cut}", prefix=prefix)[0]
        assert said["content"] == "So it" and "tool_calls" not in said
        assert half in messages(f"So it{cut}", prefix=prefix, tools=False)[0]["content"]


@pytest.mark.parametrize("opening", ["", "<think>\n", "<think>"])
def test_what_the_dialect_opens_a_turn_with_is_left_to_the_servers_template(opening: str) -> None:
    for prefix in Prefix:
        assert messages(opening, prefix=prefix) == []


SAID = st.lists(st.sampled_from(["so ", "<think>\n", "</think>", "\n", "7", CALL, "\\boxed{", "}", "```"])).map("".join)


@given(
    st.lists(st.tuples(SAID, st.text())), SAID, st.booleans(), st.booleans(), st.sampled_from(["", "reasoning", None])
)
def test_whatever_was_said_the_messages_are_in_order(
    rounds: list[tuple[str, str]], last: str, forced: bool, tools: bool, thinking: str | None
) -> None:
    written = "".join(f"{said}{CALL}{CHAT.tool_result(output)}" for said, output in rounds) + last
    for prefix in Prefix:
        sent = body(written, FORCED if forced else PARAMS, prefix=prefix, tools=tools, thinking=thinking)
        assert protocol_refusal(sent) is None
        if prefix is Prefix.NONE and (forced or last):
            assert sent["messages"][-1]["role"] in ("user", "tool")


def test_how_servers_continue_is_known_of_a_few() -> None:
    assert prefix_of(Server(ServerKind.VLLM, (0, 20)), "http://h/v1") is Prefix.CONTINUED
    assert prefix_of(Server(ServerKind.SGLANG), "http://h/v1") is Prefix.CONTINUED
    assert prefix_of(Server(ServerKind.LLAMA_CPP), "http://h/v1") is Prefix.LAST
    assert prefix_of(Server(), "https://api.mistral.ai/v1") is Prefix.FLAGGED
    assert prefix_of(Server(), "https://api.mistral.ai.example.com/v1") is Prefix.NONE


def refused(words: str, kind: type[EngineError] = RequestRefusedError) -> EngineError:
    error = kind("the engine answered 400")
    error.about = words
    return error


@pytest.mark.parametrize(
    ("words", "written", "differs"),
    [
        ('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', "", "tools"),
        ("registry.ollama.ai/library/gemma:2b does not support tools", "", "tools"),
        ("tools param requires --jinja flag", "", "tools"),
        ("No endpoints found that support tool use. To learn more", "", "tools"),
        ("body tools Extra inputs are not permitted", "", "tools"),
        ("Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.", "", "length"),
        ("'messages.2' : property 'reasoning' is unsupported", ROUND, "thinking"),
        ("messages.2.reasoning_content: Extra inputs are not permitted", ROUND, "thinking"),
        ("messages.2.thinking: Extra inputs are not permitted", ROUND, "thinking"),
        ("continue_final_message is set but the final message does not appear in the chat", "so", "prefix"),
        ("Assistant response prefill is incompatible with enable_thinking.", "so", "prefix"),
        ("Expected last role User or Tool (or Assistant with prefix True) but got assistant", "so", "prefix"),
    ],
)
@pytest.mark.parametrize("kind", [RequestRefusedError, StreamBrokenError])
def test_what_a_server_refuses_is_left_out_from_then_on_and_said_once(
    words: str, written: str, differs: str, kind: type[EngineError]
) -> None:
    said: list[str] = []
    field = "thinking" if ".thinking:" in words else "reasoning"
    told = ChatManner(said.append, prefix=Prefix.CONTINUED, thinking=field)
    first = body_for(told, written)
    for _ in range(2):  # the second is of a request that was under way
        assert told.learn(refused(words, kind), first)
    changed = [
        name
        for name in ("tools", "length", "thinking", "prefix")
        if getattr(told, name) != getattr(manner(prefix=Prefix.CONTINUED, thinking=field), name)
    ]
    assert changed == [differs] and len(said) == (differs != "length")
    for _ in range(4):
        again = body_for(told, written)
        assert protocol_refusal(again) is None
        if not told.learn(refused(words, kind), again):
            return
    pytest.fail("a request is repeated for ever")


@pytest.mark.parametrize(
    "error",
    [
        refused("the model does not exist"),
        refused("tools", ContextExceededError),
        refused("reasoning is not on"),
        refused("thinking is not on"),
        refused(""),
    ],
)
def test_other_refusals_are_not_taken_for_these(error: EngineError) -> None:
    told = manner()
    assert not told.learn(error, body())
    assert told.tools


@pytest.mark.parametrize(
    "words",
    [
        "Internal error in the tool parser process",
        "failed to read the cache of the template and its prefix",
        "the reasoning parser ran out of memory",
    ],
)
def test_an_error_in_the_server_that_may_pass_takes_nothing_from_later_requests(words: str) -> None:
    known: dict[str, Any] = {"prefix": Prefix.CONTINUED, "thinking": "reasoning"}
    told = manner(**known)
    for written in ("", "so", ROUND):
        sent = body_for(told, written)
        assert not told.learn(refused(words, StreamBrokenError), sent)
    assert (told.tools, told.prefix, told.thinking) == (True, Prefix.CONTINUED, "reasoning")
