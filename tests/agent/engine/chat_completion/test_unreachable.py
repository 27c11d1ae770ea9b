"""What is said of a server that cannot be reached for a reason on this side: certificates, a proxy, HTTP for HTTPS."""

from __future__ import annotations

import ssl
from pathlib import Path

import aiohttp
import pytest

from agent.engine.connection import TRANSPORT_ERRORS, ServerConnection
from tests.support.servers.chat_server import PEM, ChatServer, said, serving_chat

NOWHERE = "127.0.0.1:9"  # the port of `discard`, which nothing listens on


async def complaint(url: str, *, proxied: bool = False) -> str:
    connection = ServerConnection(url, proxied=proxied)
    try:
        await connection.page("GET", "/models", seconds=20)
    except TRANSPORT_ERRORS as error:
        return str(connection.unreachable_error(error))
    finally:
        await connection.close()
    raise AssertionError("it was reached")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("missing.pem", None, "cannot be read (No such file or directory)"),
        ("folder", "", "cannot be read (Is a directory)"),
        ("notes.txt", "no certificate", "holds no certificate in PEM format"),
    ],
)
async def test_a_file_of_certificates_that_is_none_is_named(
    name: str, content: str | None, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / name
    if content:
        file.write_text(content)
    elif content is not None:
        file.mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    with serving_chat(ChatServer(lambda body: [said("yes")]), tls=context) as server:
        told = await complaint(f"{server.url}/v1")
    assert f"SSL_CERT_FILE names {file}, which {fault}: name a PEM file" in told and "export" not in told


@pytest.mark.parametrize("proxy", [NOWHERE, f"http://{NOWHERE}"])
async def test_a_proxy_that_does_not_answer_is_not_taken_for_the_server(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    told = await complaint("http://engine.invalid/v1", proxied=True)
    remedy = "correct it, or except engine.invalid with no_proxy"
    assert told.endswith(f"; that is the proxy which http_proxy names: {remedy}")


def test_a_server_that_hangs_up_may_speak_https() -> None:
    error = aiohttp.ServerDisconnectedError()
    assert "give its --url with https://" in str(ServerConnection("http://host/v1").unreachable_error(error))
    assert "give its --url with https://" not in str(ServerConnection("https://host/v1").unreachable_error(error))
