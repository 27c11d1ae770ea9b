"""A family of models is one TOML file, bundled or a user's own."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import cast, get_args

import pytest

from agent.chat.dialects import DIALECTS, chat_format
from agent.chat.family import AUTO, DIALECT_KEYS, Family, check_keys, example_answers, family_names, load_family
from agent.chat.harmony.messages import CONTROL_MARKS
from agent.chat.task import CompetitionTask
from agent.config import SamplingConfig, load_config, override_config, parse_config, profile_names, save_config
from agent.editions import EDITIONS
from agent.errors import ConfigError
from agent.files.stored_config import stored_tree
from agent.types import Problem

OWN = """\
dialect = "chatml-fenced"
instructions = "Think."
tool_instructions = "Think, or compute."
opening = "<reason>"
think_close = "</reason>"
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(OWN, encoding="utf-8")
    return path


def test_every_dialect_can_be_named_and_every_name_has_its_dialect() -> None:
    assert set(get_args(Family.model_fields["dialect"].annotation)) == set(DIALECTS) == set(DIALECT_KEYS)


@pytest.mark.parametrize("name", family_names())
def test_a_bundled_family_can_be_configured_and_spoken_to(name: str) -> None:
    sample = load_config("cpu", {"sample.family": name}).sample
    assert sample.family == name
    chat = chat_format(sample.family, tools=sample.tools)
    assert chat.prompt(CompetitionTask(EDITIONS["aimo3"]), Problem("a", "Why?")).endswith(chat.opening)
    assert 1 <= len(chat.stop_strings) <= 4
    assert set(chat.stop_strings) <= set(chat.turn_marks)
    assert set(chat.stop_strings) <= set(chat.control_tokens) and "" not in chat.control_tokens
    apart = chat.reply(f"so{chat.answer_head}42", thinking=True)
    assert (apart.thinking.strip(), apart.answer_text) in (("so", "42"), ("so", "\n\n42"), ("", "so\n\n42"))


def test_a_server_is_told_of_every_token_in_which_a_dialect_reads_the_turn() -> None:
    def tokens(family: str) -> set[str]:
        return set(chat_format(family, tools=True).control_tokens)

    assert tokens("gpt-oss") == {*CONTROL_MARKS, "<|endoftext|>"}
    assert tokens("qwq") > {"<think>", "</think>", "<|im_end|>"} and "<tool_call>" not in tokens("qwq")
    assert tokens("r1-distill-qwen") > {"<think>", "</think>"} and "<|im_end|>" not in tokens("r1-distill-qwen")
    for family in ("qwq-calls", "qwen3", "openmath-nemotron"):
        assert tokens(family) > {"<think>", "</think>", "<tool_call>", "</tool_call>"}
    assert tokens("qwen-coder-calls") > {"<tool_call>", "</tool_call>"} and "<think>" not in tokens("qwen-coder-calls")


def test_the_answers_of_examples_are_what_their_code_prints(tmp_path: Path) -> None:
    assert example_answers("qwen-coder") == {143, 13_824, 330, 148}
    assert example_answers("qwq") == example_answers(AUTO) == frozenset()
    path = tmp_path / "own.toml"
    example = '[[examples]]\nquestion = "q"\ncode = "c"\noutput = "{}"\n'
    head = 'dialect = "chatml-fenced"\ninstructions = ""\ntool_instructions = ""\n'
    path.write_text(head + "".join(map(example.format, ("no integer", "so x = 7", "1/2"))), encoding="utf-8")
    assert example_answers(str(path)) == {7}


def test_a_family_of_ones_own_is_a_file(own: Path) -> None:
    config = load_config("cpu", {"sample.family": str(own)})
    chat = chat_format(config.sample.family, tools=True)
    task = CompetitionTask(EDITIONS["aimo3"])
    assert "Think, or compute." in chat.prefix(task) and "Think." in chat_format(str(own), tools=False).prefix(task)
    assert chat.opening == chat_format(str(own), tools=False).opening == "<reason>"
    assert chat.reply("so</reason>42", thinking=True).answer_text == "42"
    assert chat.force_answer("so").inserted.startswith("\n</reason>")


