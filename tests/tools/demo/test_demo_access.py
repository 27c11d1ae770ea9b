"""A browser is known again by its cookie, beside the cookies of whatever else is served on the same host."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.tiers.cases import examples

pytest.importorskip("starlette", reason="starlette is not installed (pip install -e '.[demo]')")
from tools.demo.access import COOKIE, VisitorCookie, visitor_of

OTHERS = st.lists(
    st.text(st.characters(codec="latin-1", exclude_characters=";", exclude_categories=["Cc"])).filter(
        lambda other: other.partition("=")[0].strip() != COOKIE
    ),
    max_size=3,
)


@examples(50)
@given(OTHERS, OTHERS)
@example(['prefs={"theme": "dark"}'], [])
@example(["a b=c", "[x]=1", "no value"], ["@=é"])
def test_a_visitor_is_known_whatever_cookies_others_have_set(before: list[str], after: list[str]) -> None:
    assert visitor_of({"cookie": "; ".join([*before, f"{COOKIE}=secret", *after])}) == "secret"
    assert visitor_of({"cookie": "; ".join([*before, *after])}) == ""


@pytest.mark.parametrize(
    ("path", "cookie", "given_one"),
    [
        ("/", "", True),
        ("/", "a b=c", True),
        ("/", f"a b=c; {COOKIE}=secret", False),
        ("/journal/question-1", "", False),
    ],
)
def test_a_secret_is_given_once_to_who_opens_the_page(path: str, cookie: str, given_one: bool) -> None:
    sent: list[Any] = []

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def keep(message: Any) -> None:
        sent.extend(message["headers"])

    async def never() -> Any:
        raise AssertionError("nothing of the request is read")

    scope = {"type": "http", "path": path, "scheme": "https", "headers": [(b"cookie", cookie.encode("latin-1"))]}
    asyncio.run(VisitorCookie(answer)(scope, never, keep))
    assert [name for name, _ in sent] == [b"set-cookie"] * given_one
    assert all(value.startswith(COOKIE.encode()) and b"HttpOnly" in value and b"Secure" in value for _, value in sent)
