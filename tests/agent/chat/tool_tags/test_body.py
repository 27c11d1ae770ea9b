"""Function calls are read with the errors that models make, and refused in a sentence where they cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chat.tool_tags.body import read_code, read_function_call

CODE = 'x = {"a": 1}\nprint(f"{x[\'a\']}\\n")'
PLAIN = "for i in range(3):\n    print(i)"


def call(arguments: object, name: str = "python") -> str:
    return json.dumps({"name": name, "arguments": arguments})


@pytest.mark.parametrize("code", [CODE, PLAIN, "print('\\\\d \u03c0')"])
@pytest.mark.parametrize(
    "written",
    [
        lambda code: call({"code": code}),
        lambda code: call({"code": code}, "code_interpreter"),
        lambda code: call({"input": code}),
        lambda code: call({"script": code, "timeout": 5}),
        lambda code: call({"anything": code}),
        lambda code: call(code),
        lambda code: call(json.dumps({"code": code})),
        lambda code: call({"code": code.split("\n")}),
        lambda code: call({"code": f"```python\n{code}\n```"}),
        lambda code: f"```json\n{call({'code': code})}\n```",
        lambda code: json.dumps({"name": "python", "code": code}),
        lambda code: json.dumps({"code": code}),
        lambda code: json.dumps({"name": "python", "parameters": {"code": code}}),
        lambda code: json.dumps({"type": "function", "function": {"name": "python", "arguments": {"code": code}}}),
        lambda code: json.dumps([{"name": "python", "arguments": {"code": code}}]),
        lambda code: call({"code": code})[:-1],
        lambda code: call({"code": code})[:-2],
        lambda code: call({"code": code}) + "}",
        lambda code: call({"code": code})[:-2] + ",}, }",
        lambda code: repr({"name": "python", "arguments": {"code": code}}),
        lambda code: repr({"name": "python", "arguments": {"code": code, "trace": None, "x": True}}),
        lambda code: f"{{'name': 'python', 'arguments': {{'code': {code!r}, 'a': true, 'b': [false, null]}}}}",
        lambda code: call({"code": code}).replace("\\n", "\n", code.count("\n")) if "\\\\n" not in code else call(code),
        lambda code: call({"code": code}, "my_tool"),
        lambda code: call({"command": code, "language": "python"}),
        lambda code: call({"Code": code, "lang": "py", "id": "1"}),
        lambda code: call([{"code": code}]),
        lambda code: call({"arguments": {"code": code}}),
        lambda code: call({"kwargs": {"script": code}}),
        lambda code: json.dumps({"tool_name": "python", "tool_input": {"code": code}}),
        lambda code: json.dumps({"action": "python", "action_input": code}),
        lambda code: f"python\n{call({'code': code})}",
        lambda code: f"I call python:\n{json.dumps({'code': code})}",
        lambda code: f"I call python:\n{json.dumps({'arguments': {'code': code}})}",
        lambda code: f"<function=python>\n<parameter=code>\n{code}\n</parameter>\n</function>",
        lambda code: f"<function=python>\n<parameter=code>\n{code}\n</parameter>",
        lambda code: f"<function=python>\n<parameter=code>\n{code}\n",
        lambda code: code,
    ],
)
def test_code_is_found_in_every_form_that_models_write(code: str, written: Callable[[str], str]) -> None:
    found = read_function_call(f"\n{written(code)}\n")
    assert (found.code, found.refusal) == (code, "")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"name": "python", "arguments": {"code": "print("a", 1)"}}', 'print("a", 1)'),
        ('{"name": "python", "arguments": {"code": "x = 1\nprint("a\\n", x)\n"}}', 'x = 1\nprint("a\\n", x)\n'),
        ('{"name": "python", "arguments": {"code": """\nprint(1)\n"""}}', "\nprint(1)\n"),
        ("{'name': 'python', 'arguments': {'code': 'print(1)\nprint(2)'}}", "print(1)\nprint(2)"),
        ('{"name": "python", "arguments": {"code": "print(\\\'a\\\')"}}', "print('a')"),
        ('{"name": "python", "arguments": {"code": "re.sub(\'\\d\', \'\', s)"}}', "re.sub('\\d', '', s)"),
        ('{"name": "python", "arguments": {"code": "x = 1\\\\nprint(x)"}}', "x = 1\nprint(x)"),
        ('{"name": "python", "arguments": {"code": "print(1)"', "print(1)"),
        ('{"name": python, "arguments": {"code": "print(1)"}}', "print(1)"),
        ('{"name": "python", "arguments": {"code": "print(1)}"}', "print(1)"),  # the brace before the quote
        ('{"name": "python", "arguments": {"code": "d = {1: 2}\\nprint(d)}}"}}', "d = {1: 2}\nprint(d)"),
        ('{"name": "python", "arguments": {"code": "d = {1: {2: 3}}"}}', "d = {1: {2: 3}}"),
        ('{"name": "python", "arguments": {"code": "d = {1: {2: 3}}}"}}', "d = {1: {2: 3}}"),
        ('{"name": "python", "arguments": {"code": "print("a", 1)", "timeout": 10}}', 'print("a", 1)'),
        ('{"arguments": {"code": "print("a", 1)", "language": "python"}, "name": "python"}', 'print("a", 1)'),
        (
            '{"name": "python", "arguments": {"code": "d = {"a": 1, "b": 2}\\nprint(d)"}}',
            'd = {"a": 1, "b": 2}\nprint(d)',
        ),
        ('{"name": "python", "arguments": {"code": "x = 1\nprint(\\"a\\n\\", x)"}}', 'x = 1\nprint("a\\n", x)'),
        ('{"name": "python", "arguments": {"code": """x = 1\nprint("a\\n", x)"""}}', 'x = 1\nprint("a\\n", x)'),
        ('{"name": "python", "arguments": {"code": "print(1}"}}', "print(1}"),  # no Python either way
        ('{"name": "python", "arguments": {"code": "print(7 % 5)}}', "print(7 % 5)"),  # braces in place of the quote
        ('{"name": "python", "arguments": {"code": "d = {1: {2: 3}}\\nprint(d)\n}\n}', "d = {1: {2: 3}}\nprint(d)"),
        ('{"name": "python", "arguments": {"code": "print("a", 1)}}}', 'print("a", 1)'),
    ],
)
def test_code_is_read_through_errors_of_quoting(body: str, code: str) -> None:
    found = read_function_call(body)
    assert (found.code.strip("\n"), found.refusal) == (code.strip("\n"), "")


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ("please compute 6 times 7", "no JSON and no Python"),
        ("{", "holds no code"),
        ('{"name": "python", "arguments": {"code": "print("}, x', "cannot be read"),
        ('{"name": "python", "arguments": {}}', "holds no code"),
        ('{"name": "python", "arguments": {"code": ""}}', "holds no code"),
        ('{"name": "python", "arguments": {"code": 7}}', "holds no code"),
        ("[1, 2]", "no JSON object"),
        ("{}", "holds no code"),
        ("<function=python>\n<parameter=code>\n</parameter>\n</function>", "holds no code"),
        ('{"name": "search", "arguments": {"query": "6 times 7"}}', "no function 'search'"),
        ('{"name": "search", "arguments": 42}', "no function 'search'"),
        ('{"name": "search", "arguments": [6, 7]}', "no function 'search'"),
        ('{"name": "search", "arguments": ["6", "7"]}', "no function 'search'"),
        ('{"name": <function-name>, "arguments": <args-json-object>}', "cannot be read"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_is_wrong_and_how_to_do_it(body: str, part: str) -> None:
    found = read_function_call(body)
    assert not found.code and part in found.refusal and '"arguments": {"code": "..."}' in found.refusal
    assert found.refusal.count("\n") == 0 and len(found.refusal) < 400


@given(st.text() | st.text("{}[]\"\\'`:,\nn ab").map(lambda text: '{"name": "python", "arguments": {"code": "' + text))
def test_whatever_is_written_either_is_code_or_is_refused(body: str) -> None:
    found = read_function_call(body)
    assert bool(found.code) != bool(found.refusal)
    assert found.code or not found.is_whole
    assert not read_code(body).refusal


@pytest.mark.parametrize(
    "body",
    [
        "print(1)\n",
        "```python\nprint(1)\n```\n",
        "    print(1)\n",
        '{"name": "python", "arguments": {"code": "print(1)"}}',
    ],
)
def test_code_between_tags_is_taken_as_it_is_without_fence_margin_or_json(body: str) -> None:
    assert read_code(body).code == "print(1)"


@pytest.mark.parametrize(
    ("code", "is_whole"), [("print(1)\n", True), ("x = 1\nx\n\n", True), ("print(1", False), ("", False)]
)
def test_code_between_tags_may_end_where_it_is_python(code: str, is_whole: bool) -> None:
    found = read_code(code)
    assert (found.code, found.is_whole) == (code.strip(), is_whole)


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "python", "arguments": {"code": "print("a", 1)"}}',
        '{"name": "python", "arguments": {"code": "print(7 % 5)}}',
        '{"name": "python", "arguments": {"code": "x = 1\nprint("a", x)}}',
        '{"name": "python", "arguments": {"code": "print(7 % 5)"})',
    ],
)
def test_a_call_whose_quotes_are_wrong_may_end_behind_its_last_brace_alone(body: str) -> None:
    assert read_function_call(body).is_whole
    assert not any(read_function_call(body[:end]).is_whole for end in range(len(body) - 1))


@pytest.mark.parametrize("code", [CODE, PLAIN])
def test_a_call_may_end_behind_its_last_brace_alone(code: str) -> None:
    written = call({"code": code})
    assert read_function_call(written).is_whole and read_function_call(f"[{written}]").is_whole
    assert not any(read_function_call(written[:end]).is_whole for end in range(len(written) - 2))


@pytest.mark.parametrize("arguments", [{}, {"code": ""}, {"code": 7}])
def test_a_call_without_code_is_not_whole(arguments: object) -> None:
    assert not read_function_call(call(arguments)).is_whole


def test_code_is_sought_in_a_few_layers_and_no_deeper() -> None:
    in_lists: list[object] = [{"code": PLAIN}]
    in_dicts: object = PLAIN
    found = []
    for _ in range(6):
        found.append((read_function_call(call(in_lists)).code, read_function_call(call({"code": in_dicts})).code))
        in_lists, in_dicts = [in_lists], {"code": in_dicts}
    assert found[:2] == [(PLAIN, PLAIN)] * 2
    assert found[4:] == [("", "")] * 2


def test_code_before_a_dict_is_code() -> None:
    assert read_function_call('x = 1\n{"a": x}').code == 'x = 1\n{"a": x}'


def test_code_that_begins_with_a_dict_is_code() -> None:
    assert read_code("{1: 2}[1]\n").code == "{1: 2}[1]"
    assert read_code("\n \n").code == ""
