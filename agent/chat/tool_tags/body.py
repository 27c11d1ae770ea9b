"""What a call encloses: a function call in JSON, also with the errors that models make, or plain code."""

from __future__ import annotations

import ast
import contextlib
import json
import re
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

CODE_KEYS = ("code", "python", "python_code", "script", "source", "source_code", "program", "snippet", "input", "cmd")
"""Names of the argument that holds the code."""

_ARGUMENT_KEYS = ("arguments", "parameters", "args", "params", "tool_input", "action_input", "input", "kwargs")
_NAME_KEYS = ("name", "function", "tool", "tool_name", "function_name", "action")
_NO_CODE = frozenset((*_NAME_KEYS, "type", "language", "lang", "id", "call_id", "title", "description", "session_id"))
_PYTHON = re.compile(r"py|code|exec|run|interpret|repl|sandbox", re.IGNORECASE)
_FENCE = re.compile(r"(?:`{3,}|~{3,})[\w.+-]*[ \t]*\n")
_TRAILING_COMMA = re.compile(r",(?=\s*[}\]])|(\"(?:[^\"\\]|\\.)*\")", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:[\"\\/bfnrt]|u[0-9a-fA-F]{4}|(?P<wrong>.))", re.DOTALL)
_LOOSE = re.compile(
    rf"[\"'](?:{'|'.join(CODE_KEYS)})[\"']\s*:\s*(?P<quote>\"{{3}}|'{{3}}|\"|'|`)(?P<code>.*?)(?P=quote)"
    r"(?:[\s}\]);]|,(?:\s*[\"'](?:\w+)[\"']\s*:\s*(?:[\"'][\w -]*[\"']|[\w.-]+))?)*\Z",
    re.DOTALL,
)
_UNQUOTED = re.compile(  # two braces: code may end in one of its own
    rf"[\"'](?:{'|'.join(CODE_KEYS)})[\"']\s*:\s*\"(?P<code>.*)(?:\s*\}}){{2}}\s*\Z", re.DOTALL
)
_TAGGED = re.compile(
    rf"<function=[^<>]*>\s*<parameter=(?:{'|'.join(CODE_KEYS)})>(?P<code>.*?)(?:</parameter>.*)?\Z", re.DOTALL
)
_NAMED_BEFORE = re.compile(r"[\w ,.:]{1,80}\n\s*(?=\{\s*[\"'](?:name|arguments|code)[\"'])")
_QUOTE_ESCAPED = re.compile(r"\\([\"'/])")
_ESCAPED = re.compile(r"\\([ntr\"'\\/])")
_SHORT_ESCAPES = {"n": "\n", "t": "\t", "r": "", '"': '"', "'": "'", "\\": "\\", "/": "/"}
_HOW = 'give one JSON object with "name": "python" and "arguments": {"code": "..."}, line breaks in the code as \\n'


@dataclass(frozen=True, slots=True)
class CallBody:
    """The code of a call; or, where that is "", what is wrong with the call, in a sentence for the model.

    `is_whole` says that the call may well end here, for want of a closing tag.
    """

    code: str
    refusal: str = ""
    is_whole: bool = False


def read_function_call(body: str) -> CallBody:
    """Read a function call in JSON.

    Accepted are also line breaks in strings, trailing commas, quotes and constants as Python writes them, missing or
    superfluous braces, also before or in place of the quote that ends the code, backslashes that JSON does not know,
    quotes in the code that are not escaped, other names of the argument, arguments that are JSON in a string, a line
    of words before the JSON, the tags `<function=...>` and `<parameter=...>` in its place, and code that stands there
    without either.
    """
    text = unfenced(body).strip()
    named = _NAMED_BEFORE.match(text)
    text = text[named.end() :] if named else text
    if not text:
        return CallBody("", f"[the call is empty: {_HOW}]")
    if tagged := _TAGGED.match(text):
        code = textwrap.dedent(tagged["code"].strip("\r\n")).rstrip()
        return CallBody(code, "" if code else f"[the call holds no code: {_HOW}]", text.endswith(">") and bool(code))
    if text[0] not in "{[":
        is_code = _parses(text) and not _is_one_word(text)
        return CallBody(text) if is_code else CallBody("", f"[the call is no JSON and no Python: {_HOW}]")
    error = "it holds no object"
    for attempt in _attempts(text):
        value = _loaded(attempt)
        if isinstance(value, str):
            error = error if error != "it holds no object" else value
        else:
            found = _of_value(value[0])
            if "\n" in text and found.code and not _parses(found.code):  # perhaps its backslashes are Python's
                found = replace(found, code=_loose_code(text) or found.code)
            return replace(found, is_whole=bool(found.code) and text[-1] in "}]")
    code = _loose_code(text)
    if not code:
        return CallBody("", f"[the JSON of the call cannot be read ({error}): {_HOW}]")
    return CallBody(code, is_whole=text[-1] in "}])")


def read_code(body: str) -> CallBody:
    """Read code that stands between the tags as it is, in a fence or in a function call, as some models mix them."""
    text = unfenced(body)
    if text.lstrip().startswith("{"):
        called = read_function_call(text)
        if called.code:
            return called
    code = textwrap.dedent(text).strip("\r\n") if text.strip() else ""
    return CallBody(code, is_whole=bool(code) and _parses(code))


def _of_value(value: object) -> CallBody:
    """The code of a call that has been read."""
    call = value[0] if isinstance(value, list) and value else value
    if isinstance(call, dict) and isinstance(call.get("function"), dict):
        call = call["function"]
    if not isinstance(call, dict):
        return CallBody("", f"[the call is no JSON object: {_HOW}]")
    name = next((call[key] for key in _NAME_KEYS if isinstance(call.get(key), str)), "")
    arguments = next((call[key] for key in _ARGUMENT_KEYS if key in call), call)
    code, is_named = _argument(arguments, depth=2)
    if name and not _PYTHON.search(name) and not is_named:
        return CallBody("", f"[there is no function {name[:80]!r}: {_HOW}]")
    code = _without_stray_braces(_unescaped_twice(unfenced(code))).strip("\r\n")
    return CallBody(code) if code.strip() else CallBody("", f"[the call holds no code: {_HOW}]")


def _argument(arguments: object, depth: int) -> tuple[str, bool]:
    """The code among the arguments, and whether it goes by a name of code."""
    if isinstance(arguments, str):
        loaded = _loaded(arguments) if depth and arguments.lstrip().startswith("{") else ""
        if not isinstance(loaded, str) and isinstance(loaded[0], dict):
            code, is_named = _argument(loaded[0], depth - 1)
            if is_named:
                return code, True
        return arguments, False
    if isinstance(arguments, list) and len(arguments) == 1 and depth:
        return _argument(arguments[0], depth - 1)
    if isinstance(arguments, list):
        lines = all(isinstance(line, str) for line in arguments)
        return ("\n".join(arguments), False) if lines else ("", False)
    if not isinstance(arguments, dict):
        return "", False
    for key in CODE_KEYS:
        if key in arguments and depth:
            return _argument(arguments[key], depth - 1)[0], key != "input"
    inner = next((arguments[key] for key in _ARGUMENT_KEYS if key in arguments), None)
    if isinstance(inner, dict) and depth:
        return _argument(inner, depth - 1)
    texts = [value for key, value in arguments.items() if isinstance(value, str) and key.lower() not in _NO_CODE]
    return (texts[0] if len(texts) == 1 else ""), False


def _attempts(text: str) -> Iterator[str]:
    """The text as it is, and with the errors corrected that models make."""
    yield text
    without_commas = _TRAILING_COMMA.sub(lambda found: found[1] or "", text)
    escaped = _ESCAPE.sub(_corrected_escape, without_commas)
    for attempt in (without_commas, escaped):
        for braces in ("", "}", "}}"):
            yield attempt + braces


def _corrected_escape(found: re.Match[str]) -> str:
    wrong = found["wrong"]
    return found[0] if wrong is None else "'" if wrong == "'" else f"\\\\{wrong}"


def _loaded(text: str) -> tuple[object] | str:
    """The first value in the text, as JSON or else as Python writes it; a message where it is neither."""
    try:
        return (json.JSONDecoder(strict=False).raw_decode(text.lstrip())[0],)
    except (ValueError, RecursionError) as error:
        message = str(error)
    with (
        contextlib.suppress(SyntaxError, ValueError, TypeError, RecursionError, MemoryError),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        return (ast.literal_eval(re.sub(r"\b(true|false|null)\b(?=\s*[,}\]])", _constant, text.strip())),)
    return message


def _constant(found: re.Match[str]) -> str:
    return {"true": "True", "false": "False", "null": "None"}[found[0]]


def _loose_code(text: str) -> str:
    """The code of a call whose quotes are not escaped: all between the argument's first quote and the last one.

    Where no quote ends it, all before the last two braces.
    """
    found = _LOOSE.search(text) or _UNQUOTED.search(text)
    if found is None:
        return ""
    written = found["code"].replace("\\u003c", "<")  # as a mark in it is written
    decoded = _ESCAPED.sub(_unescaped, written)
    bare = _QUOTE_ESCAPED.sub(r"\1", written)
    likely = (written, bare, decoded) if "\n" in written else (decoded, written)
    without_fence = (_without_stray_braces(unfenced(code)) for code in likely if code.strip())
    return next((code for code in without_fence if _parses(code)), "")


def _unescaped(found: re.Match[str]) -> str:
    return _SHORT_ESCAPES[found[1]]


def _unescaped_twice(code: str) -> str:
    """The code, where its line breaks were escaped twice and it is no Python otherwise, with real ones."""
    if "\n" in code or "\\n" not in code or _parses(code):
        return code
    decoded = _ESCAPED.sub(_unescaped, code)
    return decoded if _parses(decoded) else code


def _without_stray_braces(code: str) -> str:
    """The code, without braces at its end that were meant to follow the quote, where it is Python only then."""
    bare = code.rstrip()
    if _parses(code):
        return code
    return next((bare[:-n] for n in (1, 2, 3) if bare.endswith("}" * n) and _parses(bare[:-n])), code)


def unfenced(text: str) -> str:
    """The text without a fence around all of it."""
    found = _FENCE.match(text.lstrip())
    if found is None:
        return text
    return text.lstrip()[found.end() :].rstrip().rstrip("`~").rstrip()


def _is_one_word(text: str) -> bool:
    return re.fullmatch(r"[\w.-]+", text) is not None


def _parses(code: str) -> bool:
    """Whether this is Python."""
    with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Python thinks of the code is for its session
        ast.parse(code)
        return True
    return False