def test_a_sample_has_as_many_tool_runs_as_its_family_is_used_to_unless_the_configuration_says_how_many(
    own: Path,
) -> None:
    def most(profile: Path | str, **keys: object) -> int:
        return load_config(
            str(profile), {key.replace("__", "."): value for key, value in keys.items()}
        ).sample.max_rounds

    profile = own.with_name("profile.toml")
    profile.write_text('[sample]\nfamily = "gpt-oss"\n', encoding="utf-8")
    assert most(profile) == load_family("gpt-oss").max_rounds == 96
    assert most(profile, sample__max_rounds=3) == 3
    assert most(profile, sample__family=str(own)) == 4
    own.write_text(f"{OWN}max_rounds = 7\n", encoding="utf-8")
    load_family.cache_clear()
    assert most(profile, sample__family=str(own)) == 7
    assert most("cpu", sample__family="gpt-oss") == load_config("cpu").sample.max_rounds


def test_samples_are_drawn_as_a_familys_authors_recommend_unless_the_configuration_says_otherwise(own: Path) -> None:
    own.write_text(f"{OWN}sampling = {{temperature = 0.3, top_k = 7}}\n", encoding="utf-8")
    drawn = load_config("qwq", {"sample.family": str(own), "sampling.top_k": 9}).sampling
    assert (drawn.temperature, drawn.top_k) == (0.3, 9)
    assert (drawn.top_p, drawn.min_p) == (SamplingConfig().top_p, SamplingConfig().min_p)
    assert load_config("qwq", {"sample.family": "qwen3"}).sampling.top_k == 20
    assert load_config("qwq", {"sampling.temperature": 1}).sampling == SamplingConfig(temperature=1)
    assert load_config("cpu", {"sample.family": str(own)}).sampling == load_config("cpu").sampling
    config = override_config(load_config("qwq"), {"sample.family": str(own)})
    assert config.sampling == load_config("qwq").sampling


def test_what_a_stored_run_says_of_its_sampling_stays_whatever_its_family_recommends(own: Path, tmp_path: Path) -> None:
    config = load_config("qwq", {"sample.family": str(own)})
    save_config(config, tmp_path / "config.toml")
    own.write_text(f"{OWN}sampling = {{temperature = 0.3}}\nmax_rounds = 9\n", encoding="utf-8")
    load_family.cache_clear()
    assert parse_config(stored_tree(tmp_path / "config.toml"), "run") == config


@pytest.mark.parametrize("name", ["gpt-oss", "qwq-calls", "qwen3-thinking", "openmath-nemotron"])
def test_a_profile_draws_as_the_authors_of_its_models_recommend(name: str) -> None:
    drawn = [config.sampling for config in map(load_config, profile_names()) if config.sample.family == name]
    recommended = load_family(name).sampling.model_dump(exclude_none=True)
    assert recommended and drawn and all(recommended.items() <= sampling.model_dump().items() for sampling in drawn)


def test_a_stored_run_finds_its_family_from_any_folder(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config("cpu", {"sample.family": own.name})
    save_config(config, tmp_path / "config.toml")
    monkeypatch.chdir("/")
    assert parse_config(stored_tree(tmp_path / "config.toml"), "run") == config
    assert load_family(config.sample.family).opening == "<reason>"


def test_the_home_directory_may_be_written_short(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_config("cpu", {"sample.family": "~/own.toml"}).sample.family == str(own)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OWN.replace("fenced", "spoken"), r"dialect: input should be .*'chatml-fenced'.*, not 'chatml-spoken'"),
        (OWN.replace('"Think."', "7"), r"instructions: input should be a valid string, not 7"),
        (OWN + 'closing = "x"', r"closing: unknown key"),
        (OWN + 'think_closed = "x"', r"did you mean think_close\?"),
        (OWN + 'examples = [{question = "a", code = "b"}]', r"examples\.0\.output: this key is missing$"),
        (OWN + "examples = 3", r"examples: input should be a list, not 3"),
        (OWN + "sampling = {top_p = 2}", r"sampling\.top_p: input should be less than or equal to 1, not 2"),
        (OWN + "sampling = {max_tokens = 9}", r"sampling\.max_tokens: unknown key"),
        (OWN + "template = {has = 'x'}", r"template\.has: input should be a list, not 'x'"),
        ("instructions =", r"cannot be read \(.*\): give a TOML file that you may read"),
        ("", r"dialect: this key is missing$"),
        (OWN.replace("tool_instructions", "tool_words"), r"tool_words: unknown key"),
        (OWN + 'hint = {text = "x"}', r"hint: say where it is given: at = \[\.\.\.\], before_think_close = true"),
    ],
)
def test_what_is_no_family_is_refused_when_the_configuration_is_read(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"configuration \(cpu\): sample\.family: family .*bad\.toml.*{message}"):
        load_config("cpu", {"sample.family": str(path)})


