"""How a model on the Hub is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ModelError
from agent.models.hub.name import HubName, parse_hub_name, short_name
from agent.models.store import fetch_model
from tools.benchmark.published import Published

DIGEST = "ab" * 32

parts = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
repositories = st.builds(lambda owner, name: f"{owner}/{name}", parts, parts)
files = st.builds(lambda folders, name: "/".join([*folders, f"{name}.gguf"]), st.lists(parts, max_size=2), parts)
digests = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
revisions = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}(/[a-z]{1,5})?", fullmatch=True)
names = st.one_of(
    st.builds(HubName, repositories, files, st.just("") | digests),
    st.builds(HubName, repositories, st.just(""), st.just("") | revisions),
)


@given(names)
def test_a_name_is_read_as_it_is_written(name: HubName) -> None:
    assert parse_hub_name(str(name)) == name


@given(st.text())
def test_any_text_is_a_name_no_name_or_refused_in_one_line(text: str) -> None:
    assert text.startswith("hf:") or parse_hub_name(text) is None
    try:
        name = parse_hub_name(f"hf:{text}")
    except ModelError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(name, HubName)


@pytest.mark.parametrize("site", ["https://huggingface.co", "http://www.huggingface.co", "https://hf.co"])
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("owner/repository", "hf:owner/repository"),
        ("owner/repository/tree/main/", "hf:owner/repository"),
        ("owner/repository/blob/main/q4/file.gguf", "hf:owner/repository/q4/file.gguf"),
        ("owner/repository/resolve/main/file.gguf?download=true", "hf:owner/repository/file.gguf"),
    ],
)
def test_an_address_of_the_hub_is_answered_with_the_name_of_what_lies_there(site: str, path: str, name: str) -> None:
    with pytest.raises(ModelError) as refused:
        fetch_model(f"{site}/{path}")
    assert str(refused.value) == f"{site}/{path} is an address: name the model {name}"
    assert isinstance(parse_hub_name(name), HubName)


@pytest.mark.parametrize(
    "address", ["https://example.com/owner/file.gguf", "https://huggingface.co/models?search=qwen"]
)
def test_another_address_is_no_path_either(address: str) -> None:
    with pytest.raises(ModelError, match="is an address: download the model and give the path of its GGUF file"):
        fetch_model(address)


@pytest.mark.parametrize("text", ["owner/repository/file.gguf", "hf-owner/repository/file.gguf"])
def test_the_form_of_a_name_is_told_and_is_no_guess(text: str) -> None:
    with pytest.raises(ModelError, match="or the path of a GGUF file") as refused:
        fetch_model(text)
    assert "did you mean" not in str(refused.value)
    assert ", hf:owner/repository/file.gguf or the path" in str(refused.value)


@pytest.mark.parametrize("text", ["qwen2.5-coder-1.5b", "owner/repository", "/a/hf:b", "", "HF:a/b", "./hf:a/b"])
def test_other_names_are_none_of_the_hub(text: str) -> None:
    assert parse_hub_name(text) is None


def test_the_digits_of_a_digest_may_be_capital() -> None:
    assert parse_hub_name(f"hf:a/b/c.gguf@{DIGEST.upper()}") == HubName("a/b", "c.gguf", DIGEST)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hf:", "write hf:owner/repository"),
        ("hf:owner", "write hf:owner/repository"),
        ("hf:owner/", "write hf:owner/repository"),
        ("hf://owner/repository", "write hf:owner/repository"),
        ("hf: owner/repository", "write hf:owner/repository"),
        ("hf:owner/repository/", "write hf:owner/repository"),
        ("hf:owner/repository@", "write hf:owner/repository"),
        ("hf:owner/repository/model.safetensors", "names no GGUF file: name one, or give hf:owner/repository alone"),
        ("hf:owner/repository/../x.gguf", "is no path within a repository"),
        ("hf:owner/repository//x.gguf", "is no path within a repository"),
        ("hf:owner/repository/x-00001-of-00003.gguf", "one of several parts"),
        ("hf:owner/repository/x.gguf@main", "64 hexadecimal digits"),
        (f"hf:owner/repository/x.gguf@{DIGEST}0", "64 hexadecimal digits"),
        ("hf:owner/repository@a..b", "give a branch, tag or commit"),
        ("hf:owner/repository@-x", "give a branch, tag or commit"),
    ],
)
def test_what_is_no_name_is_refused_with_how_it_is_written(text: str, message: str) -> None:
    with pytest.raises(ModelError) as refused:
        parse_hub_name(text)
    assert message in str(refused.value)
    assert text in str(refused.value)


@pytest.mark.parametrize(
    ("model", "short"),
    [
        ("hf:Qwen/QwQ-32B", "QwQ-32B"),
        ("hf:Qwen/QwQ-32B@0123abc", "QwQ-32B"),
        (f"hf:Qwen/QwQ-32B-GGUF/q4/qwq.gguf@{DIGEST}", "qwq.gguf"),
        ("/models/QwQ-32B@home", "QwQ-32B@home"),
        ("Qwen/QwQ-32B", "QwQ-32B"),
        ("", ""),
    ],
)
def test_a_short_name_says_neither_where_nor_which_version(model: str, short: str) -> None:
    assert short_name(model) == short


def test_the_published_figures_of_a_model_are_found_by_its_name_on_the_hub() -> None:
    figure = Published("", "QwQ-32B", "", 0, "")
    assert figure.is_of("hf:Qwen/QwQ-32B@0123abc")
    assert figure.is_of(f"hf:Qwen/QwQ-32B-GGUF/qwq-32b-q4_k_m.gguf@{DIGEST}")
    assert not figure.is_of("hf:Qwen/QwQ-32B-Preview")
