"""Harmony's messages: the marks around them, what their headers say, and a turn of the assistant cut into them."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, replace
from functools import lru_cache

from agent.chat.tool_tags.body import CODE_KEYS, read_function_call, unfenced

CONTROL_MARKS = tuple(f"<|{name}|>" for name in ("start", "end", "message", "channel", "constrain", "return", "call"))
START, END, MESSAGE, CHANNEL, CONSTRAIN, RETURN, CALL = CONTROL_MARKS
CONTROL_MARK = re.compile("|".join(map(re.escape, CONTROL_MARKS)))
ANALYSIS, COMMENTARY, FINAL = "analysis", "commentary", "final"

_CHANNELS = (ANALYSIS, COMMENTARY, FINAL)
_CHANNEL = re.compile(rf"[^\w<]*({'|'.join(_CHANNELS)})")  # also where more is glued to its name
_ROLE = re.compile(r"user|system|developer|tool|python|functions\..*")
_ASSISTANT = re.compile(rf"(?:assistant)+(?={'|'.join(_CHANNELS)}|\Z)")
_RECIPIENT = re.compile(r"(?<!\S)to=[ ]?([\w.-]+)")
_PYTHON = re.compile(
    r"(?:(?:functions|tools?)\.)?(?:(?:run|exec|execute)_)?(?:i?python[23]?|jupyter|code_interpreter)(?:[._]\w*)?",
    re.IGNORECASE,
)
_CODE_KEY = re.compile(  # in an object sent in place of code, or in a string of it
    rf"\\?[\"'](?:{'|'.join(CODE_KEYS)})\\?[\"']\s*:"
)
_LONGEST_HEADER = 80  # characters
_BEGUN_HEADER = re.compile(r"\s*(?:assistant)?\s*(?:to=[^\s<]*)?\s*")
_HEADER = re.compile(r"\s*[a-z]{0,12}\s*(?:to=\S*)?\s*[a-z]{0,12}\s*")
_TYPE = rf"\s*{re.escape(CONSTRAIN)}\s*\w+|\s+(?:code|json|python|text)\b"
_TO = r"\s*to=[ ]?[\w.-]+"
_HEAD = re.compile(rf"\s*(?:{_CHANNEL.pattern})?(?:{_TO}|{_TYPE})*")
_HEAD_OF_CALL = re.compile(rf"\s*(?:assistant)*{_TO}(?:{_TYPE})*")
_CUT_HEADER = re.compile(r"[\w\s=.-]{0,40}")  # in which a turn breaks off, and of which the rest may be to come
_CUT_MARK = re.compile(  # the end of a mark in which the text was cut
    "|".join(re.escape(mark[start:]) for mark in CONTROL_MARKS for start in range(1, len(mark) - 1))
)


@dataclass(frozen=True, slots=True)
class Header:
    """Who speaks to whom ("" to nobody in particular), in which channel, and in which type of content."""

    role: str = "assistant"
    recipient: str = ""
    channel: str = ""
    content_type: str = ""

    @property
    def is_output(self) -> bool:
        """Whether a tool speaks."""
        return self.role in ("python", "tool") or self.role.startswith("functions.")

    @property
    def is_call(self) -> bool:
        """Whether the assistant speaks to a tool."""
        return not self.is_output and self.recipient not in ("", "assistant", "user", "all")

    def calls_python(self, end: str) -> bool:
        """Whether a message that this mark ends is a call of Python.

        Where the header names no tool, code that ends as a call does is meant for Python.
        """
        if self.recipient:
            return self.is_call and end in (CALL, END) and _PYTHON.fullmatch(self.recipient) is not None
        return not self.is_output and self.content_type == "code" and end == CALL

    @property
    def may_call_python(self) -> bool:
        """Whether a message with this header may turn out to be a call of Python."""
        return self.calls_python(CALL)

    @property
    def may_be_call(self) -> bool:
        """Whether a message with this header may turn out to be a call, of any tool."""
        return self.is_call or self.may_call_python


@dataclass(frozen=True, slots=True)
class Message:
    """A message, and the mark that ended it: its own, or the one with which the next began; "" while it is open."""

    header: Header
    content: str
    end: str

    @property
    def calls_python(self) -> bool:
        """Whether it is a call of Python, or the beginning of one."""
        return self.header.calls_python(self.end or CALL)

    @property
    def is_code(self) -> bool:
        """Whether it was written for a tool."""
        return self.header.is_call or self.calls_python


@lru_cache(maxsize=256)
def read_header(text: str) -> Header:
    """What a header says, in whatever order it does: the text between `<|start|>` and `<|message|>`.

    Names may run into each other or into signs, as models write them now and then.
    """
    plain = CONTROL_MARK.sub(" ", text)
    recipient = _RECIPIENT.search(plain)
    words = _RECIPIENT.sub(" ", plain).split()
    role = words.pop(0) if words and _ROLE.fullmatch(words[0]) else "assistant"
    names = [name for word in words if (name := _ASSISTANT.sub("", word, count=1))]
    channels = [found[1] for name in names if (found := _CHANNEL.match(name))]
    content_type = next((name for name in names if not _CHANNEL.match(name)), "")
    return Header(role, recipient[1] if recipient else "", channels[0] if channels else "", content_type.lower())


def split_header(text: str) -> tuple[Header, str]:
    """The header with which a text begins that has no `<|message|>`, and the content after it.

    Models leave that mark out now and then. Without a channel's name it is analysis.
    """
    before, channel, tail = text.rpartition(CHANNEL)
    head = (_HEAD if channel else _HEAD_OF_CALL).match(tail)
    end = head.end() if head else 0
    header = read_header(before + channel + tail[:end])
    content = CONTROL_MARK.sub(" ", tail[end:])
    return (header if header.channel else replace(header, channel=ANALYSIS)), content


def code_of(content: str) -> str:
    """The code in a call of Python: its content, or what that holds where it is an object in JSON or a fenced block."""
    if content.lstrip().startswith("{") and _CODE_KEY.search(content):
        return read_function_call(content).code or content
    if content.lstrip().startswith(("```", "~~~")):
        return unfenced(content)
    return textwrap.dedent(content).lstrip(" ") if content.startswith(" ") else content  # a header's blank


def read_turn(text: str, first: Header) -> TurnReader:
    """Read a stretch of a turn; `first` is the header of what it begins with, where it begins in a message's content.

    Marks that are missing are made up for: a message ends where the next one begins, and a channel begins a message.
    No text is lost: what stands where no header can is taken for analysis.
    """
    cut_mark = _CUT_MARK.match(text)
    text = text[cut_mark.end() :] if cut_mark else text
    turn = TurnReader(None if _begins_in_header(text) else first)
    position = 0
    for mark in CONTROL_MARK.finditer(text):
        turn.mark(text[position : mark.start()], mark.group())
        position = mark.end()
    turn.rest(text[position:])
    return turn


class TurnReader:
    """The messages of a stretch of the assistant's turn, and how it breaks off.

    `header` is the header in which it breaks off, the role that the agent has written included; None elsewhere.
    `is_open` says that it breaks off in the content of the last message.
    """

    def __init__(self, first: Header | None) -> None:
        """The stretch begins in the content of a message with the header `first`, or (None) in a header."""
        self.messages: list[Message] = []
        self.header = None if first else "assistant"
        self.is_open = False
        self._speaker = first  # None: in no message
        self._content = ""
        self._is_headed = False  # whether the message's header stands in the text

    def mark(self, before: str, mark: str) -> None:
        """Take a mark, and the text before it."""
        if self._speaker is not None:
            self._content += before
            if mark in (MESSAGE, CONSTRAIN):
                self._content += " "
            else:
                self._end(mark)
                self.header = {START: "", CHANNEL: mark}.get(mark)
        elif mark == MESSAGE:
            self._speaker, self.header = read_header((self.header or "") + before), None
            self._is_headed = True
        elif mark in (CHANNEL, CONSTRAIN):
            self.header = (self.header or "") + before + mark
        else:
            self._keep(before, mark)
            self.header = "" if mark == START else None

    def rest(self, text: str) -> None:
        """Take the text after the last mark."""
        if self._speaker is not None:
            self._content += text
            self.messages.append(Message(self._speaker, self._content, ""))
            self.is_open = True
        elif self._keep(text, ""):
            self.header, self.is_open = None, True
        elif self.header is not None or text.startswith("\n"):  # an output stood here, and the next header was begun
            self.header = ("assistant" if self.header is None else self.header) + text

    def _end(self, mark: str) -> None:
        if self._speaker is not None and (self._content or self._is_headed):
            self.messages.append(Message(self._speaker, self._content, mark))
        self._speaker, self._content = None, ""

    def _keep(self, text: str, mark: str) -> bool:
        """Keep text that is no header, though it stands in the place of one; whether there is any."""
        whole = (self.header or "") + text
        is_header = (_CUT_HEADER if CHANNEL in whole else _HEADER).fullmatch(text)
        if is_header and not (mark and CHANNEL in whole):
            return False
        header, content = split_header(whole)
        content = content if CHANNEL in whole or header.recipient else text  # without the role
        if content.strip():
            self.messages.append(Message(header, content, mark))
        return bool(content.strip())


def _begins_in_header(text: str) -> bool:
    mark = CONTROL_MARK.search(text)
    before = text[: mark.start()] if mark else text
    if mark and mark.group() in (MESSAGE, CONSTRAIN):
        return len(before) <= _LONGEST_HEADER and "\n" not in before.strip()
    return (mark is None or mark.group() == CHANNEL) and _BEGUN_HEADER.fullmatch(before) is not None