VALUES = {
    "think_close": "'</reason>'",
    "keeps_thinking": "false",
    "instructions_in": "'user'",
    "system": "'S.'",
    "tool_system": "'T.'",
    "reasoning_effort": "'high'",
    "calls_left": "'{calls_left} left.'",
    "no_calls_left": "'None left.'",
    "hint": "{text = 'x', at = ['Wait']}",
    "examples": "[{question = 'a', code = 'print(3)', output = '3'}]",
}
BASE = 'dialect = "{}"\ninstructions = "Think."\ntool_instructions = "Compute."\n'


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("key", VALUES)
def test_a_key_that_the_dialect_does_not_read_is_refused_with_those_that_do(
    tmp_path: Path, dialect: str, key: str
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(f"{BASE.format(dialect)}{key} = {VALUES[key]}\n", encoding="utf-8")
    for overrides in ({"sample.family": str(path)}, {"sample.family": "auto", "sample.own_families": [str(path)]}):
        if key in DIALECT_KEYS[dialect]:
            load_config("vllm", overrides)
            continue
        with pytest.raises(
            ConfigError, match=rf"family .*own\.toml: {key} means nothing in the dialect {dialect}: "
        ) as it:
            load_config("vllm", overrides)
        readers = str(it.value).rpartition(": ")[2].split(", ")
        assert readers == [name for name in DIALECTS if key in DIALECT_KEYS[name]] and readers
    if key not in DIALECT_KEYS[dialect]:
        for further in ({"sample.family": str(path)}, {"sample.own_families": [str(path)]}):
            with pytest.raises(ConfigError, match=f"{key} means nothing"):
                override_config(load_config("cpu"), further)


class _Read:
    """A family that notes which of its keys are read."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.keys: set[str] = set()

    def __getattr__(self, name: str) -> object:
        self.keys.add(name)
        return getattr(self.family, name)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_said_of_the_keys_that_a_dialect_reads_is_what_it_reads(dialect: str) -> None:
    keys = "".join(f"{key} = {value}\n" for key, value in VALUES.items())
    family = _Read(Family.model_validate(tomllib.loads(BASE.format(dialect) + keys)))
    for tools in (True, False):
        chat = DIALECTS[dialect](cast(Family, family), tools)
        chat.prompt(CompetitionTask(EDITIONS["aimo3"]), Problem("a", "Why?"))
        result = chat.tool_result("7") + chat.after_result(1) + chat.after_result(0)
        for said in ("", f"so{chat.answer_head}7", f"{chat.hint.text if chat.hint else ''}{result}so"):
            chat.reply(said, thinking=True)
            chat.force_answer(said)
            list(chat.passages(chat.opening + said))
            chat.behind_result(said)
            chat.next_prompt("", said)
        assert chat.control_tokens and chat.stop_strings and chat.turn_marks
    special = frozenset[str]().union(*DIALECT_KEYS.values())
    assert family.keys & special == DIALECT_KEYS[dialect]
    assert special == VALUES.keys()


@pytest.mark.parametrize("name", family_names())
def test_no_bundled_family_has_a_key_that_its_dialect_ignores(name: str) -> None:
    check_keys(name)


@pytest.mark.parametrize("written", [OWN.replace("\n", "\r\n").encode(), OWN.encode("utf-8-sig")])
def test_a_family_that_an_editor_on_windows_wrote_is_the_same(tmp_path: Path, own: Path, written: bytes) -> None:
    path = tmp_path / "windows.toml"
    path.write_bytes(written)
    assert load_family(str(path)) == load_family(str(own))


@pytest.mark.parametrize("name", ["", "gpt", "no/such.toml", "qwq.toml"])
def test_the_bundled_families_are_named_where_there_is_no_such_one(name: str) -> None:
    names = ", ".join([*family_names(), "auto"])
    with pytest.raises(ConfigError, match=rf"no family .*: give one of {names} or the path of a"):
        load_config("cpu", {"sample.family": name})


@pytest.mark.parametrize(
    ("written", "meant"), [("qwen-3", "qwen3"), ("gptoss", "gpt-oss"), ("atuo", "auto"), ("qwq-call.toml", "qwq-calls")]
)
def test_a_misspelled_family_is_taken_for_the_nearest_name(written: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=rf"no family '{written}' \(did you mean {meant}\?\): give one of "):
        load_config("cpu", {"sample.family": written})


def test_a_folder_or_an_unknown_home_is_no_family(tmp_path: Path) -> None:
    for name in (str(tmp_path), "~nobody-of-that-name/x.toml", "a\0b"):
        with pytest.raises(ConfigError, match=r"sample\.family: family .* cannot be read"):
            load_config("cpu", {"sample.family": name})
