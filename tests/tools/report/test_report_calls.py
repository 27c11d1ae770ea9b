"""Transcripts in the dialects whose calls stand in tags show code, output and prose, and none of the marks."""

from __future__ import annotations

import re

import pytest

from agent.chat.dialects import chat_format
from agent.chat.family import family_names, load_family
from agent.engine.base import SamplingParams
from tests.support.doubles import ScriptedEngine, ScriptedSandbox, config_with
from tests.support.lanes import run_lane
from tests.support.texts.calls import call_of
from tools.demo.transcript import transcript_html
from tools.report.transcript import transcript

TAGS = [name for name in family_names() if load_family(name).dialect in ("chatml-calls", "chatml-tagged")]


@pytest.mark.parametrize("family", TAGS)
def test_a_transcript_shows_the_code_once_and_its_output_and_no_mark(family: str) -> None:
    close = chat_format(family, tools=True).think_close
    thought = "<think>\n" if family == "qwen3" else ""

    def reply(prompt: str, params: SamplingParams) -> str:
        if "print(" not in prompt:
            return thought + call_of(family, "print(6 * 7)")
        return f"{thought}So be it.{close}It is \\boxed{{42}}."

    sample = run_lane(ScriptedEngine(reply), sandbox=ScriptedSandbox("42\n"), sample__family=family)
    assert sample.answer == 42 and len(sample.tool_runs) == 1
    shown = re.sub(r"<[^>]*>", "", str(transcript(sample, config_with(sample__family=family))))
    assert shown.count("print(6 * 7)") == 1 and "So be it." in shown
    assert "tool_call" not in shown and "tool_response" not in shown and "im_start" not in shown
    assert "the agent wrote" not in shown
    page = re.sub(
        r"<[^>]*>",
        "",
        str(transcript_html(chat_format(family, tools=True).opening + sample.text, chat_format(family, tools=True))),
    )
    assert page.count("print(6 * 7)") == 1 and "So be it." in page
    assert not any(mark in page for mark in ("tool_call", "tool_response", "im_start", "think&gt;"))
